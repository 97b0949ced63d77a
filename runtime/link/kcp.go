package link

// KCP is mKCP: a stream over UDP datagrams ("kcp" in links).
type KCP struct {
	Header string // what the datagrams look like: "srtp", "utp", "wechat-video", "dtls", "wireguard", "dns", or empty
	Domain string // with the header "dns": the name that the datagrams ask for
	Seed   Secret // password that encrypts the datagrams; empty: they have a checksum only
	MTU    uint16 // bytes in a datagram; 0: the core's choice
	TTI    uint16 // milliseconds between sends; 0: the core's choice
}

// Network returns "kcp".
func (KCP) Network() string { return "kcp" }

func (t KCP) params() params {
	return params{
		{"type", "kcp"}, {"headerType", t.Header}, {"host", t.Domain}, {"seed", t.Seed.Reveal()},
		{"mtu", decimal(t.MTU)}, {"tti", decimal(t.TTI)},
	}
}

func parseKCP(q *query) Transport {
	t := KCP{
		Seed: NewSecret(q.get("seed")),
		MTU:  number(q, "mtu", 576, 1460, q.get("mtu")),
		TTI:  number(q, "tti", 10, 1000, q.get("tti")), // above 1000 the core divides by zero
	}
	switch header := q.word("headerType"); header {
	case "", "none", "auto", "kcp":
	case "srtp", "utp", "wechat-video", "dtls", "wireguard":
		t.Header = header
	case "dns":
		t.Header, t.Domain = header, q.hostNames("host")
		if t.Domain != "" && !isDomain(t.Domain) {
			q.fail(badParameter("host", "is not the host name that the header dns needs"))
		}
	default:
		q.fail(unsupportedParameter("headerType", "does not name a header that works over kcp; it can be none, srtp, utp, wechat-video, dtls, wireguard or dns"))
	}
	return t
}
