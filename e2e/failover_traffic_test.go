//go:build linux

package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/proxy"

	"github.com/xrat-tray/xrat/runtime/lab"
)

const (
	// requestTimeout is the patience of a usual application with a request, from its connect to the
	// end of the answer.
	requestTimeout = 10 * time.Second
	// streamTime is how long a stream takes: less than the drain, as a longer stream is ended by
	// that.
	streamTime = 15 * time.Second
	// streamPause comes before a stream that broke is opened again.
	streamPause = time.Second
	// hangs is how long a stream is silent before it counts as hanging.
	hangs = 3 * time.Second
	// postEvery: one in so many requests is a POST.
	postEvery = 50
)

// demand says how much traffic there is.
type demand struct {
	perSecond int // requests
	waiting   int // requests at the same time at most; 0: however many
	timeout   time.Duration
	streams   int
	interval  time.Duration // between two lines of a stream
}

// testDemand is that of a test. It lets up where the machine does not keep up, so that what fails
// does not fail for want of processor time.
var testDemand = demand{perSecond: 20, waiting: 10, timeout: 3 * requestTimeout, streams: 6, interval: 100 * time.Millisecond}

// traffic is what applications do: requests at a steady rate, each over a connection of its own,
// and streams.
type traffic struct {
	demand
	origin      *lab.Origin
	socks, http string // the proxy's addresses
	cancel      context.CancelFunc
	workers     sync.WaitGroup

	mu       sync.Mutex
	requests []request
	followed []*stream
}

// request is one that has ended.
type request struct {
	way          int
	post         string // the identity of a POST; empty: GET
	began, ended time.Time
	err          error
	// cut: the answer had begun, so that nobody could have sent the request again.
	cut bool
}

// String tells how it failed.
func (r request) String() string {
	method := "GET"
	if r.post != "" {
		method = "POST"
	}
	when := ""
	if r.cut {
		when = " mid-answer"
	}
	return fmt.Sprintf("%s by %s%s: %v", method, wayNames[r.way], when, r.err)
}

// stream is one long answer.
type stream struct {
	began  time.Time
	heard  atomic.Int64 // when data came last, Unix nanoseconds; 0: never
	ended  time.Time    // zero: it goes on
	err    error
	opened string // how, for messages
}

// startTraffic starts what runs until halt.
func startTraffic(origin *lab.Origin, socks, http string, d demand) *traffic {
	ctx, cancel := context.WithCancel(context.Background())
	t := &traffic{demand: d, origin: origin, socks: socks, http: http, cancel: cancel}
	if d.perSecond > 0 {
		t.workers.Go(func() { t.request(ctx) })
	}
	for i := range d.streams {
		t.workers.Go(func() { t.stream(ctx, i) })
	}
	return t
}

// halt ends the streams, lets the requests that are under way end, and tells when it began.
func (t *traffic) halt() time.Time {
	now := time.Now()
	t.cancel()
	t.workers.Wait()
	return now
}

// request starts them by the clock: one that is late is not left out.
func (t *traffic) request(ctx context.Context) {
	interval := time.Second / time.Duration(t.perSecond)
	var places chan struct{}
	if t.waiting > 0 {
		places = make(chan struct{}, t.waiting)
	}
	began := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := 0; ; i++ {
		timer.Reset(time.Until(began.Add(time.Duration(i) * interval)))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if places != nil {
			select {
			case <-ctx.Done():
				return
			case places <- struct{}{}:
			}
		}
		t.workers.Go(func() {
			r := t.one(i)
			if places != nil {
				<-places
			}
			t.mu.Lock()
			defer t.mu.Unlock()
			t.requests = append(t.requests, r)
		})
	}
}

// one makes the i-th request: plain HTTP through the proxy, HTTP through a SOCKS CONNECT or HTTPS
// through an HTTP CONNECT by turns, now and then a POST.
func (t *traffic) one(i int) request {
	r := request{way: i % 3, began: time.Now()}
	text := "GET /exit HTTP/1.1\r\nHost: origin\r\nConnection: close\r\n\r\n"
	if i%postEvery == postEvery-1 {
		r.post = fmt.Sprintf("%d", i)
		text = fmt.Sprintf("POST /echo/%d HTTP/1.1\r\nHost: origin\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", i)
	}
	r.cut, r.err = t.exchange(r.way, text, func(body string) error {
		if r.post == "" && (body == "direct" || body == "") || r.post != "" && body != "hello" {
			return fmt.Errorf("the answer is %q", body)
		}
		return nil
	})
	r.ended = time.Now()
	return r
}

// exchange sends one request, written for the origin, over a new connection and reads the answer.
// check may be nil.
func (t *traffic) exchange(way int, text string, check func(body string) error) (cut bool, err error) {
	deadline := time.Now().Add(t.timeout)
	conn, text, err := t.open(way, text, deadline)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	heard := &hearing{Conn: conn}
	var site net.Conn = heard
	if way == wayTLS {
		// The lab's certificate is by no authority; who answers is not the point here.
		site = tls.Client(heard, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	}
	if _, err := io.WriteString(site, text); err != nil {
		return heard.anything, err
	}
	response, err := http.ReadResponse(bufio.NewReader(site), nil)
	if err != nil {
		return heard.anything, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return true, err
	}
	if response.StatusCode/100 != 2 {
		return false, fmt.Errorf("status %s: %.100q", response.Status, body)
	}
	if check == nil {
		return false, nil
	}
	return false, check(string(body))
}

// The ways to the origin.
const (
	wayPlain = iota
	waySOCKS
	wayTLS
)

var wayNames = []string{"plain HTTP", "SOCKS", "CONNECT and TLS"}

// open connects to the proxy, and through it where the way has a CONNECT. It returns the request as
// it is to be sent there.
func (t *traffic) open(way int, text string, deadline time.Time) (_ net.Conn, _ string, err error) {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	if way == waySOCKS {
		dialer, err := proxy.SOCKS5("tcp", t.socks, nil, nil)
		if err != nil {
			return nil, "", err
		}
		conn, err := dialer.(proxy.ContextDialer).DialContext(ctx, "tcp", t.origin.HTTPAddress())
		if err != nil {
			return nil, "", err
		}
		return conn, text, conn.SetDeadline(deadline)
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", t.http)
	if err != nil {
		return nil, "", err
	}
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()
	if err = conn.SetDeadline(deadline); err != nil {
		return nil, "", err
	}
	if way == wayPlain {
		return conn, strings.Replace(text, " /", " "+t.origin.URL("/"), 1), nil
	}
	address := strings.TrimPrefix(t.origin.HTTPSURL(""), "https://")
	if _, err = fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", address); err != nil {
		return nil, "", err
	}
	// Nothing follows the answer before the ClientHello.
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodConnect})
	if err != nil {
		return nil, "", err
	}
	if response.StatusCode != http.StatusOK {
		err = fmt.Errorf("CONNECT: status %s", response.Status)
		return nil, "", err
	}
	return conn, text, nil
}

// hearing notes whether something was read.
type hearing struct {
	net.Conn
	anything bool
}

func (h *hearing) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	h.anything = h.anything || n > 0
	return n, err
}

// stream keeps the i-th stream open until ctx ends, with a new one after each that has ended.
func (t *traffic) stream(ctx context.Context, i int) {
	for ctx.Err() == nil {
		s := &stream{began: time.Now(), opened: wayNames[i%3]}
		t.mu.Lock()
		t.followed = append(t.followed, s)
		t.mu.Unlock()
		err := t.follow(ctx, i%3, s)
		if ctx.Err() != nil {
			return // it goes on, or hangs
		}
		t.mu.Lock()
		s.err, s.ended = err, time.Now()
		t.mu.Unlock()
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(streamPause):
			}
		}
	}
}

// follow reads a stream to its end and checks every byte of it.
func (t *traffic) follow(ctx context.Context, way int, s *stream) error {
	lines := int(streamTime / t.interval)
	text := fmt.Sprintf("GET /stream?interval=%v&chunks=%d HTTP/1.1\r\nHost: origin\r\nConnection: close\r\n\r\n", t.interval, lines)
	conn, text, err := t.open(way, text, time.Now().Add(t.timeout))
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := conn.SetDeadline(time.Time{}); err != nil { // the application waits as long as it takes
		return err
	}
	var site = conn
	if way == wayTLS {
		site = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	}
	if _, err := io.WriteString(site, text); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(site), nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", response.Status)
	}
	scanner := bufio.NewScanner(response.Body)
	n := 0
	for ; scanner.Scan(); n++ {
		s.heard.Store(time.Now().UnixNano())
		if want := fmt.Sprintf("chunk %d", n); scanner.Text() != want {
			return fmt.Errorf("line %q instead of %q", scanner.Text(), want)
		}
	}
	if err := scanner.Err(); err != nil {
		return err
	}
	if n != lines {
		return fmt.Errorf("it ended after %d lines", n)
	}
	return nil
}

// open reports whether the stream has had data and goes on.
func (s *stream) open() bool { return s.ended.IsZero() && s.heard.Load() != 0 }

// silent reports whether an open stream has had no data since that time.
func (s *stream) silent(since time.Time) bool {
	return s.open() && s.heard.Load() < since.UnixNano()
}

// anySilent reports whether an application waits for data that does not come.
func (t *traffic) anySilent(since time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.followed {
		if s.silent(since) {
			return true
		}
	}
	return false
}

// TestFailoverTraffic: the load finds fault with what is wrong, and only that.
func TestFailoverTraffic(t *testing.T) {
	b := newBox(t, "")
	b.serve(lab.VLESS)
	b.ok("connect")
	traffic := startTraffic(b.lab.Origin(), b.socks, b.http, testDemand)
	time.Sleep(time.Second)
	must(t, b.servers[0].Freeze())
	// What was under way arrives a little later, on a busy machine a lot.
	silence := 10 * traffic.interval
	for deadline := time.Now().Add(5 * time.Second); !traffic.anySilent(time.Now().Add(-silence)); time.Sleep(traffic.interval) {
		if time.Now().After(deadline) {
			t.Error("frozen streams go on")
			break
		}
	}
	must(t, b.servers[0].Thaw())
	time.Sleep(700 * time.Millisecond)
	traffic.halt()
	for _, r := range traffic.requests {
		if r.err != nil {
			t.Errorf("request: %v", r.err)
		}
		if r.post != "" && b.lab.Origin().Requests("POST", "/echo/"+r.post) != 1 {
			t.Errorf("POST %s was not counted once", r.post)
		}
	}
	if len(traffic.followed) != 6 || len(traffic.requests) < 10 {
		t.Errorf("%d streams, %d requests", len(traffic.followed), len(traffic.requests))
	}
	for _, s := range traffic.followed {
		if !s.open() {
			t.Errorf("stream by %s: %v", s.opened, s.err)
		}
	}
	// Without a proxy everything fails.
	b.ok("disconnect")
	if cut, err := traffic.exchange(wayPlain, "GET /exit HTTP/1.1\r\n\r\n", nil); cut || err == nil {
		t.Errorf("without a proxy: cut %v, error %v", cut, err)
	}
	if cut, err := traffic.exchange(wayTLS, "", nil); cut || err == nil {
		t.Errorf("without a proxy: cut %v, error %v", cut, err)
	}
}
