package subscription

import (
	"net/netip"
	"regexp"
	"strings"

	"github.com/xrat-tray/xrat/runtime/link"
)

// cleanName makes a text fit for display, by the rules of runtime/link for names.
func cleanName(text string) string {
	if text == "" {
		return ""
	}
	// A link of which only the name matters.
	l, err := link.Parse("socks://name.invalid:1#" + escape(text))
	if err != nil {
		return ""
	}
	return l.Name
}

// statement matches names that are about the account: an amount of data, a date, or a usual word.
var statement = regexp.MustCompile(`(?i)\d\s*[KMGT]i?B\b|\b20\d\d[-/.年]\d|traffic|expir|remain|renew|reset|official|telegram|channel|` +
	`t\.me/|流量|剩余|到期|过期|套餐|官网|订阅|重置|距离|трафик|осталось|истека|ترافیک|حجم|انقضا|باقی|کانال`)

// isNotice reports whether an entry is not a server but a line of text for clients that show only
// names: it is about the account, and leads nowhere.
func isNotice(l link.Link) bool { return nowhere(l.Host) && statement.MatchString(l.Name) }

// nowhere reports whether a host cannot be a provider's server: this machine, or a name reserved
// for examples (RFC 2606).
func nowhere(host string) bool {
	if address, err := netip.ParseAddr(host); err == nil {
		return address.IsLoopback() || address.IsUnspecified()
	}
	host = "." + strings.TrimSuffix(host, ".")
	for _, suffix := range []string{".localhost", ".invalid", ".example", ".test", ".example.com", ".example.org", ".example.net"} {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}
