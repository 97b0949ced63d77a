package catalog

import (
	"context"
	"errors"
	"fmt"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/subscription"
)

// viaKept is the way of an answer that is read again.
const viaKept = "kept"

// codeNotKept is the code of a subscription of which there is nothing to read again.
const codeNotKept = "not_kept"

// keepBody keeps an answer that the configs agree with now. That it cannot be kept is logged: the
// update is as good without.
func (cat *Catalog) keepBody(ctx context.Context, sub store.Subscription, f fetched) {
	if f.NotModified || f.via == viaKept {
		return
	}
	if err := cat.Store.KeepBody(ctx, sub.ID, f.Body); err != nil {
		cat.Log.Warn().Err(err).Int64("subscription", sub.ID).Msg("keeping the answer of a provider")
	}
}

// reparseSubscriptions reads again what is kept of subscriptions, without ids of all: a newer
// version may understand more of it.
func (cat *Catalog) reparseSubscriptions(ctx context.Context, ids []int64) (any, string, error) {
	ids, err := cat.chosen(ctx, ids)
	if err != nil {
		return nil, "", err
	}
	payload, failed := ipc.SubscriptionUpdatePayload{Results: []ipc.RefreshPayload{}}, 0
	for _, id := range ids {
		result, err := cat.reparse(ctx, id)
		if err != nil {
			return nil, "", err
		}
		if !result.OK {
			failed++
		}
		payload.Results = append(payload.Results, result)
	}
	return payload, fmt.Sprintf("%d read again, %d not", len(ids)-failed, failed), nil
}

// reparse makes the configs agree with what is kept of a subscription. Nothing changes if that
// cannot be read.
func (cat *Catalog) reparse(ctx context.Context, id int64) (ipc.RefreshPayload, error) {
	cat.subscribing.Lock()
	defer cat.subscribing.Unlock()
	none := ipc.RefreshPayload{SubscriptionID: id, Problems: []ipc.ImportErrorPayload{}}
	sub, err := cat.subscription(ctx, id)
	if err != nil {
		return none, err
	}
	none.Name = sub.Name
	body, err := cat.Store.Body(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		none.Error = &ipc.ErrorPayload{Code: codeNotKept, Message: "no answer of the provider is kept: `xrat subscription update` fetches one"}
		return none, nil
	}
	if err != nil {
		return none, err
	}
	f := fetched{via: viaKept}
	f.ETag, f.LastModified = sub.ETag, sub.LastModified
	var unread error
	if f.body, unread = subscription.Parse(body); unread == nil && !mayNamePrivate(sub) {
		unread = f.body.DropPrivate()
	}
	configs, err := cat.Store.Configs(ctx)
	if err != nil {
		return none, fmt.Errorf("reading the configs: %w", err)
	}
	if known, _ := knownTo(id, configs); unread == nil {
		if doubtful := f.body.Doubt(known); doubtful != nil {
			unread = doubtful
		}
	}
	if unread != nil {
		return refused(none, unread, f.body), nil
	}
	return cat.reconcile(ctx, sub, f, configs)
}
