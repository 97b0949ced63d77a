package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/link"
	"github.com/xrat-tray/xrat/runtime/subscription"
)

const (
	// refreshesAtOnce bounds how many subscriptions are fetched at a time.
	refreshesAtOnce = 4
	// maxConfigs bounds the configs that may be used; maxRetired bounds how many retired ones are
	// kept, and retiredTime for how long.
	maxConfigs  = 50_000
	maxRetired  = 20_000
	retiredTime = 30 * 24 * time.Hour

	codeTooManyConfigs = "too_many_configs"
)

// refreshing says how a subscription is updated.
type refreshing struct {
	conditional bool // the provider need not send again what has not changed
	accept      bool // what it sends is believed, however little it is
}

// refreshAll updates several subscriptions, a few at a time.
func (cat *Catalog) refreshAll(ctx context.Context, ids []int64, how refreshing) ([]ipc.RefreshPayload, error) {
	results := make([]ipc.RefreshPayload, len(ids))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(refreshesAtOnce)
	for i, id := range ids {
		group.Go(func() (err error) {
			results[i], err = cat.refresh(ctx, id, how)
			return err
		})
	}
	return results, group.Wait()
}

// refresh fetches a subscription and makes the stored configs agree with it, or waits for the
// refresh that is under way. The error is nil when the provider is to blame: the payload says so.
func (cat *Catalog) refresh(ctx context.Context, id int64, how refreshing) (ipc.RefreshPayload, error) {
	result, err, _ := cat.refreshing.Do(fmt.Sprint(id, how.accept), func() (any, error) {
		return cat.refreshAlone(ctx, id, how)
	})
	return result.(ipc.RefreshPayload), err
}

func (cat *Catalog) refreshAlone(ctx context.Context, id int64, how refreshing) (ipc.RefreshPayload, error) {
	none := ipc.RefreshPayload{SubscriptionID: id, Problems: []ipc.ImportErrorPayload{}}
	sub, err := cat.subscription(ctx, id)
	if err != nil {
		return none, err
	}
	var f fetched
	request, fetchErr := cat.requestFor(ctx, sub, how.conditional)
	if fetchErr == nil {
		f, fetchErr = cat.fetch(ctx, request)
	}
	if ctx.Err() != nil {
		return none, context.Cause(ctx)
	}
	cat.subscribing.Lock()
	defer cat.subscribing.Unlock()
	// It may have changed, or be gone, since.
	if sub, err = cat.subscription(ctx, id); err != nil {
		return none, err
	}
	none.Name = sub.Name
	if fetchErr == nil && !mayNamePrivate(sub) {
		fetchErr = f.body.DropPrivate()
	}
	fail := func(failure error) (ipc.RefreshPayload, error) {
		return refused(none, failure, f.body), cat.noteFailure(ctx, sub, failure, f.body.Notices)
	}
	if fetchErr != nil {
		return fail(fetchErr)
	}
	configs, err := cat.Store.Configs(ctx)
	if err != nil {
		return none, fmt.Errorf("reading the configs: %w", err)
	}
	if !f.NotModified && !how.accept {
		if err := doubt(sub, f.body, configs, time.Now()); err != nil {
			return fail(err)
		}
	}
	defer cat.subscriptionsChanged()
	result, err := cat.reconcile(ctx, sub, f, configs)
	if err == nil && result.OK {
		cat.keepBody(ctx, sub, f)
	}
	return result, err
}

// refused is the payload of an answer that changes nothing.
func refused(p ipc.RefreshPayload, failure error, body subscription.Body) ipc.RefreshPayload {
	p.Error = &ipc.ErrorPayload{Code: errCode(failure), Message: failure.Error()}
	p.Problems, p.Unlisted = problems(body, nil), body.Unlisted
	return p
}

const (
	// An answer with few servers is believed when so many in a row, over that time, had no more.
	doubtedAnswers = 3
	doubtedTime    = 24 * time.Hour
)

// doubt says why an answer that can be read is not believed, or nil.
func doubt(sub store.Subscription, body subscription.Body, configs []store.Config, now time.Time) error {
	known, _ := knownTo(sub.ID, configs)
	err := body.Doubt(known)
	if err == nil {
		return nil
	}
	since := sub.DoubtedSince
	if sub.Doubted == 0 || since.After(now) {
		since = now
	}
	if err.Code == subscription.CodeShrank && sub.Doubted+1 >= doubtedAnswers && now.Sub(since) >= doubtedTime {
		return nil
	}
	err.Message += "; your servers stay as they were"
	if err.Code == subscription.CodeShrank {
		err.Message += fmt.Sprintf(", and this is believed if it is still so after %s", since.Add(doubtedTime).Local().Format("2006-01-02 15:04"))
	}
	err.Message += " (now: `xrat subscription update --accept`)"
	return err
}

func (cat *Catalog) subscription(ctx context.Context, id int64) (store.Subscription, error) {
	all, err := cat.Store.Subscriptions(ctx)
	if err != nil {
		return store.Subscription{}, fmt.Errorf("reading the subscriptions: %w", err)
	}
	for _, sub := range all {
		if sub.ID == id {
			return sub, nil
		}
	}
	return store.Subscription{}, errRemoved(id)
}

// noteFailure records why an update failed, and what the provider said in the place of servers.
// Nothing else changes: an empty or broken body takes nothing away.
func (cat *Catalog) noteFailure(ctx context.Context, sub store.Subscription, failure error, notices []string) error {
	code := errCode(failure)
	cat.Log.Warn().Int64("subscription", sub.ID).Str("code", code).Msg("the subscription could not be updated")
	asked := code != codeNotConnected
	if !asked && sub.ErrorCode == code {
		return nil // as before
	}
	_, err := cat.Store.UpdateSubscription(ctx, sub.ID, func(sub *store.Subscription) {
		sub.ErrorCode, sub.Error = code, failure.Error()
		if len(notices) > 0 {
			sub.Notices = notices
		}
		if code == subscription.CodeShrank {
			if sub.Doubted++; sub.Doubted == 1 || sub.DoubtedSince.After(time.Now()) {
				sub.DoubtedSince = time.Now()
			}
		}
		if asked {
			sub.AttemptedAt = time.Now()
			sub.Failures++
		}
	})
	cat.subscriptionsChanged()
	if err != nil {
		return fmt.Errorf("recording an update: %w", err)
	}
	return nil
}

// reconcile makes the configs agree with what a subscription has sent: new ones are added, those
// that have vanished retired, those that are back revived, each under the id that it always had. It
// may be interrupted anywhere: the next update completes it. Configs are those that are stored.
func (cat *Catalog) reconcile(ctx context.Context, sub store.Subscription, f fetched, configs []store.Config) (ipc.RefreshPayload, error) {
	result := ipc.RefreshPayload{
		SubscriptionID: sub.ID, Name: sub.Name, OK: true, Via: f.via, Problems: problems(f.body, nil), Unlisted: f.body.Unlisted,
	}
	known, retired := knownTo(sub.ID, configs)
	if f.NotModified {
		for _, k := range known {
			if !k.Retired {
				result.Kept++
			}
		}
		return result, cat.noteSuccess(ctx, sub, f, result)
	}
	used, err := cat.Supervisor.InUse(ctx)
	if err != nil {
		return result, err
	}
	changes := subscription.Reconcile(known, f.body)
	if err := cat.renew(ctx, sub.ID, &changes); err != nil {
		return result, err
	}
	result.Kept = len(changes.Renew)
	present := cat.present(sub.ID, changes, len(configs)-len(retired), &result)
	defer cat.changed(ctx)
	added, existing, err := cat.Store.MergeConfigs(ctx, present, func(stored *store.Config, given store.Config) { join(stored, given, sub.ID) })
	if err != nil {
		return result, fmt.Errorf("storing the configs: %w", err)
	}
	result.Added = len(added)
	for _, c := range existing {
		if retired[c.Identity] {
			result.Revived++
		} else {
			result.Kept++
		}
	}
	var vanished []int64
	for _, k := range changes.Retire {
		if used[k.ID] {
			result.Kept++ // until nobody uses it any more
		} else {
			vanished = append(vanished, k.ID)
		}
	}
	now := time.Now()
	if _, err := cat.Store.UpdateConfigs(ctx, vanished, func(c *store.Config) { vanish(c, sub.ID, now) }); err != nil {
		return result, fmt.Errorf("retiring configs: %w", err)
	}
	result.Retired = len(vanished)
	if err := cat.noteSuccess(ctx, sub, f, result); err != nil {
		return result, err
	}
	return result, cat.purgeRetired(ctx)
}

// knownTo returns the configs that a subscription has or had, and the identities of all that are
// retired.
func knownTo(id int64, configs []store.Config) (known []subscription.Known, retired map[string]bool) {
	retired = make(map[string]bool)
	for _, c := range configs {
		if c.Retired() {
			retired[c.Identity] = true
		}
		if slices.Contains(c.Subscriptions, id) {
			k := subscription.Known{ID: c.ID, Identity: c.Identity, Retired: c.Retired()}
			if c.Source == store.SourceSubscription && len(c.Subscriptions) == 1 { // nobody else says who it is
				k.Link = link.NewSecret(c.Link)
			}
			known = append(known, k)
		}
	}
	return known, retired
}

// present are the servers that a subscription has now, as many as there is room for beside those
// that are live.
func (cat *Catalog) present(id int64, changes subscription.Changes, live int, result *ipc.RefreshPayload) []store.Config {
	var present []store.Config
	for _, entry := range changes.Keep {
		present = append(present, cat.offered(entry, id))
	}
	room := max(maxConfigs-live, 0)
	if n := len(changes.Add); n > room {
		changes.Add = changes.Add[:room]
		result.Problems = append(result.Problems, ipc.ImportErrorPayload{Code: codeTooManyConfigs, Message: fmt.Sprintf(
			"%d servers were left out, as there are %d configs already; remove some with `xrat remove`", n-room, live)})
	}
	for _, entry := range changes.Add {
		present = append(present, cat.offered(entry, id))
	}
	return present
}

// offered returns a server of a subscription as a config to be stored.
func (cat *Catalog) offered(e subscription.Entry, id int64) store.Config {
	c := configOf(e.Link)
	c.Source, c.Subscriptions = store.SourceSubscription, []int64{id}
	return c
}

// join makes a stored config one of a subscription that offers the same server. Its name follows
// the first of its subscriptions, unless the user gave it another.
func join(c *store.Config, given store.Config, id int64) {
	if c.Retired() {
		c.RetiredAt, c.Subscriptions = time.Time{}, nil
	}
	if !slices.Contains(c.Subscriptions, id) {
		c.Subscriptions = append(c.Subscriptions, id)
	}
	if c.Source != store.SourceSubscription || c.Subscriptions[0] != id {
		return
	}
	take(c, given)
	if !c.Named && given.Name != hostPort(given) {
		c.Name = given.Name
	}
}

// take gives a config the link of another for the same server, of which it may differ in all that
// makes it no other one.
func take(c *store.Config, given store.Config) {
	c.Link, c.Protocol, c.Address, c.Port, c.Network, c.Security = given.Link, given.Protocol, given.Address, given.Port, given.Network, given.Security
}

// renew gives the configs that go by another identity now that identity. One whose new identity is
// another config's is one that has vanished, and one that came.
func (cat *Catalog) renew(ctx context.Context, id int64, changes *subscription.Changes) error {
	if len(changes.Renew) == 0 {
		return nil
	}
	offered := make(map[int64]store.Config, len(changes.Renew))
	var ids []int64
	for _, r := range changes.Renew {
		offered[r.Known.ID] = cat.offered(r.Entry, id)
		ids = append(ids, r.Known.ID)
	}
	renewed, err := cat.Store.RenewConfigs(ctx, ids, func(c *store.Config) {
		given := offered[c.ID]
		c.Identity, c.IdentityV = given.Identity, given.IdentityV
		join(c, given, id)
	})
	if err != nil {
		return fmt.Errorf("renewing configs: %w", err)
	}
	done := make(map[int64]bool, len(renewed))
	for _, c := range renewed {
		done[c.ID] = true
	}
	left := changes.Renew
	changes.Renew = nil
	for _, r := range left {
		if done[r.Known.ID] {
			changes.Renew = append(changes.Renew, r)
			continue
		}
		changes.Retire, changes.Add = append(changes.Retire, r.Known), append(changes.Add, r.Entry)
	}
	return nil
}

// vanish takes a config from a subscription that does not offer it any more. If nobody else has it,
// it is retired.
func vanish(c *store.Config, id int64, now time.Time) {
	switch i := slices.Index(c.Subscriptions, id); {
	case i < 0 || c.Retired():
	case c.Source == store.SourceSubscription && len(c.Subscriptions) == 1:
		c.RetiredAt = now
	default:
		c.Subscriptions = slices.Delete(c.Subscriptions, i, i+1)
	}
}

// leave takes a config from a subscription that is removed while the config stays.
func leave(c *store.Config, id int64) {
	c.Subscriptions = slices.DeleteFunc(c.Subscriptions, func(s int64) bool { return s == id })
	if len(c.Subscriptions) == 0 {
		c.Source, c.RetiredAt, c.Subscriptions = store.SourceImport, time.Time{}, nil
	}
}

// noteSuccess records what came with an update. It is the last step, since the ETag stands for what
// is stored by then.
func (cat *Catalog) noteSuccess(ctx context.Context, sub store.Subscription, f fetched, result ipc.RefreshPayload) error {
	now := time.Now()
	_, err := cat.Store.UpdateSubscription(ctx, sub.ID, func(sub *store.Subscription) {
		if f.via != viaKept { // nobody was asked for that
			sub.AttemptedAt, sub.UpdatedAt, sub.Failures, sub.ErrorCode, sub.Error = now, now, 0, "", ""
			sub.Doubted, sub.DoubtedSince = 0, time.Time{}
		}
		if f.Usage != nil {
			sub.Usage = &store.Usage{Upload: f.Usage.Upload, Download: f.Usage.Download, Total: f.Usage.Total, ExpiresAt: f.Usage.Expires}
		}
		if f.UpdateInterval > 0 {
			sub.ProviderSecs = int64(f.UpdateInterval.Seconds())
		}
		if f.NotModified {
			return
		}
		if f.Title != "" && !sub.Named {
			sub.Name = f.Title
		}
		sub.Problems, sub.Notices = lost(result.Problems)+f.body.Unlisted, f.body.Notices
		sub.Announce, sub.SupportURL, sub.WebPageURL = f.Announce, f.SupportURL, f.WebPageURL
		sub.ETag, sub.LastModified = f.ETag, f.LastModified
		if f.body.Partial { // to be asked for the rest
			sub.ETag, sub.LastModified = "", ""
		}
	})
	if err != nil {
		return fmt.Errorf("recording an update: %w", err)
	}
	cat.Log.Info().Int64("subscription", sub.ID).Str("via", f.via).Bool("not_modified", f.NotModified).Int("added", result.Added).
		Int("revived", result.Revived).Int("retired", result.Retired).Int("kept", result.Kept).Msg("subscription updated")
	return nil
}

// purgeRetired removes configs that were retired long ago, and the oldest if there are very many.
func (cat *Catalog) purgeRetired(ctx context.Context) error {
	configs, err := cat.Store.Configs(ctx)
	if err != nil {
		return fmt.Errorf("reading the configs: %w", err)
	}
	old := slices.DeleteFunc(configs, func(c store.Config) bool { return !c.Retired() })
	if len(old) == 0 {
		return nil
	}
	used, err := cat.Supervisor.InUse(ctx)
	if err != nil {
		return err
	}
	slices.SortStableFunc(old, func(a, b store.Config) int { return b.RetiredAt.Compare(a.RetiredAt) })
	now := time.Now()
	var gone []int64
	for i, c := range old {
		if (i >= maxRetired || now.Sub(c.RetiredAt) > retiredTime) && !used[c.ID] {
			gone = append(gone, c.ID)
		}
	}
	if _, err := cat.Store.RemoveConfigs(ctx, gone); err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("removing configs that were retired long ago: %w", err)
	}
	return nil
}

// summary sums an update up for people.
func summary(r ipc.RefreshPayload) string {
	return fmt.Sprintf("%d added, %d back, %d retired, %d kept, %d not understood", r.Added, r.Revived, r.Retired, r.Kept, lost(r.Problems)+r.Unlisted)
}
