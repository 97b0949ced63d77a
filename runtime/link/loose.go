package link

import (
	"strings"
	"unicode/utf8"
)

// looseUser repairs a link whose user or password contains an unescaped "/", "?" or "#", which
// makes its host and port look like a part of the path, of the query or of the name.
func looseUser(body, name string) (string, string) {
	head := body
	if i := strings.IndexAny(body, "/?"); i >= 0 {
		head = body[:i]
	}
	at := strings.LastIndexByte(head, '@')
	// A word and a number without a user may be a user and the beginning of a password.
	if host, ok := hostPort(head[at+1:]); ok && (at >= 0 || strings.ContainsAny(host, ".[") || strings.EqualFold(host, "localhost")) {
		return body, name
	}
	if host := head[at+1:]; len(head) < len(body) && body[len(head)] == '?' && strings.Contains(host, ".") && isDomain(host) {
		return body, name // without a port
	}
	whole := body
	if name != "" {
		whole += "#" + name
	}
	for from := 0; ; {
		i := strings.IndexByte(whole[from:], '@')
		if i < 0 {
			return body, name
		}
		i += from
		if _, ok := hostPort(whole[i+1:]); ok {
			body, name, _ = strings.Cut(whole[i:], "#")
			return userEscapes.Replace(whole[:i]) + strings.TrimSpace(body), name
		}
		from = i + 1
	}
}

var userEscapes = strings.NewReplacer("/", "%2F", "?", "%3F", "#", "%23", "@", "%40")

// hostPort reports whether a text begins with a host and a port and nothing that belongs to either
// follows, and returns the host.
func hostPort(s string) (host string, ok bool) {
	i := 0
	if strings.HasPrefix(s, "[") {
		i = strings.IndexByte(s, ']') + 1
	} else {
		for i < len(s) && (isAlnum(s[i]) || s[i] >= utf8.RuneSelf || strings.IndexByte("-_.%", s[i]) >= 0) {
			i++
		}
	}
	if i == 0 || i == len(s) || s[i] != ':' {
		return "", false
	}
	host, s = s[:i], s[i+1:]
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	if digits == 0 || digits > 5 {
		return "", false
	}
	// Several ports may follow, and whatever ends a port.
	rest := strings.TrimLeft(s[digits:], "0123456789,-: ")
	return host, rest == "" || strings.IndexByte("/?#", rest[0]) >= 0
}
