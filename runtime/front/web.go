package front

import (
	"bytes"
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/runtime/mark"
	"github.com/xrat-tray/xrat/runtime/socks5"
)

const (
	maxHeader    = 64 << 10
	clientIdle   = 5 * time.Minute  // between two requests of a client
	upstreamIdle = 15 * time.Second // between two requests to an origin; well under the usual drain
)

// webServer serves plain HTTP requests, for which a proxy has to understand HTTP.
type webServer struct {
	f     *Front
	ctx   context.Context
	srv   *http.Server
	conns *handoff
	proxy *httputil.ReverseProxy
	fresh *http.Transport // one connection for each request
	done  chan struct{}   // closed when srv has ended
	wg    sync.WaitGroup  // exchanges of hedge
}

func (f *Front) newWebServer(r *run) *webServer {
	w := &webServer{
		f: f, ctx: r.ctx, fresh: f.newTransport(nil), done: make(chan struct{}),
		conns: &handoff{conns: make(chan net.Conn), closed: make(chan struct{})},
	}
	quiet := log.New(debugWriter{f.log}, "", 0)
	w.proxy = &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.Out.URL.RawQuery = pr.In.URL.RawQuery // as it came, also what net/url cannot parse
		},
		Transport:     w,
		FlushInterval: -1,
		BufferPool:    f.pools,
		ErrorLog:      quiet,
		ErrorHandler:  failWeb,
	}
	w.srv = &http.Server{
		Handler:           w,
		ReadHeaderTimeout: handshakeTimeout,
		IdleTimeout:       clientIdle,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          quiet,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, webConnKey{}, c)
		},
		ConnState: func(c net.Conn, s http.ConnState) {
			wc := c.(*webConn)
			switch s {
			case http.StateHijacked:
				wc.hijacked = true
			case http.StateClosed:
				wc.end()
			}
		},
	}
	go func() {
		defer close(w.done)
		w.srv.Serve(w.conns)
	}()
	return w
}

func (w *webServer) close() {
	w.srv.Close()
	<-w.done
	w.fresh.CloseIdleConnections()
	for _, st := range []*state{w.f.state.Load(), w.f.standby.Load()} {
		if st.target != nil {
			st.target.web.CloseIdleConnections()
		}
	}
	w.wg.Wait()
}

// serveWeb hands the client over, with what was read of it, and waits until it is gone.
func (f *Front) serveWeb(ctx context.Context, in *intake) {
	c := in.conn
	f.understand(c)
	c.SetReadDeadline(time.Time{})
	wc := &webConn{Conn: c, tcp: c, unread: bytes.Clone(in.data), ended: make(chan struct{})}
	in.release()
	f.mu.Lock()
	r := f.run
	f.mu.Unlock()
	if r == nil || r.ctx != ctx || !r.web.conns.give(wc) {
		c.Close()
		return
	}
	<-wc.ended
}

// ServeHTTP serves one request.
func (w *webServer) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	wc := r.Context().Value(webConnKey{}).(*webConn)
	defer func() {
		if wc.hijacked {
			wc.Close()
			wc.end()
		}
	}()
	switch {
	case !w.f.authorizedHTTP(r):
		rw.Header().Set("Proxy-Authenticate", proxyChallenge)
		http.Error(rw, textCredentials, http.StatusProxyAuthRequired)
	case r.Method == http.MethodConnect:
		w.connect(rw, r, wc)
	case r.URL.Scheme != "http" || r.URL.Host == "":
		http.Error(rw, textNotProxy, http.StatusBadRequest)
	case w.f.returned(mark.OfTag(r.Header.Get(mark.Field))):
		http.Error(rw, textReturned, http.StatusLoopDetected)
	default:
		w.f.log.Debug().Str("destination", r.URL.Host).Msg("request")
		// Present but empty, these keep the server from adding its own where the origin has none.
		rw.Header()["Date"] = nil
		rw.Header()["Content-Type"] = nil
		w.proxy.ServeHTTP(rw, r)
	}
}

// connect serves a CONNECT that came after other requests.
func (w *webServer) connect(rw http.ResponseWriter, r *http.Request, wc *webConn) {
	_, rest, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		http.Error(rw, textBadRequest, http.StatusBadRequest)
		return
	}
	early, _ := rest.Reader.Peek(rest.Reader.Buffered())
	early = append(bytes.Clone(early), wc.unread...)
	wc.tcp.SetDeadline(time.Time{})
	w.f.serveConnect(w.ctx, wc.tcp, r.Host, early)
}

func failWeb(rw http.ResponseWriter, _ *http.Request, err error) {
	if errors.Is(err, errNoCore) {
		http.Error(rw, textNotWorking, http.StatusServiceUnavailable)
		return
	}
	if errors.Is(err, socks5.ErrNoAddress) {
		http.Error(rw, textNotProxy, http.StatusBadRequest)
		return
	}
	http.Error(rw, textNoAnswer, http.StatusBadGateway)
}

type webConnKey struct{}

// webConn is a client's connection with the bytes that were read before it was handed over.
type webConn struct {
	net.Conn
	tcp      *net.TCPConn
	unread   []byte
	hijacked bool // set before the handler can know that it hijacked
	ended    chan struct{}
	once     sync.Once
}

func (c *webConn) Read(p []byte) (int, error) {
	if len(c.unread) > 0 {
		n := copy(p, c.unread)
		c.unread = c.unread[n:]
		return n, nil
	}
	return c.tcp.Read(p)
}

func (c *webConn) CloseWrite() error { return c.tcp.CloseWrite() }

func (c *webConn) end() { c.once.Do(func() { close(c.ended) }) }

// handoff is the listener of the http.Server.
type handoff struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (h *handoff) give(c net.Conn) bool {
	select {
	case h.conns <- c:
		return true
	case <-h.closed:
		return false
	}
}

func (h *handoff) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *handoff) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

func (h *handoff) Addr() net.Addr { return &net.TCPAddr{} }

// debugWriter takes the complaints of net/http, which may quote requests, at debug level.
type debugWriter struct{ log zerolog.Logger }

func (w debugWriter) Write(p []byte) (int, error) {
	w.log.Debug().Str("text", string(bytes.TrimSpace(p))).Msg("plain HTTP")
	return len(p), nil
}
