package subscription

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/runtime/link"
)

// The secrets of the tests: no message may contain one.
const (
	uuid     = "5e07c0de-0000-4000-8000-00000000beef"
	password = "s3cret-pass"
	pbk      = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ" // 32 bytes
)

const (
	vlessLink  = "vless://" + uuid + "@a.example.net:443?type=ws&security=tls&sni=a.example.net&path=%2Fp#one"
	trojanLink = "trojan://" + password + "@b.example.net:443?type=tcp&security=tls&sni=b.example.net#two"
)

const plainList = "\xEF\xBB\xBF# a comment\r\n" + vlessLink + "\r\n\r\n// another\n" + trojanLink + "\n"

// sameServer compares what was made of an entry with the link that means the same.
func sameServer(t *testing.T, got link.Link, want string) {
	t.Helper()
	l, err := link.Parse(want)
	if err != nil {
		t.Fatalf("the wanted link: %v", err)
	}
	if got != l {
		t.Errorf("got  %s\nwant %s", got.URI(), l.URI())
	}
}

func mustParse(t *testing.T, body string) Body {
	t.Helper()
	b, err := Parse([]byte(body))
	if err != nil {
		t.Fatalf("%v (%+v)", err, b.Problems)
	}
	return b
}

// checkOnly checks that body contains exactly one server, that of the link want, and that exactly
// the settings in left, separated by commas, are named as left out.
func checkOnly(t *testing.T, body, want, left string) {
	t.Helper()
	b := mustParse(t, body)
	if len(b.Entries) != 1 {
		t.Fatalf("%+v", b)
	}
	sameServer(t, b.Entries[0].Link, want)
	checkLeft(t, b, left)
}

// checkRejected checks that body contains one usable server, behind one that is rejected with code.
func checkRejected(t *testing.T, body, code string) Problem {
	t.Helper()
	b := mustParse(t, body)
	if len(b.Entries) != 1 || len(b.Problems) != 1 {
		t.Fatalf("%+v", b)
	}
	p := b.Problems[0]
	if p.Code != code || p.Position != 1 || p.Kept {
		t.Errorf("%+v", p)
	}
	noSecrets(t, b)
	return p
}

// checkLeft checks that exactly the settings in left, separated by commas, are named as left out.
func checkLeft(t *testing.T, b Body, left string) {
	t.Helper()
	switch {
	case left == "" && len(b.Problems) == 0:
	case left != "" && len(b.Problems) == 1 && b.Problems[0].Kept && b.Problems[0].Code == CodeLeftOut && strings.Contains(b.Problems[0].Message, ": "+left+";"):
	default:
		t.Errorf("left out: %+v, want %q", b.Problems, left)
	}
}

func noSecrets(t *testing.T, b Body) {
	t.Helper()
	shown := fmt.Sprintf("%+v", b)
	for _, secret := range []string{uuid, password, pbk} {
		if strings.Contains(shown, secret) {
			t.Errorf("a secret is shown: %s", shown)
		}
	}
}

// heapPeak returns by how many bytes the heap grew at most while f ran, garbage included.
func heapPeak(t *testing.T, f func()) uint64 {
	t.Helper()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	read := func() uint64 {
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	runtime.GC()
	before := read()
	stop, peak := make(chan struct{}), make(chan uint64)
	go func() {
		highest := before
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				peak <- max(highest, read())
				return
			case <-tick.C:
				highest = max(highest, read())
			}
		}
	}()
	f()
	close(stop)
	return <-peak - before
}

// socks is a SOCKS5 server (RFC 1928, RFC 1929) that connects every client to the same target.
type socks struct {
	address        string
	user, password string
	target         string
	route          func(asked string) string // the target, if not nil

	mu    sync.Mutex
	names []string
}

func newSOCKS(t *testing.T, user, password, target string) *socks {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &socks{address: listener.Addr().String(), user: user, password: password, target: target}
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wait.Go(func() {
				defer func() { _ = conn.Close() }()
				s.serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		wait.Wait()
	})
	return s
}

func (s *socks) proxy() *Proxy {
	return &Proxy{Address: s.address, User: link.NewSecret(s.user), Password: link.NewSecret(s.password)}
}

// asked returns the destinations that clients have asked for, as host:port.
func (s *socks) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.names)
}

func (s *socks) serve(conn net.Conn) {
	block := func(prefix int) []byte { // reads prefix bytes, then a length in one byte, then as many
		head := make([]byte, prefix+1)
		if _, err := io.ReadFull(conn, head); err != nil {
			return nil
		}
		body := make([]byte, head[prefix])
		_, _ = io.ReadFull(conn, body)
		return body
	}
	block(1)
	_, _ = conn.Write([]byte{5, 2})
	if user, password := block(1), block(0); string(user) != s.user || string(password) != s.password {
		_, _ = conn.Write([]byte{1, 1})
		return
	}
	_, _ = conn.Write([]byte{1, 0})
	name := block(4)
	port := make([]byte, 2)
	_, _ = io.ReadFull(conn, port)
	s.mu.Lock()
	asked := net.JoinHostPort(string(name), strconv.Itoa(int(binary.BigEndian.Uint16(port))))
	s.names = append(s.names, asked)
	s.mu.Unlock()
	to := s.target
	if s.route != nil {
		to = s.route(asked)
	}
	_, _ = conn.Write([]byte{5, 0, 0, 1, 127, 0, 0, 1, 0, 0})
	target, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer func() { _ = target.Close() }()
	go func() { _, _ = io.Copy(target, conn) }()
	_, _ = io.Copy(conn, target)
}
