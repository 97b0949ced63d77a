package subscription

import (
	"bytes"
	"runtime"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/xrat-tray/xrat/runtime/link"
)

// ParseList reads a piece of a list of links, one a line, as Parse does once it has recognized the
// format. It is for lists that arrive bit by bit.
func ParseList(data []byte) Body {
	var c collector
	c.readList(data)
	return c.body
}

// readList reads a list of links, one a line.
func (c *collector) readList(data []byte) {
	c.body.Lines = true
	var links []listLink
	number := 0
	for line := range bytes.Lines(data) {
		number++
		line = bytes.TrimSpace(bytes.TrimPrefix(line, []byte("\uFEFF")))
		if _, comment := commentText(line); comment || len(line) == 0 || c.accountLine(line) {
			continue
		}
		for piece := range bytes.Lines(decodedLine(line)) {
			for _, uri := range splitLinks(string(bytes.TrimSpace(piece))) {
				if uri == "" {
					continue
				}
				if _, ok := c.next(); !ok {
					break
				}
				links = append(links, listLink{line: number, uri: uri})
			}
		}
		if c.cut {
			break
		}
	}
	parseLinks(links)
	for _, l := range links {
		_, name, _ := strings.Cut(l.uri, "#")
		if link.Code(l.err) == CodeChained {
			name = beforeChain(name)
		}
		c.parsed(l.line, l.link, l.leftOut, l.err, name)
	}
}

// decodedLine returns what a line of a list says that is in base64 among others that are not.
func decodedLine(line []byte) []byte {
	if len(line) < 16 || bytes.Contains(line, []byte("://")) {
		return line
	}
	if decoded, _, ok := decodeBase64(line); ok && utf8.Valid(decoded) {
		if scheme, _, found := strings.Cut(string(decoded[:min(len(decoded), 32)]), "://"); found && proxySchemes[strings.ToLower(scheme)] {
			return decoded
		}
	}
	return line
}

// accountLine reports whether a line is a setting of a list. Shadowrocket shows some of them as the
// state of the account.
func (c *collector) accountLine(line []byte) bool {
	key, value, found := bytes.Cut(line, []byte("="))
	switch {
	case !found:
		return false
	case string(key) == "STATUS" || string(key) == "REMARKS":
		c.notice(string(value))
		return true
	default:
		return string(key) == "MAX" // links to choose from
	}
}

type listLink struct {
	line    int
	uri     string
	link    link.Link
	leftOut []string
	err     error
}

// parseLinks parses every link, on all processors: a list can have tens of thousands of them.
func parseLinks(links []listLink) {
	const least = 500 // links that are worth a goroutine
	var workers sync.WaitGroup
	defer workers.Wait()
	for share := max(least, len(links)/runtime.GOMAXPROCS(0)+1); len(links) > 0; {
		some := links[:min(share, len(links))]
		links = links[len(some):]
		workers.Go(func() {
			for i := range some {
				some[i].link, some[i].leftOut, some[i].err = parseLink(some[i].uri)
			}
		})
	}
}

// parseLink reads a link of a list, which may be in the wrapping of another client.
func parseLink(uri string) (l link.Link, leftOut []string, err error) {
	if isChain(uri) {
		return l, nil, chainedLink()
	}
	scheme, rest, _ := strings.Cut(uri, "://")
	if scheme = strings.ToLower(scheme); isWrapping(scheme, rest) {
		inner, ok := Unwrap(uri)
		switch {
		case !ok:
			return l, nil, reject(link.CodeUnsupportedProtocol, "the link is made for another client ("+scheme+"), and has no address that others can read; ask the provider for the plain address")
		case isPage(inner):
			return l, nil, reject(link.CodeWebAddress, "the link, made for another client ("+scheme+"), holds the address of a subscription; add it with `xrat subscription add`")
		}
		return parseLink(inner)
	}
	l, leftOut, err = link.Read(uri)
	if err == nil && isChain(l.Name) { // behind escapes
		return link.Link{}, nil, chainedLink()
	}
	return l, leftOut, err
}

func chainedLink() *link.Error {
	return reject(CodeChained, "the link goes through another server (&&detour= or ->), which xrat does not support; ask the provider for one without")
}
