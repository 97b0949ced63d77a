package subscription

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"github.com/xrat-tray/xrat/runtime/link"
)

// Providers speak to clients that show nothing but the names of servers by listing servers that do
// not exist. To a client whose account has expired, or that they do not know, many panels send
// nothing else, and with status 200: it must not be taken for the list of servers.

// statement matches names that are about the account: an amount of data, a date, or a usual word.
var statement = regexp.MustCompile(`(?i)\d\s*[KMGT]i?B\b|\b20\d\d[-/.年]\d|traffic|expir|remain|renew|reset|official|telegram|channel|disabled|` +
	`t\.me/|流量|剩余|到期|过期|套餐|官网|订阅|重置|距离|трафик|осталось|истек|подписк|ترافیک|حجم|انقضا|باقی|کانال|منقضی|اشتراک`)

// mostNotices is how many entries an answer has at most that is a message and no list.
const mostNotices = 5

// usageLine is the server name in the line of text that Hiddify puts first. For those whose host is
// none, runtime/link has a code.
const usageLine = "fake_ip_for_sub_link"

// isNotice reports whether an entry is not a server but a line of text.
func isNotice(l link.Link) bool {
	if tls, ok := l.Secure.(link.TLS); ok && tls.ServerName == usageLine {
		return true
	}
	return l.Name != "" && isNobody(l) || nowhere(l.Host) && statement.MatchString(l.Name)
}

// isNobody reports whether no server can be where an entry leads: no address at all, or port 1 in
// the open, as panels write it that speak in entries of the protocols that they sell.
func isNobody(l link.Link) bool {
	switch l.Protocol {
	case link.ProtocolVLESS, link.ProtocolVMess, link.ProtocolTrojan, link.ProtocolShadowsocks:
		address, err := netip.ParseAddr(l.Host)
		return err == nil && address.IsUnspecified() || l.Port == 1 && l.Secure == nil
	}
	return false
}

// thisMachine reports whether a host is the machine that looks for it.
func thisMachine(host string) bool {
	if address, err := netip.ParseAddr(host); err == nil {
		return address.IsLoopback() || address.IsUnspecified()
	}
	return strings.HasSuffix("."+strings.TrimSuffix(host, "."), ".localhost")
}

// nowhere reports whether a host cannot be a provider's server: this machine, or a name reserved
// for examples (RFC 2606).
func nowhere(host string) bool {
	if thisMachine(host) {
		return true
	}
	host = "." + strings.TrimSuffix(host, ".")
	for _, suffix := range []string{".invalid", ".example", ".test", ".example.com", ".example.org", ".example.net"} {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}

// noticeOnly is the error of a body that has nothing but notices.
func noticeOnly(notices []string) *Error {
	const most = 3
	text := strings.Join(notices[:min(len(notices), most)], " / ")
	return fail(CodeNotice, "the provider sent no servers but a message: "+text)
}

// takeMessage turns a few entries that all lead to this machine into notices: of a list that comes
// from elsewhere they are the message.
func (b *Body) takeMessage() {
	if len(b.Entries) > mostNotices {
		return
	}
	for _, e := range b.Entries {
		if !thisMachine(e.Link.Host) || e.Link.Name == "" {
			return
		}
	}
	c := collector{body: Body{Notices: b.Notices}}
	for _, e := range b.Entries {
		c.notice(e.Link.Name)
	}
	b.Entries, b.Notices = nil, c.body.Notices
}

// Doubt says why a body is not to be believed at once although it can be read, or nil: it has less
// than half of the servers that there were, or a few that nobody knows and whose names speak of the
// account. Known is what there is of the subscription.
func (b *Body) Doubt(known []Known) *Error {
	live, familiar := 0, make(map[string]bool, len(known))
	for _, k := range known {
		familiar[k.Identity] = true
		if !k.Retired {
			live++
		}
	}
	fresh, strange := make(map[string]bool, len(b.Entries)), true
	for _, e := range b.Entries {
		identity := e.Link.Identity()
		fresh[identity] = true
		strange = strange && !familiar[identity] && statement.MatchString(e.Link.Name)
	}
	switch {
	case live == 0 || len(b.Entries) == 0 || b.Partial:
		return nil
	case strange && len(b.Entries) <= mostNotices:
		var names []string
		for _, e := range b.Entries {
			names = append(names, e.Link.Name)
		}
		return noticeOnly(names)
	case 2*len(fresh) < live:
		return shrank(len(fresh), live)
	}
	return nil
}

func shrank(fresh, live int) *Error {
	return fail(CodeShrank, fmt.Sprintf("the provider sent %s where there were %d", plural(fresh, "server"), live))
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
