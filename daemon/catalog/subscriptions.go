package catalog

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/subscription"
)

const (
	maxSubscriptions = 100
	maxURL           = 8 << 10 // bytes

	// minUpdateInterval and maxUpdateInterval bound what the user may ask for; the settings have
	// the same bounds.
	minUpdateInterval = time.Hour
	maxUpdateInterval = 365 * 24 * time.Hour
)

func (cat *Catalog) listSubscriptions(ctx context.Context) (ipc.SubscriptionListPayload, error) {
	payload := ipc.SubscriptionListPayload{Subscriptions: []ipc.SubscriptionPayload{}}
	all, err := cat.Store.Subscriptions(ctx)
	if err != nil {
		return payload, fmt.Errorf("reading the subscriptions: %w", err)
	}
	if len(all) == 0 {
		return payload, nil
	}
	configs, err := cat.Store.Configs(ctx)
	if err != nil {
		return payload, fmt.Errorf("reading the configs: %w", err)
	}
	for _, sub := range all {
		payload.Subscriptions = append(payload.Subscriptions, cat.subscriptionPayload(sub, configs))
	}
	return payload, nil
}

// subscriptionPayload is a subscription without its secrets.
func (cat *Catalog) subscriptionPayload(sub store.Subscription, configs []store.Config) ipc.SubscriptionPayload {
	interval := cat.updateInterval(sub)
	p := ipc.SubscriptionPayload{
		ID: sub.ID, Name: sub.Name, Address: subscription.Redact(sub.URL), CreatedAt: sub.CreatedAt,
		IntervalSecs: int64(interval.Seconds()), Private: mayNamePrivate(sub), AttemptedAt: timeOrNil(sub.AttemptedAt), UpdatedAt: timeOrNil(sub.UpdatedAt),
		NextAt: timeOrNil(nextUpdate(sub, interval, time.Now())), Failures: sub.Failures,
		Problems: sub.Problems, Notices: append([]string{}, sub.Notices...), Announce: sub.Announce, SupportURL: sub.SupportURL, WebPageURL: sub.WebPageURL,
		UserAgent: sub.UserAgent, Headers: []string{}, HWID: sub.HWID, CA: sub.CA != "", Pin: sub.Pin,
		Only: append([]string{}, sub.Only...), Never: append([]string{}, sub.Never...),
	}
	for _, h := range sub.Headers {
		p.Headers = append(p.Headers, h.Name)
	}
	if sub.ErrorCode != "" {
		p.Error = &ipc.ErrorPayload{Code: sub.ErrorCode, Message: sub.Error}
	}
	if u := sub.Usage; u != nil {
		p.Usage = &ipc.UsagePayload{Upload: u.Upload, Download: u.Download, Total: u.Total, ExpiresAt: timeOrNil(u.ExpiresAt)}
	}
	for _, c := range configs {
		switch {
		case !slices.Contains(c.Subscriptions, sub.ID):
		case c.Retired():
			p.Retired++
		default:
			p.Configs++
		}
	}
	return p
}

// addSubscription stores an address and, unless told otherwise, fetches it. An address that is
// stored already is not added again, but gets what is new of name, interval and permission.
func (cat *Catalog) addSubscription(ctx context.Context, r ipc.Request) (any, string, error) {
	address, name := subscription.Named(plainAddress(r.URL))
	if err := checkAddress(address); err != nil {
		return nil, "", err
	}
	if r.Name == "" && checkName(name, true) == nil {
		r.Name = name
	}
	edit, err := checkOptions(r)
	if err != nil {
		return nil, "", err
	}
	if err := checkSecured(address, r); err != nil {
		return nil, "", err
	}
	sub, existed, err := cat.storeSubscription(ctx, address, edit)
	if err != nil {
		return nil, "", err
	}
	cat.subscriptionsChanged()
	if existed && (r.Only != nil || r.Never != nil) {
		cat.changed(ctx)
	}
	payload := ipc.SubscriptionAddPayload{Existed: existed}
	message := fmt.Sprintf("%s added", sub.Name)
	if existed {
		message = fmt.Sprintf("%s was there already", sub.Name)
	}
	if !r.NoUpdate {
		result, err := cat.refresh(ctx, sub.ID, refreshing{})
		if err != nil {
			return nil, "", err
		}
		payload.Refresh = &result
		if result.OK {
			message = fmt.Sprintf("%s: %s", message, summary(result))
		} else {
			message = fmt.Sprintf("%s, but nothing could be fetched, and it will be tried again: %s", message, result.Error.Message)
		}
	}
	list, err := cat.listSubscriptions(ctx)
	if err != nil {
		return nil, "", err
	}
	for _, p := range list.Subscriptions {
		if p.ID == sub.ID {
			payload.Subscription = p
			return payload, message, nil
		}
	}
	return nil, "", errRemoved(sub.ID)
}

func (cat *Catalog) storeSubscription(ctx context.Context, address string, edit func(*store.Subscription)) (sub store.Subscription, existed bool, err error) {
	cat.subscribing.Lock()
	defer cat.subscribing.Unlock()
	all, err := cat.Store.Subscriptions(ctx)
	if err != nil {
		return sub, false, fmt.Errorf("reading the subscriptions: %w", err)
	}
	for _, known := range all {
		if bare, _ := subscription.Named(known.URL); bare == address {
			sub, err := cat.Store.UpdateSubscription(ctx, known.ID, edit)
			return sub, true, err
		}
	}
	if len(all) >= maxSubscriptions {
		return sub, false, ipc.Errorf(ipc.CodeInvalidState, "there are %d subscriptions, and more are not possible: remove one with `xrat subscription remove`", len(all))
	}
	added := store.Subscription{Name: hostOf(address), URL: address, CreatedAt: time.Now()}
	edit(&added)
	sub, err = cat.Store.AddSubscription(ctx, added)
	return sub, false, err
}

// mayNamePrivate reports whether a subscription may name servers on this machine and in private
// networks: if the user has said so, or has found the subscription itself there.
func mayNamePrivate(sub store.Subscription) bool { return sub.Private || subscription.Local(sub.URL) }

// plainAddress returns the address in one that a page makes for another client, or text itself.
func plainAddress(text string) string {
	if inner, ok := subscription.Unwrap(text); ok {
		return inner
	}
	return strings.TrimSpace(text)
}

func checkAddress(address string) error {
	if err := subscription.Check(address); err != nil {
		return ipc.Errorf(ipc.CodeInvalidState, "%s", err)
	}
	if len(address) > maxURL {
		return ipc.Errorf(ipc.CodeInvalidState, "the address is longer than 8 KiB: copy it again from the provider")
	}
	return nil
}

// hostOf names a subscription after its server.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || checkName(u.Hostname(), false) != nil {
		return "subscription"
	}
	return u.Hostname()
}

func (cat *Catalog) updateSubscriptions(ctx context.Context, ids []int64, accept bool) (any, string, error) {
	ids, err := cat.chosen(ctx, ids)
	if err != nil {
		return nil, "", err
	}
	results, err := cat.refreshAll(ctx, ids, refreshing{accept: accept})
	if err != nil {
		return nil, "", err
	}
	failed := 0
	for _, r := range results {
		if !r.OK {
			failed++
		}
	}
	return ipc.SubscriptionUpdatePayload{Results: results}, fmt.Sprintf("%d updated, %d failed", len(results)-failed, failed), nil
}

// removeSubscriptions removes subscriptions and the configs that only they have. Configs in use
// stay, and are the user's from then on.
func (cat *Catalog) removeSubscriptions(ctx context.Context, ids []int64, keep bool) (any, string, error) {
	ids = unique(ids)
	cat.subscribing.Lock()
	defer cat.subscribing.Unlock()
	all, err := cat.Store.Subscriptions(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("reading the subscriptions: %w", err)
	}
	if err := haveAll(all, ids); err != nil {
		return nil, "", err
	}
	used, err := cat.Supervisor.InUse(ctx)
	if err != nil {
		return nil, "", err
	}
	defer cat.subscriptionsChanged()
	defer cat.changed(ctx)
	var payload ipc.SubscriptionRemovePayload
	for _, id := range ids {
		removed, kept, err := cat.orphan(ctx, id, used, keep)
		if err != nil {
			return nil, "", err
		}
		// The last step: an interruption before leaves a subscription that can be removed again.
		if _, err := cat.Store.RemoveSubscription(ctx, id); err != nil {
			return nil, "", err
		}
		payload.Removed++
		payload.ConfigsRemoved += removed
		payload.ConfigsKept += kept
	}
	return payload, fmt.Sprintf("%d removed, with %d configs; %d configs stay", payload.Removed, payload.ConfigsRemoved, payload.ConfigsKept), nil
}

// orphan takes the configs of a subscription from it.
func (cat *Catalog) orphan(ctx context.Context, id int64, used map[int64]bool, keep bool) (removed, kept int, err error) {
	configs, err := cat.Store.Configs(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("reading the configs: %w", err)
	}
	var gone, stay []int64
	for _, c := range configs {
		if !slices.Contains(c.Subscriptions, id) {
			continue
		}
		alone := len(c.Subscriptions) == 1 && c.Source == store.SourceSubscription
		if alone && !used[c.ID] && (!keep || c.Retired()) {
			gone = append(gone, c.ID)
		} else {
			stay = append(stay, c.ID)
		}
	}
	if _, err := cat.Store.UpdateConfigs(ctx, stay, func(c *store.Config) { leave(c, id) }); err != nil {
		return 0, 0, err
	}
	removed, err = cat.Store.RemoveConfigs(ctx, gone)
	return removed, len(stay), err
}

// subscriptionsChanged has the next refresh planned anew.
func (cat *Catalog) subscriptionsChanged() {
	select {
	case cat.replan <- struct{}{}:
	default: // that is to be done already
	}
}

// chosen returns the ids of subscriptions that there are, each once; without any it returns all.
func (cat *Catalog) chosen(ctx context.Context, ids []int64) ([]int64, error) {
	all, err := cat.Store.Subscriptions(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the subscriptions: %w", err)
	}
	if len(ids) == 0 {
		for _, sub := range all {
			ids = append(ids, sub.ID)
		}
	}
	ids = unique(ids)
	return ids, haveAll(all, ids)
}

func haveAll(all []store.Subscription, ids []int64) error {
	for _, id := range ids {
		if !slices.ContainsFunc(all, func(s store.Subscription) bool { return s.ID == id }) {
			return ipc.Errorf(ipc.CodeNotFound, "there is no subscription %d: see `xrat subscription list`", id)
		}
	}
	return nil
}

func errRemoved(id int64) error {
	return ipc.Errorf(ipc.CodeNotFound, "subscription %d was removed meanwhile", id)
}

// unique returns ids, each once, in order.
func unique(ids []int64) []int64 { return slices.Compact(slices.Sorted(slices.Values(ids))) }

// errCode returns the code of an error of package subscription.
func errCode(err error) string {
	if e, ok := errors.AsType[*subscription.Error](err); ok {
		return e.Code
	}
	return string(ipc.CodeInternalError)
}
