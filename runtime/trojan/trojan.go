// Package trojan owns the bytes of the Trojan protocol that carry datagrams inside a stream, as its
// description has them (trojan-gfw.github.io/trojan/protocol): the request of a client and its
// packets. It does no I/O, and knows nothing of TLS, which the core's own inbounds on loopback do
// without.
package trojan

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"

	"github.com/xrat-tray/xrat/runtime/socks5"
)

const (
	commandAssociate = 3

	// MaxPayload is how many bytes of one datagram a core carries. It ends the association when
	// there are more.
	MaxPayload = 8192

	// Overhead is what a packet has besides its address and payload.
	Overhead = 4
)

// ErrNoPacket says that what has been received is not of this protocol.
var ErrNoPacket = errors.New("no Trojan packet")

// AppendAssociate appends the request for an association. Packets follow it at once, and nothing is
// answered but packets. A wrong password ends the connection.
func AppendAssociate(b []byte, password string) []byte {
	hash := sha256.Sum224([]byte(password))
	b = append(hex.AppendEncode(b, hash[:]), '\r', '\n', commandAssociate)
	b = socks5.AppendAddrPort(b, netip.AddrPortFrom(netip.IPv4Unspecified(), 0)) // each packet has its own
	return append(b, '\r', '\n')
}

// AppendPacket appends a datagram for dest, of MaxPayload bytes at most.
func AppendPacket(b []byte, dest socks5.Address, payload []byte) []byte {
	b = binary.BigEndian.AppendUint16(append(b, dest...), uint16(len(payload)))
	return append(append(b, '\r', '\n'), payload...)
}

// CutPacket returns the datagram at the start of b, with where it comes from, and how many bytes it
// takes there; from and payload lie within b. It fails with socks5.ErrShort when b is the right
// beginning of a packet that is not complete, and with ErrNoPacket.
func CutPacket(b []byte) (from socks5.Address, payload []byte, n int, err error) {
	from, err = socks5.CutAddress(b)
	if errors.Is(err, socks5.ErrShort) {
		return nil, nil, 0, err
	}
	if err != nil {
		return nil, nil, 0, ErrNoPacket
	}
	head := len(from) + Overhead
	if len(b) < head {
		return nil, nil, 0, socks5.ErrShort
	}
	if b[head-2] != '\r' || b[head-1] != '\n' {
		return nil, nil, 0, ErrNoPacket
	}
	n = head + int(binary.BigEndian.Uint16(b[len(from):]))
	if len(b) < n {
		return nil, nil, 0, socks5.ErrShort
	}
	return from, b[head:n], n, nil
}
