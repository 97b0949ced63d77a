package subscription

import (
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// heapPeak returns by how many bytes the heap grew at most while f ran, garbage that is not collected yet included.
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

// socks is a SOCKS5 server (RFC 1928, RFC 1929) that takes every connection to the same place.
type socks struct {
	address        string
	user, password string
	target         string

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

func (s *socks) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.names)
}

func (s *socks) serve(conn net.Conn) {
	block := func(prefix int) []byte { // prefix bytes, then one with a length, then as many
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
	s.names = append(s.names, net.JoinHostPort(string(name), strconv.Itoa(int(binary.BigEndian.Uint16(port)))))
	s.mu.Unlock()
	_, _ = conn.Write([]byte{5, 0, 0, 1, 127, 0, 0, 1, 0, 0})
	target, err := net.Dial("tcp", s.target)
	if err != nil {
		return
	}
	defer func() { _ = target.Close() }()
	go func() { _, _ = io.Copy(target, conn) }()
	_, _ = io.Copy(conn, target)
}
