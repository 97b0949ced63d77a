package probe

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/xrat-tray/xrat/runtime/socks5"
)

// Proxy is a SOCKS5 address. User and Password are both empty when the proxy asks for no
// authentication.
type Proxy struct {
	Address  string // host:port
	User     string
	Password string
}

// String gives the address only.
func (p Proxy) String() string { return p.Address }

// GoString gives the address only.
func (p Proxy) GoString() string { return fmt.Sprintf("probe.Proxy{Address:%q}", p.Address) }

// tooLong reports whether the login cannot be said in SOCKS5.
func (p Proxy) tooLong() bool { return len(p.User) > 255 || len(p.Password) > 255 }

// Handshake reports whether a SOCKS5 server answers on p: the greeting and, when a user is given,
// the authentication. It asks for no connection, so nothing leaves the machine. The deadline is the
// context's.
func Handshake(ctx context.Context, p Proxy) error {
	if p.tooLong() {
		return errors.New("SOCKS user and password can have at most 255 bytes each (RFC 1929)")
	}
	return converse(ctx, p.Address, func(conn net.Conn) error {
		method := byte(socks5.MethodNone)
		if p.User != "" {
			method = socks5.MethodPassword
		}
		if _, err := conn.Write(socks5.AppendGreeting(nil, p.User)); err != nil {
			return fmt.Errorf("sending the SOCKS greeting: %w", err)
		}
		var reply [2]byte
		if _, err := io.ReadFull(conn, reply[:]); err != nil {
			return fmt.Errorf("reading the answer to the SOCKS greeting: %w", err)
		}
		switch {
		case reply[0] != socks5.Version:
			return fmt.Errorf("the answer is not SOCKS5 (first byte %#02x)", reply[0])
		case reply[1] == socks5.MethodRefused:
			return errors.New("the SOCKS server refuses the authentication method")
		case reply[1] != method:
			return fmt.Errorf("the SOCKS server chose method %#02x, which was not offered", reply[1])
		case method == socks5.MethodNone:
			return nil
		}
		if _, err := conn.Write(socks5.AppendPassword(nil, p.User, p.Password)); err != nil {
			return fmt.Errorf("sending the SOCKS login: %w", err)
		}
		if _, err := io.ReadFull(conn, reply[:]); err != nil {
			return fmt.Errorf("reading the answer to the SOCKS login: %w", err)
		}
		if reply[1] != 0 {
			return errors.New("the SOCKS server refuses user and password")
		}
		return nil
	})
}

// HTTPInbound reports whether an HTTP proxy answers on address: any well-formed reply will do. The
// request is OPTIONS with Max-Forwards: 0, which a proxy must answer itself (RFC 9110 section
// 7.6.2), so nothing leaves the machine. The deadline is the context's.
func HTTPInbound(ctx context.Context, address, user, password string) error {
	return converse(ctx, address, func(conn net.Conn) error {
		request := "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nMax-Forwards: 0\r\nConnection: close\r\n"
		if user != "" {
			request += "Proxy-Authorization: Basic " +
				base64.StdEncoding.EncodeToString([]byte(user+":"+password)) + "\r\n"
		}
		if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
			return fmt.Errorf("sending the HTTP request: %w", err)
		}
		bounded := bufio.NewReader(io.LimitReader(conn, maxBody))
		response, err := http.ReadResponse(bounded, &http.Request{Method: http.MethodOptions})
		if err != nil {
			return fmt.Errorf("reading the HTTP reply: %w", err)
		}
		response.Body.Close()
		return nil
	})
}

// converse runs talk on a new connection to address and closes it. The end of ctx, also without a
// deadline, ends the talk.
func converse(ctx context.Context, address string, talk func(net.Conn) error) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err // names the address already
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := talk(conn); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err() // the cause of the I/O error
		}
		return fmt.Errorf("%s: %w", address, err)
	}
	return nil
}
