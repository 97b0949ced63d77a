package socks5

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
)

// Address is a destination as SOCKS5 writes it: type, address, port. Only this package makes one,
// so it is always complete.
type Address []byte

// CutAddress returns the address at the start of b. It fails with ErrShort, ErrAddressType or
// ErrEmptyName.
func CutAddress(b []byte) (Address, error) {
	if len(b) < 2 {
		if len(b) == 1 && b[0] != typeIPv4 && b[0] != typeIPv6 && b[0] != typeName {
			return nil, ErrAddressType
		}
		return nil, ErrShort
	}
	var n int
	switch b[0] {
	case typeIPv4:
		n = 1 + net.IPv4len + 2
	case typeIPv6:
		n = 1 + net.IPv6len + 2
	case typeName:
		if b[1] == 0 {
			return nil, ErrEmptyName
		}
		n = 1 + 1 + int(b[1]) + 2
	default:
		return nil, ErrAddressType
	}
	if len(b) < n {
		return nil, ErrShort
	}
	return Address(b[:n]), nil
}

// ParseAddress encodes host:port, with IPv6 addresses in brackets. An IPv4 address in the form of
// IPv6 becomes one of IPv4. Nothing is resolved. The error is ErrNoAddress.
func ParseAddress(hostport string) (Address, error) {
	host, service, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, ErrNoAddress
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil || host == "" || len(host) > 255 {
		return nil, ErrNoAddress
	}
	var a Address
	if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() == "" {
		a = appendIP(nil, ip.Unmap())
	} else {
		a = append(Address{typeName, byte(len(host))}, host...)
	}
	return binary.BigEndian.AppendUint16(a, uint16(port)), nil
}

func appendIP(b []byte, ip netip.Addr) []byte {
	if ip.Is4() {
		b = append(b, typeIPv4)
	} else {
		b = append(b, typeIPv6)
	}
	return append(b, ip.AsSlice()...)
}

// AppendAddrPort appends an IP address and its port, which must be valid.
func AppendAddrPort(b []byte, ap netip.AddrPort) []byte {
	return binary.BigEndian.AppendUint16(appendIP(b, ap.Addr()), ap.Port())
}

// AddrPort returns the address if it is an IP address.
func (a Address) AddrPort() (ap netip.AddrPort, ok bool) {
	end := len(a) - 2
	ip, ok := netip.AddrFromSlice(a[1:end])
	if a[0] == typeName || !ok {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(a[end:])), true
}

// String returns host:port for people, with a name in quotes: it comes from a client and may be
// anything.
func (a Address) String() string {
	if ap, ok := a.AddrPort(); ok {
		return ap.String()
	}
	end := len(a) - 2
	return net.JoinHostPort(strconv.QuoteToASCII(string(a[2:end])), strconv.Itoa(int(binary.BigEndian.Uint16(a[end:]))))
}
