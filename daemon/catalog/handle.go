package catalog

import (
	"context"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

// Handle answers the requests about configs and subscriptions, in the goroutine of the request:
// fetching takes time.
func (cat *Catalog) Handle(ctx context.Context, r ipc.Request) (payload any, message string, err error) {
	switch r.Type {
	case ipc.KindConfigList:
		payload, err := cat.listConfigs(ctx, r.Retired)
		return payload, "", err
	case ipc.KindConfigImport:
		return cat.importConfigs(ctx, r)
	case ipc.KindConfigUpdate:
		return cat.updateConfigs(ctx, r)
	case ipc.KindConfigRemove:
		return cat.removeConfigs(ctx, r.IDs)
	case ipc.KindSubscriptionList:
		payload, err := cat.listSubscriptions(ctx)
		return payload, "", err
	case ipc.KindSubscriptionAdd:
		return cat.addSubscription(ctx, r)
	case ipc.KindSubscriptionSet:
		return cat.setSubscriptions(ctx, r)
	case ipc.KindSubscriptionReparse:
		return cat.reparseSubscriptions(ctx, r.IDs)
	case ipc.KindSubscriptionUpdate:
		return cat.updateSubscriptions(ctx, r.IDs, r.Accept)
	case ipc.KindSubscriptionRemove:
		return cat.removeSubscriptions(ctx, r.IDs, r.KeepConfigs)
	default:
		return nil, "", ipc.Errorf(ipc.CodeInternalError, "the request %s has no handler", r.Type)
	}
}
