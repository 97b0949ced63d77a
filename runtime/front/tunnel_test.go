package front

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/xrat-tray/xrat/runtime/socks5"
)

// A connection reaches the destination that was asked for, byte for byte in both directions, and is
// counted, also when its session is forgotten.
func TestConnectCarriesBothWays(t *testing.T) {
	checkLeaks(t)
	f := openFront(t, nil)
	var seen atomic.Value
	k := startFakeCore(t, func(c net.Conn, dest socks5.Address) { seen.Store(dest.String()); echoServe(c, dest) })
	f.SetTarget(k.target(7))
	for _, dest := range []string{"example.invalid:443", "192.0.2.1:80", "[2001:db8::1]:8080"} {
		c := mustDial(t, f, dest)
		speak(t, c, "hello", "hello")
		if got := strings.ReplaceAll(seen.Load().(string), `"`, ""); got != dest {
			t.Errorf("the core was asked for %s, want %s", got, dest)
		}
		c.Close()
	}
	if left := drain(f, 7, patience); left != 0 {
		t.Errorf("%d connections left", left)
	}
	if got, want := f.Counters(7), (Counters{UpBytes: 15, DownBytes: 15, Connections: 3}); got != want {
		t.Errorf("counters %+v, want %+v", got, want)
	}
	f.SetTarget(nil)
	f.Forget(7)
	if got := f.Counters(7); got != (Counters{}) {
		t.Errorf("after Forget: %+v", got)
	}
	if got, want := f.Total(), (Counters{UpBytes: 15, DownBytes: 15, Connections: 3}); got != want {
		t.Errorf("total %+v, want %+v", got, want)
	}
}

// A client may send everything at once, without waiting for a single answer.
func TestOptimisticClient(t *testing.T) {
	f := openFront(t, func(o *Options) { o.Username, o.Password = "me", "pw" })
	k := startFakeCore(t, echoServe)
	f.SetTarget(k.target(1))
	socks, _ := f.Addresses()
	c := dialFront(t, socks)
	c.Write(append(askConnect(t, "me", "pw", "192.0.2.1:80"), "early"...))
	hear(t, c, "\x05\x02\x01\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00early")
}

// A server that speaks first is heard at once, be it with one byte.
func TestServerSpeaksFirst(t *testing.T) {
	f := openFront(t, nil)
	k := startFakeCore(t, func(c net.Conn, _ socks5.Address) {
		succeed(c)
		io.WriteString(c, "2") // one byte alone must get through
		io.Copy(c, c)
	})
	f.SetTarget(k.target(1))
	c := mustDial(t, f, "mail.invalid:25")
	hear(t, c, "2")
	speak(t, c, "EHLO", "EHLO")
}

// Through a real core many bytes arrive unchanged in both directions at once, and all of them are
// counted.
func TestRealCore(t *testing.T) {
	f := openFront(t, nil)
	k := startRealCore(t)
	f.SetTarget(k.target(1))
	body := make([]byte, 10<<20)
	rand.Read(body)
	sum := sha256.Sum256(body)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // sends the body, checks what comes back
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				go c.Write(body)
				got := make([]byte, len(body))
				io.ReadFull(c, got)
				s := sha256.Sum256(got)
				c.Write(s[:])
			}()
		}
	}()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c, err := dialSOCKS(f, l.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			go c.Write(body)
			got := make([]byte, len(body)+len(sum))
			if _, err := io.ReadFull(c, got); err != nil {
				t.Error(err)
				return
			}
			if s := sha256.Sum256(got[:len(body)]); s != sum || !bytes.Equal(got[len(body):], sum[:]) {
				t.Error("the bytes are not the same")
			}
		})
	}
	wg.Wait()
	if c := f.Counters(1); c.UpBytes != 4*uint64(len(body)) || c.DownBytes != 4*uint64(len(body)+len(sum)) {
		t.Errorf("counters %+v", c)
	}
}

// Slow streams are counted while they run, not at their end.
func TestCountersAreLive(t *testing.T) {
	f := openEcho(t)
	c := mustDial(t, f, "a.invalid:1")
	for i := range uint64(5) {
		speak(t, c, "x", "x")
		eventually(t, "it is counted", func() bool {
			got := f.Counters(1)
			return got.UpBytes == i+1 && got.DownBytes == i+1 && got.Open == 1
		})
	}
}
