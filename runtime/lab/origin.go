package lab

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Answer is how the origin answers HTTP requests.
type Answer int32

// The answers.
const (
	AnswerTruth  Answer = iota // what was asked for
	AnswerPortal               // 200 with a login page, as a captive portal does
	AnswerError                // 503 with an error page
)

// Origin is the site that clients of the lab visit: HTTP and HTTPS with the same pages, an echo for
// UDP, and a TCP service in which the server speaks first.
//
//	/generate_204            204, empty
//	/exit                    the name of the server that the request came through
//	/bytes?n=                n zero bytes
//	/stream?interval=&chunks= a line per interval ("10ms"), flushed
//	/stall?n=&after=         n zero bytes, of which no more than the first ones ever come; with
//	                         cut=1 the connection ends then
//	/slow?wait=              204 after wait, nothing before
//	/echo, /echo/ANYTHING    the request's body (POST)
//
// Its methods may be called at any time and by several goroutines.
type Origin struct {
	http, https net.Listener
	server      *http.Server
	udp         *net.UDPConn
	banner      net.Listener
	group       sync.WaitGroup
	answer      atomic.Int32
	counts      sync.Map // "GET /path" -> *atomic.Int64
	losses      sync.Map // path -> share of requests, float64

	mu    sync.Mutex
	exits map[netip.Addr]*exit
	conns map[net.Conn]struct{} // of banner; nil: closed
}

func newOrigin(cert certificate) (_ *Origin, err error) {
	o := &Origin{exits: make(map[netip.Addr]*exit), conns: make(map[net.Conn]struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("opening the origin: %w", err), o.close())
		}
	}()
	for _, listener := range []*net.Listener{&o.http, &o.https, &o.banner} {
		plain, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		*listener = &exitListener{plain, o}
	}
	if o.udp, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		return nil, err
	}
	o.server = &http.Server{
		Handler:           o.handler(),
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0), // clients that break off are what a lab is for
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{cert.tls},
			MinVersion:   tls.VersionTLS12, // REALITY's visitors take 1.3
			NextProtos:   []string{"h2", "http/1.1"},
		},
	}
	o.group.Go(func() { _ = o.server.Serve(o.http) })
	o.group.Go(func() { _ = o.server.ServeTLS(o.https, "", "") })
	o.group.Go(o.echoUDP)
	o.group.Go(o.greet)
	return o, nil
}

// URL gives the HTTP address of a page: URL("/exit").
func (o *Origin) URL(path string) string { return "http://" + o.http.Addr().String() + path }

// RemoteURL is URL by an address that is not of this machine, for clients of servers: they take
// [RemoteHost] for the origin's.
func (o *Origin) RemoteURL(path string) string {
	_, port, _ := net.SplitHostPort(o.http.Addr().String())
	return "http://" + net.JoinHostPort(RemoteHost, port) + path
}

// HTTPSURL gives the HTTPS address of a page; its certificate is for lab.test and 127.0.0.1, by no
// known authority.
func (o *Origin) HTTPSURL(path string) string { return "https://" + o.https.Addr().String() + path }

// HTTPAddress is the host:port of HTTP.
func (o *Origin) HTTPAddress() string { return o.http.Addr().String() }

func (o *Origin) tlsAddress() string { return o.https.Addr().String() }

// UDPAddress is where datagrams are sent back from, unchanged; the datagram "exit" is answered with
// the name of the server that it came through.
func (o *Origin) UDPAddress() string { return o.udp.LocalAddr().String() }

// TCPAddress is where a line "hello NAME", NAME being the server that the connection came through,
// comes before the client has said a word; then everything is sent back.
func (o *Origin) TCPAddress() string { return o.banner.Addr().String() }

// SetAnswer changes how HTTP requests are answered from now on.
func (o *Origin) SetAnswer(a Answer) { o.answer.Store(int32(a)) }

// Lose leaves that share of the requests for path, from 0 to 1, without any answer from now on,
// chosen at random: as if packets were lost.
func (o *Origin) Lose(path string, share float64) { o.losses.Store(path, share) }

// loses throws the dice for a request.
func (o *Origin) loses(path string) bool {
	share, ok := o.losses.Load(path)
	return ok && rand.Float64() < share.(float64)
}

// filters reports whether a request came through a server that reaches nothing but one page.
func (o *Origin) filters(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	e := o.exitOf(from.Addr())
	return e != nil && e.healthOnly.Load()
}

// Requests counts the HTTP requests so far with this method and path.
func (o *Origin) Requests(method, path string) int64 { return o.counter(method + " " + path).Load() }

func (o *Origin) counter(key string) *atomic.Int64 {
	if n, ok := o.counts.Load(key); ok {
		return n.(*atomic.Int64)
	}
	n, _ := o.counts.LoadOrStore(key, new(atomic.Int64))
	return n.(*atomic.Int64)
}

// addExit says which server goes out from address.
func (o *Origin) addExit(address, name string) *exit {
	o.mu.Lock()
	defer o.mu.Unlock()
	e := &exit{name: name}
	o.exits[netip.MustParseAddr(address)] = e
	return e
}

// exitOf is the exit with that address; nil when no server goes out from it.
func (o *Origin) exitOf(address netip.Addr) *exit {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.exits[address.Unmap()]
}

// nameOf names the server that goes out from address; "direct" when none does.
func (o *Origin) nameOf(address netip.Addr) string {
	if e := o.exitOf(address); e != nil {
		return e.name
	}
	return "direct"
}

func (o *Origin) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/generate_204", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/exit", func(w http.ResponseWriter, r *http.Request) {
		from, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, o.nameOf(from.Addr()))
	})
	mux.HandleFunc("/bytes", sendBytes)
	mux.HandleFunc("/stall", stall)
	mux.HandleFunc("/stream", sendStream)
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		wait, err := time.ParseDuration(r.FormValue("wait"))
		if err != nil {
			http.Error(w, "wait: "+err.Error(), http.StatusBadRequest)
			return
		}
		select {
		case <-time.After(wait):
			w.WriteHeader(http.StatusNoContent)
		case <-r.Context().Done():
		}
	})
	echo := func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex() // so that a long body flows
		_, _ = io.Copy(w, r.Body)
	}
	mux.HandleFunc("POST /echo", echo)
	mux.HandleFunc("POST /echo/{id}", echo)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.counter(r.Method + " " + r.URL.Path).Add(1)
		if o.loses(r.URL.Path) || r.URL.Path != "/generate_204" && o.filters(r) {
			<-r.Context().Done() // the client has given up
			panic(http.ErrAbortHandler)
		}
		switch Answer(o.answer.Load()) {
		case AnswerPortal:
			_, _ = io.WriteString(w, "<html><title>Welcome</title>Please log in.</html>")
		case AnswerError:
			http.Error(w, "out of order", http.StatusServiceUnavailable)
		default:
			mux.ServeHTTP(w, r)
		}
	})
}

var zeros [64 << 10]byte

func sendBytes(w http.ResponseWriter, r *http.Request) {
	left, err := strconv.ParseInt(r.FormValue("n"), 10, 64)
	if err != nil || left < 0 {
		http.Error(w, "n has to be a number of bytes", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(left, 10))
	for left > 0 {
		n, err := w.Write(zeros[:min(left, int64(len(zeros)))])
		if err != nil {
			return
		}
		left -= int64(n)
	}
}

// stall sends the beginning of a body and nothing more.
func stall(w http.ResponseWriter, r *http.Request) {
	after, err := strconv.Atoi(r.FormValue("after"))
	if err != nil || after < 0 || after > len(zeros) {
		http.Error(w, "after has to be a number of bytes", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Length", r.FormValue("n"))
	_, _ = w.Write(zeros[:after])
	_ = http.NewResponseController(w).Flush()
	if r.FormValue("cut") == "" {
		<-r.Context().Done()
	}
	panic(http.ErrAbortHandler)
}

func sendStream(w http.ResponseWriter, r *http.Request) {
	interval, err := time.ParseDuration(r.FormValue("interval"))
	chunks, atoiErr := strconv.Atoi(r.FormValue("chunks"))
	if err = errors.Join(err, atoiErr); err != nil || interval <= 0 {
		http.Error(w, "interval and chunks are needed, like interval=10ms&chunks=100", http.StatusBadRequest)
		return
	}
	flusher := http.NewResponseController(w)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for i := range chunks {
		if _, err := fmt.Fprintf(w, "chunk %d\n", i); err != nil || flusher.Flush() != nil {
			return
		}
		select {
		case <-ticker.C:
		case <-r.Context().Done():
			return
		}
	}
}

func (o *Origin) echoUDP() {
	buffer := make([]byte, maxDatagram)
	for {
		n, from, err := o.udp.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // a client that is gone: ICMP
		}
		if e := o.exitOf(from.Addr()); e != nil && e.dead.Load() != nil {
			continue
		}
		answer := buffer[:n]
		if string(answer) == "exit" {
			answer = []byte(o.nameOf(from.Addr()))
		}
		_, _ = o.udp.WriteToUDPAddrPort(answer, from)
	}
}

func (o *Origin) greet() {
	for {
		conn, err := o.banner.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		o.mu.Lock()
		if o.conns == nil {
			o.mu.Unlock()
			_ = conn.Close()
			return
		}
		o.conns[conn] = struct{}{}
		o.mu.Unlock()
		o.group.Go(func() {
			_, _ = fmt.Fprintf(conn, "hello %s\n", o.nameOf(addressOf(conn)))
			_, _ = io.Copy(conn, conn)
			_ = conn.Close()
			o.mu.Lock()
			delete(o.conns, conn)
			o.mu.Unlock()
		})
	}
}

// close ends everything and waits for it; also of a half opened origin.
func (o *Origin) close() error {
	var errs []error
	for _, listener := range []net.Listener{o.http, o.https, o.banner} {
		if listener != nil {
			_ = listener.Close() // the server closes its two again
		}
	}
	if o.server != nil {
		if err := o.server.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if o.udp != nil {
		errs = append(errs, o.udp.Close())
	}
	o.mu.Lock()
	for conn := range o.conns {
		_ = conn.Close()
	}
	o.conns = nil
	o.mu.Unlock()
	o.group.Wait()
	return errors.Join(errs...)
}
