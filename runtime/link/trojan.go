package link

// Trojan is an account of a Trojan server.
type Trojan struct {
	Password Secret
}

func (Trojan) protocol() Protocol { return ProtocolTrojan }
func (a Trojan) wire() Account    { return a }

func (a Trojan) uri(l Link) string {
	return printGeneric("trojan", escape(a.Password.Reveal(), ""), l, l.streamParams())
}

func parseTrojan(body, name string) (Link, *Error) {
	g, err := split(body, 443)
	if err == nil {
		err = g.requireUser("password")
	}
	if err != nil {
		return Link{}, err
	}
	q := &g.query
	var a Trojan
	if a.Password, err = credential(unescape(g.user)); err != nil {
		return Link{}, err
	}
	if flow := q.word("flow"); flow != "" && flow != "none" {
		q.fail(reject(CodeUnsupportedFlow, "flow was removed from Trojan in the core; ask the provider for a link without it"))
	}
	// Trojan-Go and older clients say WebSocket in their own way.
	if q.flag("ws") && q.get("type") == "" {
		q.params = append(q.params, param{"type", "ws"}, param{"path", q.get("wspath")})
	}
	l := Link{Protocol: ProtocolTrojan, Name: cleanName(name), Host: g.host, Port: g.port}
	if err := l.parseStream(q, "tls"); err != nil {
		return Link{}, err
	}
	l.Account = a
	return l, nil
}
