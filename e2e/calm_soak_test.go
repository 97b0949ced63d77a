//go:build linux && soak

package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/proxy"

	"github.com/xrat-tray/xrat/runtime/lab"
)

// calmSpan is how long each disturbance lasts; XRAT_SOAK_SPAN changes it.
func calmSpan(t *testing.T) time.Duration {
	span := 10 * time.Minute
	if text := os.Getenv("XRAT_SOAK_SPAN"); text != "" {
		var err error
		span, err = time.ParseDuration(text)
		must(t, err)
	}
	return span
}

// again does something in n places at the same time, over and over, with a pause between.
func again(ctx context.Context, n int, pause time.Duration, do func(ctx context.Context)) {
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for ctx.Err() == nil {
				do(ctx)
				select {
				case <-ctx.Done():
				case <-time.After(pause):
				}
			}
		})
	}
	all.Wait()
}

// request asks for a page and reads the answer at a rate, in bytes a second, for a time at most.
func (b *box) request(ctx context.Context, page string, patience time.Duration, rate int) {
	var forward proxy.Dialer = proxy.Direct
	if rate > 0 {
		forward = narrow{}
	}
	dialer, err := proxy.SOCKS5("tcp", b.socks, nil, forward)
	if err != nil {
		return
	}
	conn, err := dialer.Dial("tcp", b.lab.Origin().HTTPAddress())
	if err != nil {
		return
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: origin\r\nConnection: close\r\n\r\n", page)
	if rate == 0 {
		io.Copy(io.Discard, conn)
		return
	}
	for ctx.Err() == nil {
		if _, err := conn.Read(make([]byte, rate/10)); err != nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// narrow dials connections that take little before it is read.
type narrow struct{}

func (narrow) Dial(network, address string) (net.Conn, error) {
	conn, err := net.DialTimeout(network, address, 15*time.Second)
	if err == nil {
		err = conn.(*net.TCPConn).SetReadBuffer(4096)
	}
	return conn, err
}

// Nothing of this is a server's fault, and none is left for it.
func TestSoakNobodyIsLeftForNothing(t *testing.T) {
	span := calmSpan(t)
	all := func(b *box, n lab.Network) {
		for _, s := range b.servers {
			must(t, s.Network(n))
		}
	}
	for name, disturb := range map[string]func(context.Context, *box){
		"one site stalls": func(ctx context.Context, b *box) {
			again(ctx, 5, time.Second, func(ctx context.Context) { b.request(ctx, "/stall?n=100000&after=20000", 5*time.Second, 0) })
		},
		"one site cuts answers short": func(ctx context.Context, b *box) {
			again(ctx, 5, 500*time.Millisecond, func(ctx context.Context) { b.request(ctx, "/stall?n=100000&after=20000&cut=1", 5*time.Second, 0) })
		},
		"long polls": func(ctx context.Context, b *box) {
			again(ctx, 10, 0, func(ctx context.Context) { b.request(ctx, "/slow?wait=25s", time.Minute, 0) })
		},
		"events": func(ctx context.Context, b *box) {
			again(ctx, 10, 0, func(ctx context.Context) { b.request(ctx, "/stream?interval=7s&chunks=1000", time.Hour, 0) })
		},
		"idle sessions": func(ctx context.Context, b *box) {
			again(ctx, 20, 0, func(ctx context.Context) {
				if conn, err := b.dial(b.lab.Origin().TCPAddress()); err == nil {
					defer conn.Close()
					for i := 0; ctx.Err() == nil; i++ {
						fmt.Fprintln(conn, "a key")
						conn.Read(make([]byte, 100))
						select {
						case <-ctx.Done():
						case <-time.After(time.Duration(i%20) * time.Second):
						}
					}
				}
			})
		},
		"slow readers": func(ctx context.Context, b *box) {
			again(ctx, 5, 0, func(ctx context.Context) { b.request(ctx, "/bytes?n=20000000", time.Hour, 1000) })
		},
		"a narrow link": func(ctx context.Context, b *box) {
			all(b, lab.Network{RTT: 300 * time.Millisecond, Jitter: 500 * time.Millisecond, Rate: 12_000})
			again(ctx, 5, 0, func(ctx context.Context) { b.request(ctx, "/bytes?n=200000", time.Minute, 0) })
		},
		"one in twenty is lost": func(ctx context.Context, b *box) {
			all(b, lab.Network{RTT: 80 * time.Millisecond, Jitter: 40 * time.Millisecond, Loss: 0.05})
			again(ctx, 10, 0, func(ctx context.Context) { b.request(ctx, "/bytes?n=100000", time.Minute, 0) })
		},
		"dead destinations": func(ctx context.Context, b *box) {
			again(ctx, 50, time.Second, func(ctx context.Context) {
				dead := freeAddress(t)
				if conn, err := b.dial(dead); err == nil {
					conn.SetDeadline(time.Now().Add(5 * time.Second))
					conn.Write([]byte("\x13BitTorrent protocol"))
					conn.Read(make([]byte, 100))
					conn.Close()
				}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := connectFarAway(t)
			load := b.startLoad(20, 0)
			ctx, cancel := context.WithTimeout(t.Context(), span)
			defer cancel()
			disturb(ctx, b)
			load.stop()
			load.check(t)
			p := b.status()
			t.Logf("%s, %d rescued of %d", p.State, p.Traffic.Rescued, p.Traffic.Connections)
			if p.LastRotation != nil {
				t.Errorf("left %s: %s", p.LastRotation.FromConfigName, p.LastRotation.Reason)
			}
		})
	}
}
