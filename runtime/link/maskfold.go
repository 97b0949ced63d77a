package link

import "strings"

// What a mask says that a link has other words for is kept in those: two links that mean the same
// are the same, whichever words they use.

// applyMasks puts the masks into the link, which has its transport.
func (l *Link) applyMasks(q *query, m masks) {
	up := m.QUIC["brutalUp"] != nil
	switch t := l.Transport.(type) {
	case KCP:
		l.Transport = foldKCP(t, &m)
	case QUIC:
		t = foldQUIC(q, t, &m)
		l.Transport, up = t, up || t.Up > 0
	}
	for i, layer := range m.UDP {
		if layer.Type == "sudoku" && i != len(m.UDP)-1 {
			q.fail(badParameter("fm", "has the mask sudoku where the core does not take it: it has to be the last one of udp"))
		}
	}
	if m.QUIC["congestion"] == "force-brutal" && !up {
		delete(m.QUIC, "congestion")
		q.leave("the congestion control force-brutal of the mask (fm), because it needs a bandwidth (brutalUp); the server works without")
	}
	l.Mask = m.secret()
}

// kcpHeaders are the names of masks that were once headers of mKCP.
var kcpHeaders = map[string]string{
	"header-srtp": "srtp", "header-utp": "utp", "header-wechat": "wechat-video", "header-dtls": "dtls", "header-wireguard": "wireguard", "header-dns": "dns",
}

// foldKCP reads the masks that mKCP itself had in older cores: a header, or none, over encryption
// or a checksum. With any others, all masks of the datagrams stay together.
func foldKCP(t KCP, m *masks) KCP {
	if len(m.UDP) == 0 {
		return t
	}
	own, known := false, false
	for _, layer := range m.UDP {
		own = own || strings.HasPrefix(layer.Type, "header-") || strings.HasPrefix(layer.Type, "mkcp-")
		known = known || !oneSided[layer.Type]
	}
	// Noise alone does not say what the datagrams themselves look like.
	if !own && (!known || t.Header != "" || t.Seed != (Secret{})) {
		m.UDP = append(m.UDP, olderMasks(t)...)
	}
	plain := KCP{MTU: t.MTU, TTI: t.TTI}
	folded, rest := plain, m.UDP
	if header := kcpHeaders[rest[0].Type]; header != "" && len(rest) == 2 {
		folded.Header, folded.Domain = header, rest[0].text("domain")
		rest = rest[1:]
	}
	switch {
	case len(rest) == 1 && rest[0].Type == "mkcp-original":
	case len(rest) == 1 && rest[0].Type == "mkcp-aes128gcm" && isParameter(rest[0].text("password")):
		folded.Seed = NewSecret(rest[0].text("password"))
	default:
		return plain
	}
	m.UDP = nil
	return folded
}

// olderMasks are the masks that mKCP had by its header and its seed.
func olderMasks(t KCP) []mask {
	var list []mask
	for name, header := range kcpHeaders {
		if header == t.Header {
			layer := mask{Type: name}
			if t.Domain != "" {
				layer.Settings = map[string]any{"domain": t.Domain}
			}
			list = append(list, layer)
		}
	}
	if t.Seed == (Secret{}) {
		return append(list, mask{Type: "mkcp-original"})
	}
	return append(list, mask{map[string]any{"password": t.Seed.Reveal()}, "mkcp-aes128gcm"})
}

// isParameter reports whether a text comes back as it is when a link carries it in a parameter.
func isParameter(s string) bool { return s == given(s) }

// foldQUIC reads the obfuscation, the bandwidths and the ports of Hysteria 2.
func foldQUIC(q *query, t QUIC, m *masks) QUIC {
	if last := len(m.UDP) - 1; last >= 0 && m.UDP[last].Type == "salamander" && isParameter(m.UDP[last].text("password")) {
		password := NewSecret(m.UDP[last].text("password"))
		if t.Salamander != (Secret{}) && t.Salamander != password {
			q.fail(reject(CodeConflictingParameter, "the link has two different passwords for the obfuscation salamander (obfs-password, fm); remove one of them"))
		}
		t.Salamander, m.UDP = password, m.UDP[:last]
	} else if hasMask(m.UDP, "salamander") {
		t.Salamander = Secret{} // it is among the masks, in its place
	}
	for name, field := range map[string]*uint32{"brutalUp": &t.Up, "brutalDown": &t.Down} {
		text, _ := m.QUIC[name].(string)
		switch bits, ok := bandwidth(text, 1); {
		case !ok || bits == 0:
		case bits%megabit == 0 && bits/megabit <= maxBandwidth:
			*field = uint32(bits / megabit)
			delete(m.QUIC, name)
		default:
			*field = 0 // it is among the masks
		}
	}
	if hop, ok := m.QUIC["udpHop"].(map[string]any); ok {
		t.Ports, _ = hop["ports"].(string)
		t.HopSeconds, _ = hop["interval"].(string)
		delete(m.QUIC, "udpHop")
	}
	return t
}
