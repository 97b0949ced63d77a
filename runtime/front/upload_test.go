package front

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/runtime/lab"
	"github.com/xrat-tray/xrat/runtime/link"
	"github.com/xrat-tray/xrat/runtime/socks5"
	"github.com/xrat-tray/xrat/runtime/xray"
)

// uploadSite takes uploads: after a greeting, if it has one, it reads a length and as many bytes,
// and answers with their SHA-256 and the bytes.
func uploadSite(t *testing.T, greeting string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	serve := func(c net.Conn) {
		defer c.Close()
		io.WriteString(c, greeting)
		var head [4]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[:]))
		if _, err := io.ReadFull(c, body); err != nil {
			return
		}
		sum := sha256.Sum256(body)
		c.Write(append(sum[:], body...))
		io.Copy(io.Discard, c) // until the client has all
	}
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String()
}

// labTarget starts a core that goes out through s.
func labTarget(t *testing.T, s *lab.Server, id int64) *Target {
	t.Helper()
	parsed, err := link.Parse(s.Link())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	core, err := xray.Start(t.Context(), zerolog.Nop(), xray.Spec{
		Executable: coreExecutable(t), Link: parsed, Nonce: "front", Dir: dir, LogFile: filepath.Join(dir, "core.log"), ReadyTimeout: patience,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { core.Stop(context.Background(), 0) })
	in := core.Inbound()
	return &Target{ID: id, Address: in.Address, User: in.User, Password: in.Password}
}

// An uploading says how a client sends its bytes.
type uploading struct {
	greeting string        // of the site; the client waits for it
	pause    time.Duration // before the client says anything
	size     int
	ahead    int  // the first bytes, sent some time before the others; 0: all in one write
	along    bool // with the request of SOCKS, before its reply
}

// run uploads to site, and checks that the bytes came, and came back.
func (up uploading) run(f *Front, site string) error {
	data := make([]byte, 4+up.size)
	random := rand.NewChaCha8([32]byte{byte(up.size), byte(up.pause)})
	random.Read(data[4:])
	binary.BigEndian.PutUint32(data, uint32(up.size))
	rest := data
	var c *net.TCPConn
	var err error
	if up.along {
		rest = nil
		c, err = dialAlong(f, site, data)
	} else {
		c, err = dialSOCKS(f, site)
	}
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(6 * patience))
	heard := make([]byte, len(up.greeting))
	if _, err := io.ReadFull(c, heard); err != nil || string(heard) != up.greeting {
		return fmt.Errorf("greeting %q: %w", heard, err)
	}
	time.Sleep(up.pause) // what the test is about: the client's silence
	if up.ahead > 0 {
		if _, err := c.Write(rest[:up.ahead]); err != nil {
			return fmt.Errorf("writing ahead: %w", err)
		}
		time.Sleep(5 * time.Millisecond)
		rest = rest[up.ahead:]
	}
	if _, err := c.Write(rest); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	answer := make([]byte, sha256.Size+up.size)
	if n, err := io.ReadFull(c, answer); err != nil {
		return fmt.Errorf("%d bytes of the answer: %w", n, err)
	}
	if sum := sha256.Sum256(data[4:]); !bytes.Equal(answer[:len(sum)], sum[:]) || !bytes.Equal(answer[len(sum):], data[4:]) {
		return errors.New("other bytes")
	}
	return nil
}

// dialAlong is dialSOCKS with data behind the request.
func dialAlong(f *Front, dest string, data []byte) (*net.TCPConn, error) {
	to, err := socks5.ParseAddress(dest)
	if err != nil {
		return nil, err
	}
	socks, _ := f.Addresses()
	c, err := net.Dial("tcp", socks)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(2 * patience))
	message := socks5.AppendRequest(socks5.AppendOpening(nil, "", ""), socks5.CommandConnect, to)
	if _, err = c.Write(append(message, data...)); err == nil {
		_, err = io.ReadFull(c, make([]byte, 2+4+net.IPv4len+2))
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("SOCKS: %w", err)
	}
	return c.(*net.TCPConn), nil
}

// TestUpload sends much through real cores and servers before there is any answer. The core's
// Trojan client, which also leads to VMess and Shadowsocks, ends a connection when too much has
// come by the time that it has reached its server.
func TestUpload(t *testing.T) {
	l, err := lab.New(t.Context(), lab.Options{Core: coreExecutable(t), Dir: t.TempDir(), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	const greeting = "hello\n"
	silent, greets := uploadSite(t, ""), uploadSite(t, greeting)
	kinds := []lab.Kind{lab.VLESS, lab.Trojan, lab.VMess, lab.Shadowsocks, lab.Shadowsocks2022}
	for i, kind := range kinds {
		s, err := l.AddServer(string(kind), kind)
		if err != nil {
			t.Fatal(err)
		}
		f := openFront(t, nil)
		f.SetTarget(labTarget(t, s, int64(i+1)))
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			for _, delay := range []time.Duration{0, 100 * time.Millisecond} {
				if err := s.Slow(delay); err != nil {
					t.Fatal(err)
				}
				var wg sync.WaitGroup
				try := func(site string, up uploading) {
					wg.Go(func() {
						if err := up.run(f, site); err != nil {
							t.Errorf("%+v, server delayed by %v: %v", up, delay, err)
						}
					})
				}
				for _, size := range []int{4 << 10, 9 << 10, 64 << 10, 1 << 20} {
					for _, pause := range []time.Duration{0, 2 * time.Millisecond, 50 * time.Millisecond, 300 * time.Millisecond} {
						try(silent, uploading{pause: pause, size: size})
						try(silent, uploading{pause: pause, size: size, ahead: 200})
					}
					try(silent, uploading{size: size, along: true})
					try(greets, uploading{size: size, greeting: greeting})
				}
				wg.Wait()
			}
		})
	}
}
