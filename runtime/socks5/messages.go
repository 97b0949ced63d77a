package socks5

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
)

// Version is the first byte of every message but those of the login, which begin with
// VersionPassword.
const (
	Version         = 0x05
	VersionPassword = 0x01
)

// Methods of authentication, and the server's answer when it takes none that the client offers.
const (
	MethodNone     = 0x00
	MethodPassword = 0x02
	MethodRefused  = 0xff
)

// Commands of a request.
const (
	CommandConnect   = 0x01
	CommandAssociate = 0x03
)

// Codes of a reply.
const (
	ReplySucceeded          = 0x00
	ReplyFailure            = 0x01
	ReplyCommandUnsupported = 0x07
	ReplyAddressUnsupported = 0x08
)

const (
	typeIPv4 = 0x01
	typeName = 0x03
	typeIPv6 = 0x04
)

// MinReplies is the least length that a server's replies to greeting, login and request have
// together.
const MinReplies = 2 + 2 + 3 + 1 + net.IPv4len + 2

const maxReplies = 2 + 2 + 3 + 1 + 1 + 255 + 2

var (
	// ErrShort asks for more bytes: what is there is a right beginning.
	ErrShort = errors.New("message is incomplete")

	ErrVersion     = errors.New("not a SOCKS5 message")
	ErrAddressType = errors.New("unknown address type")
	ErrEmptyName   = errors.New("empty host name")
	ErrNoAddress   = errors.New("not a host and a port") // what ParseAddress got
	ErrNoDatagram  = errors.New("not a SOCKS5 datagram")

	// ErrRefused is wrapped by every error about a reply that came whole and is not a success.
	ErrRefused = errors.New("the proxy refuses")

	errGreeting = fmt.Errorf("%w the greeting", ErrRefused)
	errPassword = fmt.Errorf("%w user and password", ErrRefused)
	errReply    = fmt.Errorf("%w in an answer that is not SOCKS5", ErrRefused)
)

// CutGreeting returns the methods that a client offers.
func CutGreeting(b []byte) (methods []byte, n int, err error) {
	if len(b) > 0 && b[0] != Version {
		return nil, 0, ErrVersion
	}
	if len(b) < 2 || len(b) < 2+int(b[1]) {
		return nil, 0, ErrShort
	}
	n = 2 + int(b[1])
	return b[2:n], n, nil
}

// CutPassword returns the user and the password that a client gives.
func CutPassword(b []byte) (user, password []byte, n int, err error) {
	if len(b) > 0 && b[0] != VersionPassword {
		return nil, nil, 0, ErrVersion
	}
	if len(b) < 2 {
		return nil, nil, 0, ErrShort
	}
	u := 2 + int(b[1])
	if len(b) < u+1 {
		return nil, nil, 0, ErrShort
	}
	n = u + 1 + int(b[u])
	if len(b) < n {
		return nil, nil, 0, ErrShort
	}
	return b[2:u], b[u+1 : n], n, nil
}

// CutRequest returns the command and the destination of a client's request. Its errors are those of
// CutAddress, and ErrVersion.
func CutRequest(b []byte) (command byte, dest Address, n int, err error) {
	if len(b) > 0 && b[0] != Version {
		return 0, nil, 0, ErrVersion
	}
	if len(b) < 4 {
		return 0, nil, 0, ErrShort
	}
	dest, err = CutAddress(b[3:])
	return b[1], dest, 3 + len(dest), err
}

// CutReplies returns the address in a server's reply to a request. The replies to greeting, login
// and request come as one stream; n is their length together. auth says whether there was a login.
// A refusal wraps ErrRefused.
func CutReplies(b []byte, auth bool) (bound Address, n int, err error) {
	method := byte(MethodNone)
	if auth {
		method = MethodPassword
	}
	if len(b) > 0 && b[0] != Version {
		return nil, 0, errGreeting
	}
	if len(b) < 2 {
		return nil, 0, ErrShort
	}
	if b[1] != method {
		return nil, 0, errGreeting
	}
	n = 2
	if auth {
		if len(b) < n+2 {
			return nil, 0, ErrShort
		}
		if b[n+1] != 0 {
			return nil, 0, errPassword
		}
		n += 2
	}
	if len(b) < n+4 {
		return nil, 0, ErrShort
	}
	if b[n] != Version {
		return nil, 0, errReply
	}
	if code := b[n+1]; code != ReplySucceeded {
		return nil, 0, fmt.Errorf("%w the connection (code %d)", ErrRefused, code)
	}
	bound, err = CutAddress(b[n+3:])
	if err != nil && err != ErrShort {
		err = errReply
	}
	return bound, n + 3 + len(bound), err
}

// ReadReplies reads what CutReplies needs. rest is what has come beyond it. The error is that of r,
// or wraps ErrRefused.
func ReadReplies(r io.Reader, auth bool) (bound Address, rest []byte, err error) {
	b := make([]byte, 0, maxReplies)
	for {
		bound, n, err := CutReplies(b, auth)
		if !errors.Is(err, ErrShort) {
			return bound, b[min(n, len(b)):], err
		}
		n, err = r.Read(b[len(b):cap(b)])
		if b = b[:len(b)+n]; n == 0 {
			if err == nil {
				err = io.ErrNoProgress
			}
			return nil, nil, err
		}
	}
}

// CutDatagram returns the length of the header of a datagram. The error is ErrNoDatagram, also for
// fragments, which RFC 1928 lets everyone drop.
func CutDatagram(b []byte) (header int, err error) {
	if len(b) < 4 || b[2] != 0 {
		return 0, ErrNoDatagram
	}
	dest, err := CutAddress(b[3:])
	if err != nil {
		return 0, ErrNoDatagram
	}
	return 3 + len(dest), nil
}

// AppendGreeting offers one method: the login if there is a user, and otherwise none.
func AppendGreeting(b []byte, user string) []byte {
	if user == "" {
		return append(b, Version, 1, MethodNone)
	}
	return append(b, Version, 1, MethodPassword)
}

// AppendPassword appends the user and the password; only the first 255 bytes of each can be said.
func AppendPassword(b []byte, user, password string) []byte {
	user, password = user[:min(len(user), 255)], password[:min(len(password), 255)]
	b = append(b, VersionPassword, byte(len(user)))
	b = append(b, user...)
	b = append(b, byte(len(password)))
	return append(b, password...)
}

// AppendOpening appends the greeting and, if there is a user, the login. As only one method is
// offered, a client may send them together with its request, without waiting for the replies.
func AppendOpening(b []byte, user, password string) []byte {
	b = AppendGreeting(b, user)
	if user == "" {
		return b
	}
	return AppendPassword(b, user, password)
}

// AppendRequest appends a client's request.
func AppendRequest(b []byte, command byte, dest Address) []byte {
	return append(append(b, Version, command, 0), dest...)
}

// AppendReply appends a server's reply to a request. bound may be the zero value.
func AppendReply(b []byte, code byte, bound netip.AddrPort) []byte {
	if !bound.IsValid() {
		bound = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	}
	return AppendAddrPort(append(b, Version, code, 0), bound)
}
