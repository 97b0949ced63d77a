package daemontest

import (
	"strings"

	"github.com/xrat-tray/xrat/runtime/subscription"
)

// Provider serves subscriptions.
type Provider struct {
	Body     string
	Response subscription.Response // the rest of the answer
	Err      error
	ProxyErr error // through the proxy only
	Asked    []subscription.Request
	Hold     chan struct{} // not nil: no answer before it is closed
}

// Body lists servers by their names, each at a host of that name.
func Body(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		b.WriteString("socks://" + name + ":1080#" + name + "\n")
	}
	return b.String()
}

const ProviderAddress = "https://provider.test/secret-token"
