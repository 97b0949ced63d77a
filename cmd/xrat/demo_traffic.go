package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/xrat-tray/xrat/runtime/lab"
)

const (
	trafficRate    = 50 // requests a second
	trafficStreams = 5
)

// traffic is what a busy application sends, and how it fares.
type traffic struct {
	origin *lab.Origin
	client *http.Client
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu  sync.Mutex
	sum numbers
}

// numbers count the traffic so far.
type numbers struct {
	sent, failed, refused, broken int
	exit                          string // the server that the last request left through
	err                           error  // the last one
}

// startTraffic sends requests through a SOCKS address until it is stopped.
func startTraffic(socks string, origin *lab.Origin) *traffic {
	ctx, cancel := context.WithCancel(context.Background())
	t := &traffic{origin: origin, cancel: cancel}
	t.client = &http.Client{Transport: &http.Transport{
		Proxy:             http.ProxyURL(&url.URL{Scheme: "socks5", Host: socks}),
		DisableKeepAlives: true, // a new connection for each
	}}
	t.done.Go(func() {
		ticker := time.NewTicker(time.Second / trafficRate)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				t.done.Go(func() { t.request(ctx) })
			}
		}
	})
	for range trafficStreams {
		t.done.Go(func() { t.stream(ctx) })
	}
	return t
}

func (t *traffic) request(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	body, err := t.get(limited, "/exit", nil)
	if ctx.Err() != nil {
		return // cut off by the end
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sum.sent++
	if err != nil {
		t.sum.failed++
		t.sum.err = err
		if errors.Is(err, syscall.ECONNREFUSED) {
			t.sum.refused++
		}
		return
	}
	t.sum.exit = body
}

// stream downloads until the end.
func (t *traffic) stream(ctx context.Context) {
	_, err := t.get(ctx, "/stream?interval=20ms&chunks=1000000", io.Discard)
	if ctx.Err() != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sum.broken++
	t.sum.err = err
}

// get fetches a page of the origin and returns its body, unless that is to be copied to into.
func (t *traffic) get(ctx context.Context, path string, into io.Writer) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.origin.URL(path), nil)
	if err != nil {
		return "", err
	}
	response, err := t.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the site answered %s", response.Status)
	}
	if into != nil {
		_, err = io.Copy(into, response.Body)
		return "", err
	}
	body, err := io.ReadAll(response.Body)
	return strings.TrimSpace(string(body)), err
}

func (t *traffic) numbers() numbers {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sum
}

// stop stops the traffic and returns the final numbers.
func (t *traffic) stop() numbers {
	t.cancel()
	t.done.Wait()
	return t.numbers()
}
