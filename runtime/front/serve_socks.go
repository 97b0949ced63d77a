package front

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/xrat-tray/xrat/runtime/socks5"
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
	case socks5.CommandConnect:
		f.log.Debug().Stringer("destination", dest).Msg("connect")
		early := bytes.Clone(in.data)
		dest = bytes.Clone(dest)
		in.release()
		f.serveTunnel(ctx, c, dest, early, socks5.AppendReply(nil, socks5.ReplySucceeded, netip.AddrPort{}), socks5.AppendReply(nil, socks5.ReplyFailure, netip.AddrPort{}))
	case socks5.CommandAssociate:
		in.release()
		f.serveUDP(ctx, c)
	default:
		in.release()
		refuse(c, socks5.AppendReply(nil, socks5.ReplyCommandUnsupported, netip.AddrPort{}))
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
		refuse(c, []byte{socks5.Version, socks5.MethodRefused})
	case errors.Is(err, errCredentials):
		refuse(c, []byte{socks5.VersionPassword, 1})
	case errors.Is(err, socks5.ErrAddressType):
		refuse(c, socks5.AppendReply(nil, socks5.ReplyAddressUnsupported, netip.AddrPort{}))
	case errors.Is(err, socks5.ErrEmptyName):
		refuse(c, socks5.AppendReply(nil, socks5.ReplyFailure, netip.AddrPort{}))
	default:
		c.Close()
	}
}

// socksHandshake goes through the methods and the credentials to the request. The destination is
// valid until in is read or released.
func (f *Front) socksHandshake(in *intake) (command byte, dest socks5.Address, err error) {
	var method byte
	err = in.take(func(b []byte) (int, error) {
		offered, n, err := socks5.CutGreeting(b)
		if err == nil {
			method, err = f.chooseMethod(offered)
		}
		return n, err
	})
	if err != nil {
		return 0, nil, err
	}
	if _, err := in.conn.Write([]byte{socks5.Version, method}); err != nil {
		return 0, nil, err
	}
	if method == socks5.MethodPassword {
		var right bool
		err := in.take(func(b []byte) (int, error) {
			user, password, n, err := socks5.CutPassword(b)
			right = !f.authenticates() || f.authorized(user, password)
			return n, err
		})
		if err != nil {
			return 0, nil, err
		}
		if !right {
			return 0, nil, errCredentials
		}
		if _, err := in.conn.Write([]byte{socks5.VersionPassword, 0}); err != nil {
			return 0, nil, err
		}
	}
	err = in.take(func(b []byte) (n int, err error) {
		command, dest, n, err = socks5.CutRequest(b)
		return n, err
	})
	return command, dest, err
}

// chooseMethod prefers what is needed. A client that insists on sending credentials where none are
// needed may do so.
func (f *Front) chooseMethod(offered []byte) (byte, error) {
	if !f.authenticates() && bytes.IndexByte(offered, socks5.MethodNone) >= 0 {
		return socks5.MethodNone, nil
	}
	if bytes.IndexByte(offered, socks5.MethodPassword) >= 0 {
		return socks5.MethodPassword, nil
	}
	return 0, errNoMethod
}
