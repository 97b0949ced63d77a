package link

// Trojan is an account of a Trojan server.
type Trojan struct {
	Password Secret
}

func (Trojan) protocol() Protocol { return ProtocolTrojan }

func (a Trojan) uri(l Link) string {
	return printGeneric("trojan", escape(a.Password.Reveal(), ""), l, l.streamParams())
}

func (r *reader) parseTrojan(body, name string) (Link, *Error) {
	body, name = looseUser(body, name)
	g, err := r.split(body, 443, "password")
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
	// Trojan-Go and older clients have their own parameters for WebSocket.
	if q.flag("ws") && q.get("type") == "" {
		q.params = append(q.params, param{"type", "ws"}, param{"path", q.get("wspath")})
	}
	return g.link(a, name, "tls")
}
