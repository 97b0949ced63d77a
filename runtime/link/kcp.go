package link

import "strconv"

// KCP is mKCP: a stream over UDP datagrams ("kcp" in links).
type KCP struct {
	Header string // what the datagrams are dressed as: "srtp", "utp", "wechat-video", "dtls", "wireguard", "dns", or empty
	Domain string // with the header "dns": the name that is asked for
	Seed   Secret // password of the datagrams; empty: they are only checked, by a sum
	MTU    uint16 // bytes in a datagram; 0: the core's choice
	TTI    uint16 // milliseconds between sends; 0: the core's choice
}

// Network returns "kcp".
func (KCP) Network() string { return "kcp" }

func (t KCP) params() params {
	p := params{{"type", "kcp"}, {"headerType", t.Header}, {"host", t.Domain}, {"seed", t.Seed.Reveal()}}
	if t.MTU != 0 {
		p = append(p, param{"mtu", strconv.Itoa(int(t.MTU))})
	}
	if t.TTI != 0 {
		p = append(p, param{"tti", strconv.Itoa(int(t.TTI))})
	}
	return p
}

func parseKCP(q *query) Transport {
	t := KCP{
		Seed: NewSecret(q.get("seed")),
		MTU:  number(q, "mtu", 576, 1460, q.get("mtu")),
		TTI:  number(q, "tti", 10, 1000, q.get("tti")), // above, the core divides by zero
	}
	switch header := q.word("headerType"); header {
	case "", "none", "auto", "kcp":
	case "srtp", "utp", "wechat-video", "dtls", "wireguard":
		t.Header = header
	case "dns":
		t.Header, t.Domain = header, q.get("host")
		if t.Domain != "" && !isDomain(t.Domain) {
			q.fail(badParameter("host", "is not the host name that the header dns needs"))
		}
	default:
		q.fail(unsupportedParameter("headerType", "does not name a header that works over kcp; it can be none, srtp, utp, wechat-video, dtls, wireguard or dns"))
	}
	return t
}
