package link

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
)

// IdentityVersion counts the meanings that [Link.Identity] has had. What stored identities of an
// earlier one is to make them anew.
const IdentityVersion = 2

// Identity returns a hash, in hexadecimal, of who a server is for its user: where it is, what lets
// the user in, how the proxy protocol is carried and, where one address has many servers behind it,
// which name is asked for. Links with the same identity are the same server.
//
// What a provider draws anew for each answer is no part of it: the name, short ids and spider paths
// of REALITY, the site that it borrows, fingerprints, padding, headers, labels put for a wildcard.
//
// Identities are stored: a change of what they are made of needs a new IdentityVersion.
func (l Link) Identity() string {
	parts := l.key()
	if host, ok := l.virtualHost(); ok {
		parts = append(parts, "host", host)
	}
	return digest(parts)
}

// Kinship returns a hash like Identity of less: servers that differ only in the name that is asked
// for are kin. Providers that draw that name from a list make one server look like many.
func (l Link) Kinship() string { return digest(l.key()) }

// key is what the hashes have in common.
func (l Link) key() []string {
	parts := []string{string(l.Protocol), steady(l.Host), strconv.Itoa(int(l.Port)), l.Network(), l.Security()}
	if l.Account != nil {
		parts = append(parts, l.Account.key()...)
	}
	if l.Transport != nil {
		parts = append(parts, l.Transport.key()...)
	}
	if l.Secure != nil {
		parts = append(parts, l.Secure.key()...)
	}
	return parts
}

// digest hashes parts, each with its length, so that no two lists of them look alike.
func digest(parts []string) string {
	var b []byte
	for _, part := range parts {
		b = strconv.AppendInt(b, int64(len(part)), 10)
		b = append(append(b, ':'), part...)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// virtualHost returns the name that a transport over HTTP asks for, which tells apart what shares
// an address: all that a content delivery network has in front of it.
func (l Link) virtualHost() (host string, ok bool) {
	switch t := l.Transport.(type) {
	case WebSocket:
		host = t.Host
	case HTTPUpgrade:
		host = t.Host
	case XHTTP:
		host = t.Host
	case GRPC:
		host = t.Authority
	default:
		return "", false
	}
	if tls, isTLS := l.Secure.(TLS); isTLS && host == "" {
		host = tls.ServerName
	}
	if _, borrowed := l.Secure.(REALITY); borrowed || host == "" {
		host = l.Host
	}
	return steady(strings.ToLower(host)), true
}

// steady returns a host name without what changes from one answer of a provider to the next: panels
// put random letters and digits for the asterisk of a wildcard.
func steady(host string) string {
	label, domain, found := strings.Cut(host, ".")
	if !found || !strings.Contains(domain, ".") || !isRandom(label) {
		return host
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return host
	}
	return "*." + domain
}

// isRandom reports whether a label looks drawn by lot: long, of letters and digits that take turns
// or that are all hexadecimal. People think up names like vps12eu3.
func isRandom(label string) bool {
	turns, hexadecimal, last := 0, true, byte(0)
	for i := range len(label) {
		kind, c := byte('a'), label[i]
		switch {
		case '0' <= c && c <= '9':
			kind = '0'
		case !isAlnum(c):
			return false
		case c > 'f':
			hexadecimal = false
		}
		if i > 0 && kind != last {
			turns++
		}
		last = kind
	}
	return len(label) >= 10 && turns >= 3 || len(label) >= 8 && turns > 0 && hexadecimal
}

func (a VLESS) key() []string { return []string{a.UUID.Reveal(), a.Flow, a.Encryption.Reveal()} }
func (a VMess) key() []string { return []string{a.UUID.Reveal()} }
func (a Trojan) key() []string {
	return []string{a.Password.Reveal()}
}
func (a Shadowsocks) key() []string { return []string{a.Method, a.Password.Reveal()} }
func (a SOCKS) key() []string       { return []string{a.User.Reveal(), a.Password.Reveal()} }
func (a HTTP) key() []string        { return []string{a.User.Reveal(), a.Password.Reveal()} }
func (a Hysteria2) key() []string   { return []string{a.Auth.Reveal()} }
func (a WireGuard) key() []string {
	return []string{a.PrivateKey.Reveal(), a.PublicKey.Reveal(), a.PreSharedKey.Reveal()}
}

func (t Raw) key() []string {
	if !t.HTTPHeader {
		return nil
	}
	return []string{"http", t.Path}
}
func (t WebSocket) key() []string   { return []string{withoutEarlyData(t.Path)} }
func (t HTTPUpgrade) key() []string { return []string{withoutEarlyData(t.Path)} }
func (t XHTTP) key() []string       { return []string{t.Path} }
func (t GRPC) key() []string        { return []string{t.Service} }
func (t KCP) key() []string         { return []string{t.Header, t.Seed.Reveal()} }
func (t QUIC) key() []string        { return []string{t.Salamander.Reveal()} }
func (Datagrams) key() []string     { return nil }

func (TLS) key() []string       { return nil }
func (s REALITY) key() []string { return []string{s.PublicKey.Reveal()} }

// withoutEarlyData returns a path without the parameter that is for the client alone.
func withoutEarlyData(path string) string {
	path, query, found := strings.Cut(path, "?")
	if !found {
		return path
	}
	var rest []string
	for part := range strings.SplitSeq(query, "&") {
		if !strings.HasPrefix(part, "ed=") && part != "" {
			rest = append(rest, part)
		}
	}
	if len(rest) == 0 {
		return path
	}
	return path + "?" + strings.Join(rest, "&")
}
