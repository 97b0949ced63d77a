package catalog

import (
	"context"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/runtime/subscription"
)

// The ways by which a subscription comes.
const (
	viaProxy  = "proxy"
	viaDirect = "direct"
)

// codeNotConnected is the code of a fetch that did not take place.
const codeNotConnected = "not_connected"

// errNoWay is no fault of the provider.
var errNoWay = &subscription.Error{Code: codeNotConnected,
	Message: "not fetched: xrat is not connected, and the setting subscription.direct does not allow to do without; connect first"}

// fetched is a provider's answer.
type fetched struct {
	subscription.Response
	body subscription.Body // empty if NotModified
	via  string
}

// fetch gets and reads what an address serves. It goes through the front while there is a session,
// with rescue and rotation like any application, and directly if that fails and the settings allow
// it. An answer that cannot be read counts as a failure: it may be the page of somebody who blocks
// that way.
func (cat *Catalog) fetch(ctx context.Context, r subscription.Request) (fetched, error) {
	ways := cat.ways(r.URL, r.Private)
	if len(ways) == 0 {
		return fetched{}, errNoWay
	}
	var first error
	for i, way := range ways {
		r.Proxy = way
		f := fetched{via: viaDirect}
		if way != nil {
			f.via = viaProxy
		}
		var err error
		if f.Response, err = cat.Fetch(ctx, r); err == nil && !f.NotModified {
			f.body, err = subscription.Parse(f.Body)
			f.About = f.About.Or(f.body.About)
		}
		if err == nil {
			return f, nil
		}
		switch code := errCode(err); {
		case ctx.Err() != nil:
			return fetched{}, context.Cause(ctx)
		case i == len(ways)-1 && first != nil:
			return f, &subscription.Error{Code: code, Message: "through the proxy: " + first.Error() + "; directly: " + err.Error()}
		case i == len(ways)-1 || code == subscription.CodeTooLarge || code == subscription.CodeTooMany ||
			code == subscription.CodeDeviceLimit || code == subscription.CodeDeviceUnknown: // it would be the same
			return f, err
		}
		first = err
	}
	return fetched{}, first
}

// ways lists how an address may be fetched now, the best first; nil is directly. private: its name
// may be one in the user's own network.
func (cat *Catalog) ways(address string, private bool) (ways []*subscription.Proxy) {
	if subscription.Local(address) || private && subscription.LocalName(address) {
		return []*subscription.Proxy{nil}
	}
	if proxy, _ := cat.Supervisor.Proxy(); proxy != nil {
		ways = append(ways, proxy)
	}
	if cat.Settings.Subscription.Direct {
		ways = append(ways, nil)
	}
	return ways
}

// problems returns the problems of a body as they cross the wire; err is why the body as a whole
// could not be read.
func problems(body subscription.Body, err error) []ipc.ImportErrorPayload {
	list := []ipc.ImportErrorPayload{}
	for _, p := range body.Problems {
		problem := ipc.ImportErrorPayload{Name: p.Name, Code: p.Code, Message: p.Message, Kept: p.Kept}
		if body.Lines {
			problem.Line = p.Position
		} else {
			problem.Entry = p.Position
		}
		list = append(list, problem)
	}
	if err != nil && len(list) == 0 {
		list = append(list, ipc.ImportErrorPayload{Code: errCode(err), Message: err.Error()})
	}
	return list
}

// lost counts the problems of entries that were not taken.
func lost(problems []ipc.ImportErrorPayload) (n int) {
	for _, p := range problems {
		if !p.Kept {
			n++
		}
	}
	return n
}
