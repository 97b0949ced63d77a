package front

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// serveSOCKS serves a client that speaks SOCKS5. It releases in and closes its connection.
func (f *Front) serveSOCKS(ctx context.Context, in *intake) {
	c := in.conn
	command, dest, err := f.socksHandshake(in)
	if err != nil {
		in.release()
		f.refuseSOCKS(c, err)
		return
	}
	c.SetReadDeadline(time.Time{})
	switch command {
	case commandConnect:
		f.log.Debug().Stringer("destination", dest).Msg("connect")
		early := bytes.Clone(in.data)
		dest = bytes.Clone(dest)
		in.release()
		f.serveTunnel(ctx, c, dest, early, appendReply(nil, replySucceeded, netip.AddrPort{}), appendReply(nil, replyFailure, netip.AddrPort{}))
	case commandAssociate:
		in.release()
		f.serveUDP(ctx, c)
	default:
		in.release()
		refuse(c, appendReply(nil, replyCommandUnsupported, netip.AddrPort{}))
	}
}

// errors of the handshake to which RFC 1928 has an answer
var (
	errNoMethod    = errors.New("the client offers no way to authenticate that is taken here")
	errCredentials = errors.New("wrong username or password")
)

func (f *Front) refuseSOCKS(c *net.TCPConn, err error) {
	f.log.Debug().Err(err).Msg("refusing a SOCKS client")
	switch {
	case errors.Is(err, errNoMethod):
		refuse(c, []byte{socks5, methodRefused})
	case errors.Is(err, errCredentials):
		refuse(c, []byte{passwordVersion, 1})
	case errors.Is(err, errAddressType):
		refuse(c, appendReply(nil, replyAddressUnsupported, netip.AddrPort{}))
	case errors.Is(err, errEmptyName):
		refuse(c, appendReply(nil, replyFailure, netip.AddrPort{}))
	default:
		c.Close()
	}
}

// socksHandshake goes through the methods and the credentials to the request. The destination is valid until in is read
// or released.
func (f *Front) socksHandshake(in *intake) (command byte, dest address, err error) {
	var method byte
	err = in.take(func(b []byte) (int, error) {
		offered, n, err := cutGreeting(b)
		if err == nil {
			method, err = f.chooseMethod(offered)
		}
		return n, err
	})
	if err != nil {
		return 0, nil, err
	}
	if _, err := in.conn.Write([]byte{socks5, method}); err != nil {
		return 0, nil, err
	}
	if method == methodPassword {
		var right bool
		err := in.take(func(b []byte) (int, error) {
			user, password, n, err := cutPassword(b)
			right = !f.authenticates() || f.authorized(user, password)
			return n, err
		})
		if err != nil {
			return 0, nil, err
		}
		if !right {
			return 0, nil, errCredentials
		}
		if _, err := in.conn.Write([]byte{passwordVersion, 0}); err != nil {
			return 0, nil, err
		}
	}
	err = in.take(func(b []byte) (n int, err error) {
		command, dest, n, err = cutRequest(b)
		return n, err
	})
	return command, dest, err
}

// chooseMethod prefers what is needed. A client that insists on sending credentials where none are needed may do so.
func (f *Front) chooseMethod(offered []byte) (byte, error) {
	if !f.authenticates() && bytes.IndexByte(offered, methodNone) >= 0 {
		return methodNone, nil
	}
	if bytes.IndexByte(offered, methodPassword) >= 0 {
		return methodPassword, nil
	}
	return 0, errNoMethod
}
