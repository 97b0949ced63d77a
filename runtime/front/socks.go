package front

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strconv"
)

// Numbers of RFC 1928 and RFC 1929.
const (
	socks4 = 0x04
	socks5 = 0x05

	methodNone     = 0x00
	methodPassword = 0x02
	methodRefused  = 0xff

	passwordVersion = 0x01

	commandConnect   = 0x01
	commandAssociate = 0x03

	atypIPv4   = 0x01
	atypDomain = 0x03
	atypIPv6   = 0x04

	replySucceeded          = 0x00
	replyFailure            = 0x01
	replyCommandUnsupported = 0x07
	replyAddressUnsupported = 0x08
)

var (
	// errShort asks for more bytes: what is there is a right beginning.
	errShort = errors.New("message is incomplete")

	errVersion     = errors.New("not a SOCKS5 message")
	errAddressType = errors.New("unknown address type")
	errEmptyName   = errors.New("empty host name")
	errNoAddress   = errors.New("not a host and a port")
)

// address is a destination as SOCKS5 writes it: type, address, port. It goes from the application to the core as it came.
type address []byte

// cutAddress returns the address at the start of b, without copying it.
func cutAddress(b []byte) (address, error) {
	if len(b) < 2 {
		if len(b) == 1 && b[0] != atypIPv4 && b[0] != atypIPv6 && b[0] != atypDomain {
			return nil, errAddressType
		}
		return nil, errShort
	}
	var n int
	switch b[0] {
	case atypIPv4:
		n = 1 + net.IPv4len + 2
	case atypIPv6:
		n = 1 + net.IPv6len + 2
	case atypDomain:
		if b[1] == 0 {
			return nil, errEmptyName
		}
		n = 1 + 1 + int(b[1]) + 2
	default:
		return nil, errAddressType
	}
	if len(b) < n {
		return nil, errShort
	}
	return address(b[:n]), nil
}

// newAddress encodes host:port as HTTP has it. IPv6 addresses stand in brackets.
func newAddress(hostport string) (address, error) {
	host, service, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, errNoAddress
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil || host == "" || len(host) > 255 {
		return nil, errNoAddress
	}
	var a address
	if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() == "" {
		a = appendIP(nil, ip)
	} else {
		a = append(address{atypDomain, byte(len(host))}, host...)
	}
	return binary.BigEndian.AppendUint16(a, uint16(port)), nil
}

func appendIP(b []byte, ip netip.Addr) []byte {
	if ip.Is4() {
		b = append(b, atypIPv4)
	} else {
		b = append(b, atypIPv6)
	}
	return append(b, ip.AsSlice()...)
}

func appendAddrPort(b []byte, ap netip.AddrPort) []byte {
	return binary.BigEndian.AppendUint16(appendIP(b, ap.Addr()), ap.Port())
}

// addrPort returns the address when it is an IP address.
func (a address) addrPort() (netip.AddrPort, bool) {
	end := len(a) - 2
	ip, ok := netip.AddrFromSlice(a[1:end])
	if a[0] == atypDomain || !ok {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(a[end:])), true
}

// String is for the log at debug level.
func (a address) String() string {
	if ap, ok := a.addrPort(); ok {
		return ap.String()
	}
	end := len(a) - 2
	return net.JoinHostPort(strconv.QuoteToASCII(string(a[2:end])), strconv.Itoa(int(binary.BigEndian.Uint16(a[end:]))))
}

// cutGreeting returns the methods that a client offers, and the length of its greeting.
func cutGreeting(b []byte) (methods []byte, n int, err error) {
	if len(b) > 0 && b[0] != socks5 {
		return nil, 0, errVersion
	}
	if len(b) < 2 || len(b) < 2+int(b[1]) {
		return nil, 0, errShort
	}
	n = 2 + int(b[1])
	return b[2:n], n, nil
}

// cutPassword returns the credentials in a message of RFC 1929, and its length.
func cutPassword(b []byte) (user, password []byte, n int, err error) {
	if len(b) > 0 && b[0] != passwordVersion {
		return nil, nil, 0, errVersion
	}
	if len(b) < 2 {
		return nil, nil, 0, errShort
	}
	u := 2 + int(b[1])
	if len(b) < u+1 {
		return nil, nil, 0, errShort
	}
	n = u + 1 + int(b[u])
	if len(b) < n {
		return nil, nil, 0, errShort
	}
	return b[2:u], b[u+1 : n], n, nil
}

// cutRequest returns the command and destination of a request, and its length.
func cutRequest(b []byte) (command byte, dest address, n int, err error) {
	if len(b) > 0 && b[0] != socks5 {
		return 0, nil, 0, errVersion
	}
	if len(b) < 4 {
		return 0, nil, 0, errShort
	}
	dest, err = cutAddress(b[3:])
	return b[1], dest, 3 + len(dest), err
}

// appendReply appends the reply to a request.
func appendReply(b []byte, code byte, bound netip.AddrPort) []byte {
	if !bound.IsValid() {
		bound = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	}
	return appendAddrPort(append(b, socks5, code, 0), bound)
}

// appendGreeting appends what a client sends before its request. The method is the only one offered, so that its
// confirmation need not be waited for.
func appendGreeting(b []byte, user, password string) []byte {
	if user == "" {
		return append(b, socks5, 1, methodNone)
	}
	// RFC 1929 has one byte for each length; our own credentials are far below.
	user, password = user[:min(len(user), 255)], password[:min(len(password), 255)]
	b = append(b, socks5, 1, methodPassword, passwordVersion, byte(len(user)))
	b = append(b, user...)
	b = append(b, byte(len(password)))
	return append(b, password...)
}

// The core's replies to greeting, credentials and request come as one stream. maxReplies is their greatest length with an
// IP address; minReplies the least that can stand before an answer.
const (
	maxReplies = 2 + 2 + 3 + 1 + net.IPv6len + 2
	minReplies = 2 + 2 + 3 + 1 + net.IPv4len + 2
)

var (
	errCoreMethod   = errors.New("the core does not take our way to authenticate")
	errCorePassword = errors.New("the core does not take our credentials")
	errCoreRefused  = errors.New("the core refuses the request")
)

// cutReplies returns the address in the core's reply, and the length of all replies up to its end.
func cutReplies(b []byte, auth bool) (bound address, n int, err error) {
	method := byte(methodNone)
	if auth {
		method = methodPassword
	}
	if len(b) > 0 && b[0] != socks5 {
		return nil, 0, errVersion
	}
	if len(b) < 2 {
		return nil, 0, errShort
	}
	if b[1] != method {
		return nil, 0, errCoreMethod
	}
	n = 2
	if auth {
		if len(b) < n+2 {
			return nil, 0, errShort
		}
		if b[n+1] != 0 {
			return nil, 0, errCorePassword
		}
		n += 2
	}
	if len(b) < n+4 {
		return nil, 0, errShort
	}
	if b[n] != socks5 {
		return nil, 0, errVersion
	}
	if b[n+1] != replySucceeded {
		return nil, 0, errCoreRefused
	}
	bound, err = cutAddress(b[n+3:])
	return bound, n + 3 + len(bound), err
}
