package daemontest

import (
	"context"
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

// ProviderAddress is where the provider serves; it has a secret.
const ProviderAddress = "https://provider.test/secret-token"

// Offer changes what the provider serves.
func (w *World) Offer(change func(*Provider)) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	change(&w.Provider)
}

// Requests returns what the provider was asked, and forgets it.
func (w *World) Requests() []subscription.Request {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	asked := w.Provider.Asked
	w.Provider.Asked = nil
	return asked
}

// Fetch is what the provider answers.
func (w *World) Fetch(ctx context.Context, r subscription.Request) (subscription.Response, error) {
	w.Mu.Lock()
	w.Provider.Asked = append(w.Provider.Asked, r)
	p := w.Provider
	w.Mu.Unlock()
	if p.Hold != nil {
		select {
		case <-p.Hold:
		case <-ctx.Done():
			return subscription.Response{}, &subscription.Error{Code: subscription.CodeCanceled, Message: "stopped"}
		}
	}
	switch {
	case r.Proxy != nil && p.ProxyErr != nil:
		return subscription.Response{}, p.ProxyErr
	case p.Err != nil:
		return subscription.Response{}, p.Err
	case r.ETag != "" && r.ETag == p.Response.ETag:
		return subscription.Response{NotModified: true, ETag: r.ETag}, nil
	}
	p.Response.Body = []byte(p.Body)
	return p.Response, nil
}
