package front

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The promise of the product: a hundred swaps between two cores under load, each with a drain, and
// nothing fails.
func TestSwapUnderLoad(t *testing.T) {
	checkLeaks(t)
	f := openFront(t, nil)
	cores := []*realCore{startRealCore(t), startRealCore(t)}
	f.SetTarget(cores[0].target(1))
	site := origin(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			for range 200 {
				io.WriteString(rw, "tick\n")
				http.NewResponseController(rw).Flush()
				select {
				case <-time.After(10 * time.Millisecond):
				case <-r.Context().Done():
					return
				}
			}
			io.WriteString(rw, "end")
			return
		}
		io.Copy(rw, r.Body)
	})
	host := strings.TrimPrefix(site.URL, "http://")
	ctx, stop := context.WithCancel(t.Context())
	var done, failed atomic.Int64
	var load sync.WaitGroup
	worker := func(what string, once func() error) {
		load.Go(func() {
			for ctx.Err() == nil {
				if err := once(); err != nil {
					failed.Add(1)
					t.Errorf("%s: %v", what, err)
					return
				}
				done.Add(1)
			}
		})
	}
	for range 3 {
		worker("SOCKS", func() error {
			c, err := dialSOCKS(f, host)
			if err != nil {
				return err
			}
			defer c.Close()
			fmt.Fprint(c, "POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello")
			b, err := io.ReadAll(c)
			if err == nil && !strings.HasSuffix(string(b), "hello") {
				err = fmt.Errorf("answer %q", b)
			}
			return err
		})
	}
	client := proxied(t, f, nil)
	for _, method := range []string{"GET", "POST"} {
		worker("plain "+method, func() error {
			body := ""
			if method == "POST" {
				body = "hello"
			}
			req, _ := http.NewRequest(method, site.URL, strings.NewReader(body))
			r, err := client.Do(req)
			if err != nil {
				return err
			}
			defer r.Body.Close()
			b, err := io.ReadAll(r.Body)
			if err == nil && (r.StatusCode != 200 || string(b) != body) {
				err = fmt.Errorf("%s %q", r.Status, b)
			}
			return err
		})
	}
	worker("stream", func() error {
		c, err := dialSOCKS(f, host)
		if err != nil {
			return err
		}
		defer c.Close()
		fmt.Fprint(c, "GET /stream HTTP/1.0\r\n\r\n")
		b, err := io.ReadAll(c)
		if err == nil && !strings.HasSuffix(string(b), "end") {
			err = fmt.Errorf("the stream broke off after %d bytes", len(b))
		}
		return err
	})

	var drains sync.WaitGroup
	for i := range int64(100) {
		f.SetTarget(cores[(i+1)%2].target(i + 2))
		drains.Go(func() {
			if n := drain(f, i+1, 3*patience); n != 0 {
				t.Errorf("session %d: %d connections were cut", i+1, n)
			}
			f.Forget(i + 1)
		})
		for enough := done.Load() + 3; done.Load() < enough && failed.Load() == 0; {
			time.Sleep(time.Millisecond) // the load goes on for a while on each
		}
	}
	stop()
	load.Wait()
	client.CloseIdleConnections()
	drains.Wait()
	t.Logf("%d requests, %d failed", done.Load(), failed.Load())
	if done.Load() < 100 {
		t.Errorf("only %d requests", done.Load())
	}
}

// Swaps as fast as they go, between cores that are killed as soon as they are drained, with dead
// ones and none in between: all moments between two steps are met.
func TestSwapStorm(t *testing.T) {
	f := openFront(t, nil)
	dead := startFakeCore(t, echoServe)
	dead.kill()
	current := startFakeCore(t, echoServe)
	f.SetTarget(current.target(1))
	ctx, stop := context.WithCancel(t.Context())
	var swaps sync.WaitGroup
	swaps.Go(func() {
		for i := int64(2); ctx.Err() == nil; i++ {
			old := current
			switch current = nil; i % 4 {
			case 0:
				f.SetTarget(nil)
			case 1:
				f.SetTarget(dead.target(i))
			default:
				current = startFakeCore(t, echoServe)
				f.SetTarget(current.target(i))
			}
			drain(f, i-1, patience)
			f.Forget(i - 1)
			if old != nil {
				old.kill()
			}
		}
	})
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for range 100 {
				c, err := dialSOCKS(f, "a.invalid:1")
				if err != nil {
					t.Error(err)
					return
				}
				io.WriteString(c, "hello")
				c.CloseWrite()
				if b, err := io.ReadAll(c); string(b) != "hello" || err != nil {
					t.Errorf("%q %v", b, err)
				}
				c.Close()
			}
		})
	}
	load.Wait()
	stop()
	f.SetTarget(nil)
	swaps.Wait()
	eventually(t, "nothing is open", func() bool { return f.Total().Open == 0 })
}

// A core is killed and another takes over; whoever has not sent anything yet must not notice.
func TestKilledCore(t *testing.T) {
	f := openFront(t, nil)
	one, two := startRealCore(t), startRealCore(t)
	f.SetTarget(one.target(1))
	site := origin(t, func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "hello") })
	client := proxied(t, f, nil)
	if _, got, _ := fetch(t, client, site.URL); got != "hello" {
		t.Fatal(got)
	}
	one.kill()
	results := make(chan error, 20)
	for range cap(results) {
		go func() {
			r, err := client.Get(site.URL)
			if err == nil {
				r.Body.Close()
				if r.StatusCode != 200 {
					err = fmt.Errorf("%s", r.Status)
				}
			}
			results <- err
		}()
	}
	eventually(t, "requests wait", func() bool { return f.Waiting() > 0 })
	f.SetTarget(two.target(2))
	for range cap(results) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}
