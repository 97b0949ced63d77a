package subscription

import (
	"regexp"
	"strings"
)

// proxySchemes begin links of servers, of the core's protocols and of others. Pages and HTTP
// proxies, which look alike, are not among them.
var proxySchemes = wordSet("vless vmess trojan ss shadowsocks ssr socks socks5 socks5h socks4 socks4a hysteria2 hy2 hysteria hy tuic " +
	"wireguard wg awg warp anytls juicity snell naive+https naive+quic ssh mieru mierus brook trojan-go nekoray sn exclave husi psiphon")

// gluedSchemes begin a link also where they follow other text without a gap, as lists have it that
// were put together without line breaks.
var gluedSchemes = []string{"wireguard", "hysteria2", "hysteria", "trojan", "vless", "vmess", "tuic", "hy2", "ssr", "ss"}

func wordSet(words string) map[string]bool {
	set := make(map[string]bool)
	for word := range strings.FieldsSeq(words) {
		set[word] = true
	}
	return set
}

// markdownMail is what becomes of "user@host" in a text with markup.
var markdownMail = regexp.MustCompile(`\[([^\]\s]*)\]\(mailto:[^)\s]*\)`)

// splitLinks returns the links in a line of a list, without the text around them. A line without a
// link comes back as it is. What goes through another link is one with it.
func splitLinks(line string) []string {
	if strings.Contains(line, "](mailto:") {
		line = markdownMail.ReplaceAllString(line, "$1")
	}
	var starts []int
	hash := strings.IndexByte(line, '#')
	for at := 0; len(starts) <= maxPositions; {
		i := strings.Index(line[at:], "://")
		if i < 0 {
			break
		}
		first := len(starts) == 0
		if start, ok := linkStart(line, at, at+i, first, !first && (hash < 0 || hash > at+i)); ok {
			starts = append(starts, start)
		}
		at += i + len("://")
	}
	if len(starts) == 0 || isChain(line) {
		return []string{line}
	}
	links := make([]string, len(starts))
	for i, start := range starts {
		end := len(line)
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		links[i] = unquoteLink(line[start:end], line[:start])
	}
	return links
}

// linkStart returns where the link begins that has its "://" at colon, if one does. What is before
// from belongs to another. Those of pages begin one only if pages says so.
func linkStart(line string, from, colon int, first, pages bool) (int, bool) {
	start := colon
	for start > from && isSchemeByte(line[start-1]) {
		start--
	}
	if start == 0 {
		return 0, true // whatever it is
	}
	scheme, before := strings.ToLower(line[start:colon]), line[start-1]
	inValue := start > from && strings.IndexByte("=/:%", before) >= 0
	switch {
	case proxySchemes[scheme]:
		return start, first || !inValue && before != '@'
	case isPage(scheme + "://"):
		// Behind a name it is an advertisement, and elsewhere a proxy beside others.
		return start, pages && (before == ' ' || before == '\t')
	}
	for _, glued := range gluedSchemes {
		if strings.HasSuffix(scheme, glued) && !inValue && !first {
			return colon - len(glued), true
		}
	}
	return 0, false
}

// unquoteLink takes off what closes the quotes and brackets that a link stands in, and what parts
// it from the next.
func unquoteLink(link, before string) string {
	link = strings.TrimRight(link, " \t,;|")
	before = strings.TrimRight(before, " \t")
	if before == "" {
		return link
	}
	opening := before[len(before)-1]
	if i := strings.IndexByte("`'\"<[(", opening); i >= 0 {
		link, _, _ = strings.Cut(link, "`'\">])"[i:i+1])
	}
	return link
}

// chain is how Hiddify writes that one server is reached through another.
var chain = regexp.MustCompile(`(?i)&&detour=|->\s*(?:vless|vmess|trojan|ss|shadowsocks|ssr|socks[a-z0-9]*|hysteria2?|hy2?|tuic|wireguard|wg|awg|warp|anytls|ssh|mierus?|naive[a-z+]*|psiphon|x?direct)://`)

func isChain(text string) bool {
	return (strings.Contains(text, "&&") || strings.Contains(text, "->")) && chain.MatchString(text)
}

// beforeChain returns what a name says before it goes on with another server.
func beforeChain(name string) string {
	name = cleanText(name)
	if mark := chain.FindStringIndex(name); mark != nil {
		name = name[:mark[0]]
	}
	return name
}

func isPage(address string) bool {
	return hasPrefixFold(address, "http://") || hasPrefixFold(address, "https://")
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
