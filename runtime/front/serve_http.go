package front

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/xrat-tray/xrat/runtime/socks5"
)

const (
	connectLine     = "CONNECT "
	established     = "HTTP/1.1 200 Connection established\r\n\r\n"
	proxyChallenge  = `Basic realm="xrat", charset="UTF-8"`
	textNotWorking  = "xrat: no working server. Nothing was sent. Try again shortly; \"xrat status\" says what is wrong, \"xrat rotate\" tries another server.\n"
	textReturned    = "xrat: this request has come back again and again: the server leads back to xrat. \"xrat rotate\" tries another one.\n"
	textNoAnswer    = "xrat: the connection ended before the destination answered. Try again; if it happens everywhere, \"xrat rotate\" tries another server.\n"
	textCredentials = "xrat: this proxy asks for the username and password of its settings.\n"
	textNotProxy    = "xrat: this is a proxy, not a web site. Ask it for http://host/path, or use CONNECT.\n"
	textDestination = "xrat: the destination of CONNECT is not host:port.\n"
	textBadRequest  = "xrat: this is not an HTTP request.\n"
	textTooLarge    = "xrat: the request header is too large.\n"
)

// serveHTTP serves a client of the listener that speaks only HTTP.
func (f *Front) serveHTTP(ctx context.Context, c *net.TCPConn) {
	if in := f.newIntake(c); in != nil {
		f.serveHTTPIntake(ctx, in)
	}
}

// serveHTTPIntake serves CONNECT itself, which needs neither the goroutines nor the buffers of an
// http.Server, and hands everything else to one. It releases in and closes its connection.
func (f *Front) serveHTTPIntake(ctx context.Context, in *intake) {
	c := in.conn
	for {
		line := []byte(connectLine)
		if n := min(len(in.data), len(line)); !bytes.Equal(in.data[:n], line[:n]) {
			f.serveWeb(ctx, in)
			return
		}
		var req *http.Request
		err := in.take(func(b []byte) (n int, err error) {
			req, n, err = cutConnect(b)
			return n, err
		})
		if err != nil {
			in.release()
			refuseConnect(c, err)
			return
		}
		if f.authorizedHTTP(req) {
			c.SetReadDeadline(time.Time{})
			early := bytes.Clone(in.data)
			in.release()
			f.serveConnect(ctx, c, req.Host, early)
			return
		}
		if _, err := c.Write(plainResponse(http.StatusProxyAuthRequired, textCredentials, "Proxy-Authenticate: "+proxyChallenge+"\r\n")); err != nil {
			in.release()
			c.Close()
			return
		}
		c.SetReadDeadline(time.Now().Add(handshakeTimeout))
		if len(in.data) == 0 {
			if err := in.fill(); err != nil {
				in.release()
				c.Close()
				return
			}
		}
	}
}

var errNotHTTP = errors.New("not an HTTP request")

// cutConnect parses the header of a CONNECT request, and returns its length.
func cutConnect(b []byte) (*http.Request, int, error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return nil, 0, socks5.ErrShort
	}
	n := end + len("\r\n\r\n")
	req, err := http.ReadRequest(bufio.NewReaderSize(bytes.NewReader(b[:n]), min(n, smallBuffer)))
	if err != nil {
		return nil, 0, errNotHTTP
	}
	return req, n, nil
}

func refuseConnect(c *net.TCPConn, err error) {
	switch {
	case errors.Is(err, errTooLong):
		refuse(c, plainResponse(http.StatusRequestHeaderFieldsTooLarge, textTooLarge, "Connection: close\r\n"))
	case errors.Is(err, errNotHTTP):
		refuse(c, plainResponse(http.StatusBadRequest, textBadRequest, "Connection: close\r\n"))
	default:
		c.Close()
	}
}

// serveConnect tunnels c to hostport. early is what the client has already sent.
func (f *Front) serveConnect(ctx context.Context, c *net.TCPConn, hostport string, early []byte) {
	dest, err := socks5.ParseAddress(hostport)
	if err != nil {
		refuse(c, plainResponse(http.StatusBadRequest, textDestination, "Connection: close\r\n"))
		return
	}
	f.log.Debug().Stringer("destination", dest).Msg("connect")
	f.serveTunnel(ctx, c, dest, early, []byte(established),
		plainResponse(http.StatusServiceUnavailable, textNotWorking, "Connection: close\r\n"))
}

// plainResponse is a whole response in plain text, with further header lines.
func plainResponse(status int, text, header string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n%s\r\n%s",
		status, http.StatusText(status), len(text), header, text)
}

// authorizedHTTP checks Proxy-Authorization (RFC 7617).
func (f *Front) authorizedHTTP(r *http.Request) bool {
	if !f.authenticates() {
		return true
	}
	scheme, encoded, _ := strings.Cut(r.Header.Get("Proxy-Authorization"), " ")
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	user, password, ok := bytes.Cut(decoded, []byte(":"))
	return strings.EqualFold(scheme, "Basic") && err == nil && ok && f.authorized(user, password)
}
