package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

const refHelp = `REF names a config: its id, its name, or the beginning of either when only one
config begins so. One that was retired is named by its id only.`

// resolve finds the config that a REF means.
func resolve(configs []ipc.ConfigPayload, ref string) (ipc.ConfigPayload, error) {
	return choose(configs, ref, "config", "xrat list", func(c ipc.ConfigPayload) (int64, string) { return c.ID, c.Name })
}

// choose finds the one item that ref means. The function name returns the id and the name of an
// item.
func choose[T any](items []T, ref, kind, list string, name func(T) (int64, string)) (none T, err error) {
	// From the strictest meaning to the loosest; the first one that fits anything counts.
	meanings := []func(id, name string) bool{
		func(id, _ string) bool { return id == ref },
		func(_, name string) bool { return name == ref },
		func(_, name string) bool { return strings.EqualFold(name, ref) },
		func(id, name string) bool { return strings.HasPrefix(id, ref) || hasPrefixFold(name, ref) },
	}
	for _, means := range meanings {
		var found []T
		for _, item := range items {
			if id, name := name(item); ref != "" && means(strconv.FormatInt(id, 10), name) {
				found = append(found, item)
			}
		}
		switch len(found) {
		case 0:
		case 1:
			return found[0], nil
		default:
			return none, ambiguous(ref, found, name)
		}
	}
	return none, ipc.Errorf(ipc.CodeNotFound, "no %s has the id or name %q, or begins so: see `%s`", kind, fit(ref, 100), list)
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func ambiguous[T any](ref string, found []T, name func(T) (int64, string)) error {
	const most = 5
	var names []string
	for _, item := range found[:min(len(found), most)] {
		id, name := name(item)
		names = append(names, fmt.Sprintf("%d (%s)", id, fit(name, 60)))
	}
	more := ""
	if len(found) > most {
		more = fmt.Sprintf(" and %d more", len(found)-most)
	}
	return ipc.Errorf(ipc.CodeNotFound, "%q could be %s%s: use the id", fit(ref, 100), strings.Join(names, ", "), more)
}

// listConfigs lists the configs that may be used, or those that were retired.
func listConfigs(ctx context.Context, client *ipc.Client, retired bool) ([]ipc.ConfigPayload, error) {
	list := client.Configs
	if retired {
		list = client.RetiredConfigs
	}
	configs, err := list(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the configs: %w", err)
	}
	return configs, nil
}

// chosenConfigs resolves REFs, all or none.
func chosenConfigs(ctx context.Context, client *ipc.Client, refs []string) ([]ipc.ConfigPayload, error) {
	configs, err := listConfigs(ctx, client, false)
	if err != nil {
		return nil, err
	}
	var found, retired []ipc.ConfigPayload
	for _, ref := range refs {
		config, err := resolve(configs, ref)
		if err != nil {
			id, numberErr := strconv.ParseInt(ref, 10, 64)
			if numberErr != nil {
				return nil, err
			}
			if retired == nil {
				var listErr error
				if retired, listErr = listConfigs(ctx, client, true); listErr != nil {
					return nil, listErr
				}
			}
			i := slices.IndexFunc(retired, func(c ipc.ConfigPayload) bool { return c.ID == id })
			if i < 0 {
				return nil, err
			}
			config = retired[i]
		}
		found = append(found, config)
	}
	return found, nil
}

// optionalConfig resolves an optional REF to the id of a config: 0 when there is none.
func optionalConfig(ctx context.Context, client *ipc.Client, args []string) (int64, error) {
	if len(args) == 0 {
		return 0, nil
	}
	found, err := chosenConfigs(ctx, client, args[:1])
	if err != nil {
		return 0, err
	}
	return found[0].ID, nil
}

func ids(configs []ipc.ConfigPayload) (ids []int64) {
	for _, c := range configs {
		ids = append(ids, c.ID)
	}
	return ids
}
