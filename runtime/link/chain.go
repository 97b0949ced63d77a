package link

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Some write a chain of servers, or two servers, as one link: "…#A&&detour=trojan://…#B",
// "…#A -> trojan://…". What comes second has secrets, which a name would show.

func chained() *Error {
	return reject(CodeChained, "a second link follows in the same line: a server behind another one, which xrat does not support, or two servers; give each link a line of its own")
}

// findLink returns where the first link of a server begins in a text, or -1. A web address without
// a user is none.
func findLink(text string) int {
	for from := 0; ; {
		i := strings.Index(text[from:], "://")
		if i < 0 {
			return -1
		}
		i += from
		from = i + len("://")
		if next, _ := utf8.DecodeRuneInString(text[from:]); from == len(text) || unicode.IsSpace(next) {
			continue
		}
		start := i
		for start > 0 && (isAlnum(text[start-1]) || strings.IndexByte("+-.", text[start-1]) >= 0) {
			start--
		}
		scheme := strings.ToLower(text[start:i])
		authority := text[from:]
		if end := strings.IndexFunc(authority, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("/?#", r) }); end >= 0 {
			authority = authority[:end]
		}
		if strings.Contains(authority, "@") {
			return start
		}
		for _, known := range linkSchemes {
			before, found := strings.CutSuffix(scheme, known)
			// The short ones also end other words.
			if found && (before == "" || len(known) > 4 || !isAlnum(before[len(before)-1])) {
				return i - len(known)
			}
		}
	}
}

// linkSchemes are those of links that are servers.
var linkSchemes = []string{
	"vless", "vmess", "trojan", "ss", "shadowsocks", "socks", "socks5", "socks5h", "socks4", "hysteria2", "hy2", "wireguard", "wg", "hysteria", "hy", "tuic", "ssr",
	"anytls", "juicity", "snell", "ssh", "mieru", "mierus", "brook", "awg", "sn", "husi", "nekoray", "naive+https", "naive+quic",
}

// cutLink removes from a name the first link in it and all that follows.
func cutLink(name string) string {
	i := findLink(name)
	if i < 0 {
		return name
	}
	name = strings.TrimRight(name[:i], " =")
	if before, found := strings.CutSuffix(name, "detour"); found {
		name = before
	}
	return strings.TrimRight(name, " &-=|>→➜+;,")
}

// followed reports whether another link follows in a text that is a link itself, without its
// scheme and its name. A path may contain links.
func followed(body string) bool {
	for from := 0; ; {
		i := findLink(body[from:])
		if i < 0 {
			return false
		}
		i += from
		near := strings.ToLower(body[max(0, i-16):i])
		before := strings.TrimRightFunc(near, unicode.IsSpace)
		if len(before) < len(near) || slices.ContainsFunc([]string{"->", "→", "detour="}, func(s string) bool { return strings.HasSuffix(before, s) }) {
			return true
		}
		from = i + strings.Index(body[i:], "://") + len("://")
	}
}

// name returns the name of the link for display.
func (q *query) name(raw string) string {
	if findLink(unescapeAll(raw)) >= 0 {
		q.fail(chained())
	}
	return cleanName(raw)
}
