package catalog

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rules"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/subscription"
)

// checkOptions refuses what a subscription cannot be told. It returns what makes the change.
func checkOptions(r ipc.Request) (edit func(*store.Subscription), err error) {
	refuse := func(err error) (func(*store.Subscription), error) {
		return nil, ipc.Errorf(ipc.CodeInvalidState, "%s", err)
	}
	if err := checkName(r.Name, true); err != nil {
		return nil, err
	}
	interval := time.Duration(r.IntervalSecs) * time.Second
	if r.IntervalSecs != 0 && (r.IntervalSecs < 0 || interval < minUpdateInterval || interval > maxUpdateInterval) {
		return nil, ipc.Errorf(ipc.CodeInvalidState, "the interval must be from 1h to 8760h")
	}
	if r.UserAgent != nil {
		if err := subscription.CheckUserAgent(*r.UserAgent); err != nil {
			return refuse(err)
		}
	}
	headers, err := subscription.ParseHeaders(r.Headers)
	if err != nil {
		return refuse(err)
	}
	var authority, pin string
	if r.CA != nil && *r.CA != "" {
		if authority, err = subscription.ReadCA([]byte(*r.CA)); err != nil {
			return refuse(err)
		}
	}
	if r.Pin != nil && *r.Pin != "" {
		if pin, err = subscription.ParsePin(*r.Pin); err != nil {
			return refuse(err)
		}
	}
	if authority != "" && pin != "" {
		return nil, ipc.Errorf(ipc.CodeInvalidState, "give either the certificate that signs the provider's or a pin: a pin is all that counts")
	}
	for _, list := range [][]string{r.Only, r.Never} {
		if _, err := rules.ParseAll(list); err != nil {
			return refuse(err)
		}
	}
	return func(sub *store.Subscription) {
		if r.Name != "" {
			sub.Name, sub.Named = r.Name, true
		}
		sub.IntervalSecs = cmp.Or(r.IntervalSecs, sub.IntervalSecs)
		if r.Private != nil {
			sub.Private = *r.Private
		}
		if r.Only != nil {
			sub.Only = r.Only
		}
		if r.Never != nil {
			sub.Never = r.Never
		}
		if r.UserAgent == nil && r.Headers == nil && r.HWID == nil && r.CA == nil && r.Pin == nil {
			return
		}
		if r.UserAgent != nil {
			sub.UserAgent = *r.UserAgent
		}
		if r.Headers != nil {
			sub.Headers = nil
			for _, h := range headers {
				sub.Headers = append(sub.Headers, store.Header(h))
			}
		}
		if r.HWID != nil {
			sub.HWID = *r.HWID
		}
		if r.CA != nil {
			sub.CA = authority
		}
		if r.Pin != nil {
			sub.Pin = pin
		}
		switch { // the newer of the two counts
		case authority != "":
			sub.Pin = ""
		case pin != "":
			sub.CA = ""
		}
		// Whoever asks differently may get another answer.
		sub.ETag, sub.LastModified = "", ""
	}, nil
}

// checkSecured refuses certificates for an address at which none is shown.
func checkSecured(address string, r ipc.Request) error {
	if r.CA != nil && *r.CA != "" || r.Pin != nil && *r.Pin != "" {
		if err := subscription.CheckSecured(address); err != nil {
			return ipc.Errorf(ipc.CodeInvalidState, "%s", err)
		}
	}
	return nil
}

// setSubscriptions changes how subscriptions are asked for and used.
func (cat *Catalog) setSubscriptions(ctx context.Context, r ipc.Request) (any, string, error) {
	edit, err := checkOptions(r)
	if err != nil {
		return nil, "", err
	}
	ids := unique(r.IDs)
	a := r.SubscriptionArguments
	switch {
	case len(ids) == 0:
		return nil, "", ipc.Errorf(ipc.CodeInvalidState, "there is no subscription to change")
	case r.Name != "" && len(ids) > 1:
		return nil, "", ipc.Errorf(ipc.CodeInvalidState, "only one subscription at a time can get a name")
	case r.Name == "" && r.IntervalSecs == 0 && r.Private == nil && a.UserAgent == nil && a.Headers == nil && a.HWID == nil && a.CA == nil && a.Pin == nil &&
		a.Only == nil && a.Never == nil:
		return nil, "", ipc.Errorf(ipc.CodeInvalidState, "there is nothing to change")
	}
	cat.subscribing.Lock()
	defer cat.subscribing.Unlock()
	all, err := cat.Store.Subscriptions(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("reading the subscriptions: %w", err)
	}
	if err := haveAll(all, ids); err != nil {
		return nil, "", err
	}
	wanted := make(map[int64]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
	}
	for _, sub := range all {
		if wanted[sub.ID] {
			if err := checkSecured(sub.URL, r); err != nil {
				return nil, "", err
			}
		}
	}
	defer cat.subscriptionsChanged()
	defer cat.changed(ctx) // rules may be others
	for _, id := range ids {
		if _, err := cat.Store.UpdateSubscription(ctx, id, edit); err != nil {
			return nil, "", err
		}
	}
	list, err := cat.listSubscriptions(ctx)
	if err != nil {
		return nil, "", err
	}
	payload := ipc.SubscriptionListPayload{Subscriptions: []ipc.SubscriptionPayload{}}
	for _, p := range list.Subscriptions {
		if wanted[p.ID] {
			payload.Subscriptions = append(payload.Subscriptions, p)
		}
	}
	return payload, fmt.Sprintf("%d changed", len(payload.Subscriptions)), nil
}

// requestFor is how a subscription is asked for. If conditional, the provider need not send again
// what is kept here.
func (cat *Catalog) requestFor(ctx context.Context, sub store.Subscription, conditional bool) (subscription.Request, error) {
	r := subscription.Request{URL: sub.URL, UserAgent: sub.UserAgent, CA: sub.CA, Pin: sub.Pin, Private: sub.Private}
	for _, h := range sub.Headers {
		r.Headers = append(r.Headers, subscription.Header(h))
	}
	if sub.HWID {
		id, err := cat.Store.DeviceID(ctx)
		if err != nil {
			return r, err // another id would count as another device
		}
		r.Device = new(subscription.ThisDevice(id))
	}
	if conditional {
		// An earlier version has kept nothing that could be read again.
		if _, err := cat.Store.Body(ctx, sub.ID); err == nil {
			r.ETag, r.LastModified = sub.ETag, sub.LastModified
		}
	}
	return r, nil
}
