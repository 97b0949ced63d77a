package link

import (
	"strings"
	"unicode/utf8"
)

// SOCKS is an account of a SOCKS5 server; without a user there is no authentication.
type SOCKS struct {
	User, Password Secret
}

// HTTP is an account of an HTTP proxy; without a user there is no authentication.
type HTTP struct {
	User, Password Secret
}

func (SOCKS) protocol() Protocol { return ProtocolSOCKS }

func (a SOCKS) uri(l Link) string {
	return printGeneric("socks", printUserPassword(a.User, a.Password), l, l.streamParamsIfAny())
}

func (HTTP) protocol() Protocol { return ProtocolHTTP }

func (a HTTP) uri(l Link) string {
	scheme := "http"
	if l.Secure != nil {
		scheme = "https"
	}
	var p params
	if l.Transport != (Raw{}) || l.Mux != 0 || l.Mask != (Secret{}) || l.Secure != nil && l.Secure != (TLS{}) {
		p = l.streamParams()
	}
	return printGeneric(scheme, printUserPassword(a.User, a.Password), l, p)
}

func (r *reader) parseSOCKS(body, name string) (Link, *Error) {
	body, name = looseUser(body, name)
	g, err := r.split(body, 1080, "")
	if err != nil {
		return Link{}, err
	}
	switch g.query.word("v", "version") {
	case "4", "4a":
		return Link{}, rejectForeign("socks4")
	}
	var a SOCKS
	if a.User, a.Password, err = parseUserPassword(g.user); err != nil {
		return Link{}, err
	}
	return g.link(a, name, "none")
}

func (r *reader) parseHTTP(body, name string, secure bool) (Link, *Error) {
	port, security := uint16(80), "none"
	if secure {
		port, security = 443, "tls"
	}
	if host, _, _ := strings.Cut(body, "/"); !isDomain(host) { // else it is a page
		body, name = looseUser(body, name)
	}
	g, err := r.split(body, port, "")
	if err != nil {
		return Link{}, err
	}
	if strings.Trim(g.path, "/") != "" || !onlyStreamParams(g.query.params) {
		return Link{}, reject(CodeWebAddress, "this is a web address, not a proxy link; a proxy link has no path, and a subscription is added as one")
	}
	var a HTTP
	if a.User, a.Password, err = parseUserPassword(g.user); err != nil {
		return Link{}, err
	}
	return g.link(a, name, security)
}

// onlyStreamParams reports whether generic.link understands all parameters.
func onlyStreamParams(p params) bool {
	for _, kv := range p {
		if !matches(kv.key, []string{
			"type", "headerType", "host", "path", "serviceName", "authority", "mode", "extra", "security", "sni", "alpn", "fp",
			"pcs", "vcn", "ech", "echForceQuery", "allowInsecure", "insecure", "pbk", "sid", "spx", "pqv", "mux", "fm", "fragment",
		}) {
			return false
		}
	}
	return true
}

// parseUserPassword reads user:password, in plain text or, as v2rayN writes it, in base64.
func parseUserPassword(raw string) (user, password Secret, err *Error) {
	if raw == "" {
		return Secret{}, Secret{}, nil
	}
	u, p, plain := strings.Cut(raw, ":")
	u, p = unescape(u), unescape(p)
	if !plain {
		if decoded, ok := decodeBase64(u); ok && utf8.Valid(decoded) {
			if du, dp, ok := strings.Cut(string(decoded), ":"); ok {
				u, p = du, dp
			}
		}
	}
	if user, err = credential(u); err != nil {
		return Secret{}, Secret{}, err
	}
	if password, err = credential(p); err != nil {
		return Secret{}, Secret{}, err
	}
	if user == (Secret{}) && password != (Secret{}) {
		return Secret{}, Secret{}, reject(CodeMissingCredentials, "the link has a password without a user; ask for a complete link")
	}
	return user, password, nil
}

func printUserPassword(user, password Secret) string {
	if user == (Secret{}) {
		return ""
	}
	return escape(user.Reveal(), "") + ":" + escape(password.Reveal(), "")
}
