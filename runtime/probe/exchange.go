package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"math"
	"net"
	"net/http"
	"time"

	"github.com/xrat-tray/xrat/runtime/mark"
)

// answer is the answer to one request, with the connection over which it comes.
type answer struct {
	*http.Response // nil if there was none
	conn           *earlyConn
	stop           func() bool
}

// exchangeHTTP sends a request through p, over a connection of its own, and returns the head of the
// answer; the body is read from it. What comes is noted in came, if there is one. The end of ctx
// ends both. The answer is to be closed, also if there is an error.
//
// It does what an http.Transport without keep-alive does, in the goroutine of its caller: checks go
// on all day, and most of their cost is the waking of threads.
func exchangeHTTP(ctx context.Context, p Proxy, request *http.Request, came *progress) (answer, error) {
	return exchange(ctx, p, request, came, &tls.Config{ServerName: request.URL.Hostname(), NextProtos: []string{"http/1.1"}})
}

// exchange is exchangeHTTP with this configuration of TLS.
func exchange(ctx context.Context, p Proxy, request *http.Request, came *progress, config *tls.Config) (a answer, err error) {
	port := request.URL.Port()
	secret := request.URL.Scheme == "https"
	switch {
	case port != "":
	case secret:
		port = "443"
	default:
		port = "80"
	}
	if request.URL.Scheme != "http" && !secret {
		return a, http.ErrNotSupported
	}
	if a.conn, err = dialEarly(ctx, p, net.JoinHostPort(request.URL.Hostname(), port)); err != nil {
		return a, err
	}
	a.conn.came = came
	a.stop = context.AfterFunc(ctx, func() { _ = a.conn.SetDeadline(time.Unix(1, 0)) })
	var conn net.Conn = a.conn
	if secret {
		conn = tls.Client(conn, config)
	}
	if user := request.URL.User; user != nil {
		password, _ := user.Password()
		request.SetBasicAuth(user.Username(), password)
	}
	request.Close = true
	out := bufio.NewWriter(conn) // one write: the first is what the core waits for
	if err := request.Write(out); err != nil {
		return a, err
	}
	if err := out.Flush(); err != nil {
		return a, err
	}
	limited := &io.LimitedReader{R: conn, N: maxBody}
	in := bufio.NewReader(limited)
	for {
		if a.Response, err = http.ReadResponse(in, request); err != nil {
			return a, err
		}
		if a.StatusCode >= 200 || a.StatusCode == http.StatusSwitchingProtocols {
			break
		}
	}
	limited.N = math.MaxInt64 // heads are bounded; how much of a body is read is the caller's business
	return a, nil
}

// sent is the mark of what has gone out; 0: nothing.
func (a answer) sent() mark.Mark {
	if a.conn == nil {
		return 0
	}
	return a.conn.mark()
}

func (a answer) close() {
	if a.conn != nil {
		a.stop()
		a.conn.Close()
	}
}
