//go:build linux

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/proxy"
)

// dial connects to a destination through the front's SOCKS inbound.
func (b *box) dial(destination string) (net.Conn, error) {
	dialer, err := proxy.SOCKS5("tcp", b.socks, nil, proxy.Direct)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	return dialer.(proxy.ContextDialer).DialContext(ctx, "tcp", destination)
}

// get makes one request over a new connection and returns the body.
func (b *box) get(path string) (string, error) {
	conn, err := b.dial(b.lab.Origin().HTTPAddress())
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(15 * time.Second))
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: origin\r\nConnection: close\r\n\r\n", path); err != nil {
		return "", err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode/100 != 2 {
		err = fmt.Errorf("status %s", response.Status)
	}
	return string(body), err
}

// exit returns the name of the server that traffic leaves through.
func (b *box) exit() string {
	b.t.Helper()
	name, err := b.get("/exit")
	if err != nil {
		b.t.Fatalf("asking which server is used: %v", err)
	}
	return name
}

// load is traffic that goes on until it is stopped.
type load struct {
	sent, failed, broken atomic.Int64
	longest              atomic.Int64 // nanoseconds, of a request
	errors               chan error
	stop                 func()
}

// startLoad makes new connections at a rate and keeps streams open.
func (b *box) startLoad(perSecond, streams int) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{errors: make(chan error, 20)}
	var workers sync.WaitGroup
	note := func(count *atomic.Int64, err error) {
		count.Add(1)
		select {
		case l.errors <- err:
		default:
		}
	}
	steadily(ctx, &workers, perSecond, func() {
		began := time.Now()
		l.sent.Add(1)
		if _, err := b.get("/exit"); err != nil {
			note(&l.failed, fmt.Errorf("request: %w", err))
		}
		for took := int64(time.Since(began)); ; {
			longest := l.longest.Load()
			if took <= longest || l.longest.CompareAndSwap(longest, took) {
				break
			}
		}
	})
	for range streams {
		workers.Go(func() {
			if err := b.stream(ctx); err != nil && ctx.Err() == nil {
				note(&l.broken, fmt.Errorf("stream: %w", err))
			}
		})
	}
	l.stop = func() {
		cancel()
		workers.Wait()
	}
	return l
}

// steadily begins something at a rate until ctx ends, however long each takes.
func steadily(ctx context.Context, workers *sync.WaitGroup, perSecond int, do func()) {
	workers.Go(func() {
		ticker := time.NewTicker(time.Second / time.Duration(perSecond))
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				workers.Go(do)
			}
		}
	})
}

// stream reads an endless answer until ctx ends.
func (b *box) stream(ctx context.Context) error {
	conn, err := b.dial(b.lab.Origin().HTTPAddress())
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if _, err := fmt.Fprintf(conn, "GET /stream?interval=20ms&chunks=1000000 HTTP/1.1\r\nHost: origin\r\n\r\n"); err != nil {
		return err
	}
	buffer := make([]byte, 4096)
	for {
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := conn.Read(buffer); err != nil {
			return err
		}
	}
}

// check reports what failed.
func (l *load) check(t testing.TB) {
	t.Helper()
	t.Logf("%d requests sent, %d failed, %d streams broken, longest request %v", l.sent.Load(), l.failed.Load(), l.broken.Load(), time.Duration(l.longest.Load()))
	if l.sent.Load() == 0 {
		t.Error("nothing was sent")
	}
	if l.failed.Load() > 0 || l.broken.Load() > 0 {
		t.Errorf("%d requests failed, %d streams broke", l.failed.Load(), l.broken.Load())
		for {
			select {
			case err := <-l.errors:
				t.Log(err)
			default:
				return
			}
		}
	}
}
