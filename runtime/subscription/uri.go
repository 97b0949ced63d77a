package subscription

import (
	"net/netip"
	"net/url"
	"strings"

	"github.com/xrat-tray/xrat/runtime/link"
)

// uri is a share link in the making. All values are escaped, so that none can become a part of the
// link that it is not meant to be.
type uri struct {
	scheme     string
	user       string // escaped
	host, port string // as found; runtime/link judges them
	name       string // as found
	params     strings.Builder
}

// set adds a parameter, unless it is empty.
func (u *uri) set(key, value string) {
	if value == "" {
		return
	}
	if u.params.Len() > 0 {
		u.params.WriteByte('&')
	}
	u.params.WriteString(key + "=" + escape(value))
}

func (u *uri) flag(key string, value bool) {
	if value {
		u.set(key, "1")
	}
}

// userPassword sets the part before the host. If both are empty there is none.
func (u *uri) userPassword(user, password string) {
	if user != "" || password != "" {
		u.user = escape(user) + ":" + escape(password)
	}
}

// http1 sets the disguise of TCP as HTTP/1.
func (u *uri) http1(hosts, paths []string) {
	u.set("type", "tcp")
	u.set("headerType", "http")
	u.set("host", strings.Join(hosts, ","))
	u.set("path", strings.Join(paths, ","))
}

func (u *uri) String() string {
	host := strings.TrimSuffix(strings.TrimPrefix(u.host, "["), "]")
	if _, err := netip.ParseAddr(host); err == nil && strings.Contains(host, ":") {
		host = "[" + host + "]"
	} else {
		host = escape(host)
	}
	port := u.port
	if port == "" {
		port = "0" // which is refused: some links have a default port, the other formats have none
	}
	s := u.scheme + "://"
	if u.user != "" {
		s += u.user + "@"
	}
	s += host + ":" + escape(port)
	if u.params.Len() > 0 {
		s += "?" + u.params.String()
	}
	if name := cleanName(u.name); name != "" {
		s += "#" + escape(name)
	}
	return s
}

// escape percent-encodes all but unreserved characters. A space becomes %20, because a plus in a
// link is a plus.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func reject(code, message string) *link.Error { return &link.Error{Code: code, Message: message} }
