package link

import (
	"encoding/base64"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
)

// WireGuard is an account of a WireGuard server: the keys, and the client's place in the tunnel.
type WireGuard struct {
	PrivateKey   Secret // the client's: 32 bytes, standard base64
	PublicKey    Secret // the server's, likewise
	PreSharedKey Secret // likewise, or empty
	Addresses    string // of the client in the tunnel, separated by commas, without prefix lengths; empty: the core's choice
	AllowedIPs   string // destinations to send through the tunnel: prefixes separated by commas; empty: all
	DNS          string // addresses of resolvers to ask through the tunnel, separated by commas; may be empty
	Reserved     string // three numbers from 0 to 255, separated by commas, that some servers want in every packet; or empty
	MTU          uint16 // 0: the core's choice
	KeepAlive    uint16 // seconds between packets that keep NAT mappings alive; 0: none are sent
}

// Datagrams is the transport of WireGuard: its packets are UDP datagrams and need no further
// security.
type Datagrams struct{}

func (WireGuard) protocol() Protocol { return ProtocolWireGuard }

// Network returns "udp".
func (Datagrams) Network() string { return "udp" }
func (Datagrams) params() params  { return nil }

func (a WireGuard) uri(l Link) string {
	return printGeneric("wireguard", escape(a.PrivateKey.Reveal(), ""), l, params{
		{"publickey", a.PublicKey.Reveal()}, {"presharedkey", a.PreSharedKey.Reveal()}, {"address", a.Addresses},
		{"allowedips", a.AllowedIPs}, {"dns", a.DNS}, {"reserved", a.Reserved},
		{"mtu", decimal(a.MTU)}, {"keepalive", decimal(a.KeepAlive)}, {"fm", l.Mask.Reveal()},
	})
}

// parseWireGuard reads the links of v2rayN and its relatives: the client's key before the host, the
// rest as parameters.
func (r *reader) parseWireGuard(body, name string) (Link, *Error) {
	g, err := r.split(body, 51820, "")
	if err != nil {
		return Link{}, err
	}
	q := &g.query
	private := unescape(g.user)
	if private == "" {
		private = q.get("privatekey", "secretkey", "private-key", "private_key", "pk")
	}
	a := WireGuard{
		PrivateKey:   wireGuardKey(q, "private key", private),
		PublicKey:    wireGuardKey(q, "public key", q.get("publickey", "public-key", "peer-public-key", "peer_public_key", "peer_pk")),
		PreSharedKey: wireGuardKey(q, "", q.get("presharedkey", "psk", "pre-shared-key", "preshared-key", "pre_shared_key")),
		Addresses:    addresses(q, "address", q.get("address", "ip", "local-address", "local_address")),
		AllowedIPs:   allowedIPs(q, q.get("allowedips", "allowed-ips", "allowed_ips")),
		DNS:          addresses(q, "dns", q.get("dns")),
		Reserved:     reservedBytes(q, q.get("reserved")),
		MTU:          number(q, "mtu", 576, 65535, q.get("mtu")),
		KeepAlive:    number(q, "keepalive", 0, 65535, q.get("keepalive", "persistent-keepalive", "persistentkeepalive")),
	}
	for _, kv := range q.params {
		switch strings.ToLower(kv.key) {
		case "wnoise", "ifp": // with further parameters that say how many, how large and when
			if !isNothing(kv.value) && !isNo(kv.value) {
				q.leave("packets without meaning (" + strings.ToLower(kv.key) + "), which the core does not send; the server works without, unless the network lets nothing else through")
			}
		case "jc", "jmin", "jmax", "s1", "s2", "s3", "s4", "h1", "h2", "h3", "h4", "i1", "i2", "i3", "i4", "i5":
			if !isNothing(kv.value) && kv.value != "0" {
				q.fail(unsupportedParameter(strings.ToLower(kv.key), "disguises WireGuard in a way that the core does not have; ask for a link without it"))
			}
		}
	}
	l := Link{Protocol: ProtocolWireGuard, Name: q.name(name), Host: g.host, Port: g.port, Account: a, Transport: Datagrams{}}
	l.applyMasks(q, parseMasks(q))
	q.checkUnsupported()
	if q.err != nil {
		return Link{}, q.err
	}
	return l, nil
}

// wireGuardKey checks a key and returns it in standard base64. what names the key for a message; ""
// is the pre-shared key, which is optional.
func wireGuardKey(q *query, what, text string) Secret {
	if text == "" && what == "" {
		return Secret{}
	}
	key, ok := decodeBase64(text)
	if len(text) == 64 {
		if decoded, err := hex.DecodeString(text); err == nil {
			key, ok = decoded, true
		}
	}
	switch {
	case text == "":
		q.fail(reject(CodeMissingCredentials, "the WireGuard link has no "+what+"; ask for a complete link"))
	case !ok || len(key) != 32:
		if what == "" {
			what = "pre-shared key"
		}
		q.fail(reject(CodeBadKey, "the "+what+" of the WireGuard link is not 32 bytes in base64; ask for a complete link"))
	default:
		return NewSecret(base64.StdEncoding.EncodeToString(key))
	}
	return Secret{}
}

// addresses reads a list of IP addresses. Prefix lengths are dropped: the core takes single
// addresses only, and routes by the allowed prefixes.
func addresses(q *query, key, text string) string {
	var list []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		host, _, _ := strings.Cut(item, "/")
		address, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if err != nil || address.Zone() != "" {
			q.fail(badParameter(key, "is not a list of IP addresses"))
			return ""
		}
		list = append(list, address.String())
	}
	return strings.Join(list, ",")
}

func allowedIPs(q *query, text string) string {
	var list []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(item)
		if err != nil {
			q.fail(badParameter("allowedips", "is not a list of prefixes like 0.0.0.0/0"))
			return ""
		}
		list = append(list, prefix.Masked().String())
	}
	switch joined := strings.Join(list, ","); joined {
	case "0.0.0.0/0,::/0", "::/0,0.0.0.0/0":
		return "" // the core's default
	default:
		return joined
	}
}

// reservedBytes reads three bytes: as numbers, in brackets or not, or in base64.
func reservedBytes(q *query, text string) string {
	text = strings.Trim(text, "[] ")
	if text == "" {
		return ""
	}
	raw, ok := decodeBase64(text)
	if strings.Contains(text, ",") {
		raw, ok = nil, true
		for item := range strings.SplitSeq(text, ",") {
			n, err := strconv.ParseUint(strings.TrimSpace(item), 10, 8)
			ok = ok && err == nil
			raw = append(raw, byte(n))
		}
	}
	if !ok || len(raw) != 3 {
		q.fail(badParameter("reserved", "is not three numbers from 0 to 255"))
		return ""
	}
	if raw[0]|raw[1]|raw[2] == 0 {
		return "" // WireGuard sends zeros anyway
	}
	return strconv.Itoa(int(raw[0])) + "," + strconv.Itoa(int(raw[1])) + "," + strconv.Itoa(int(raw[2]))
}
