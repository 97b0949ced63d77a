package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

const refHelp = `REF names a config: its id, its name, or the beginning of either when only one
config begins so.`

// resolve finds the config that a REF means.
func resolve(configs []ipc.ConfigPayload, ref string) (ipc.ConfigPayload, error) {
	// From the most exact meaning to the loosest; the first that fits counts.
	meanings := []func(ipc.ConfigPayload) bool{
		func(c ipc.ConfigPayload) bool { return strconv.FormatInt(c.ID, 10) == ref },
		func(c ipc.ConfigPayload) bool { return c.Name == ref },
		func(c ipc.ConfigPayload) bool { return strings.EqualFold(c.Name, ref) },
		func(c ipc.ConfigPayload) bool {
			return strings.HasPrefix(strconv.FormatInt(c.ID, 10), ref) || hasPrefixFold(c.Name, ref)
		},
	}
	if ref != "" {
		for _, means := range meanings {
			var found []ipc.ConfigPayload
			for _, c := range configs {
				if means(c) {
					found = append(found, c)
				}
			}
			switch len(found) {
			case 0:
			case 1:
				return found[0], nil
			default:
				return ipc.ConfigPayload{}, ambiguous(ref, found)
			}
		}
	}
	return ipc.ConfigPayload{}, ipc.Errorf(ipc.CodeNotFound, "no config has the id or name %q, or begins so: see `xrat list`", ref)
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func ambiguous(ref string, found []ipc.ConfigPayload) error {
	const most = 5
	var names []string
	for _, c := range found[:min(len(found), most)] {
		names = append(names, fmt.Sprintf("%d (%s)", c.ID, c.Name))
	}
	more := ""
	if len(found) > most {
		more = fmt.Sprintf(" and %d more", len(found)-most)
	}
	return ipc.Errorf(ipc.CodeNotFound, "%q could be %s%s: use the id", ref, strings.Join(names, ", "), more)
}

// configs lists what is stored, starting the daemon for it if need be.
func (a *app) configs(ctx context.Context) ([]ipc.ConfigPayload, error) {
	if err := a.ensureDaemon(ctx); err != nil {
		return nil, err
	}
	var list ipc.ConfigListPayload
	if _, err := a.client.Do(ctx, ipc.Request{Type: ipc.KindConfigList}, &list); err != nil {
		return nil, fmt.Errorf("listing the configs: %w", err)
	}
	return list.Configs, nil
}

// configID resolves an optional REF: nil when there is none. The daemon runs then,
// in any case.
func (a *app) configID(ctx context.Context, args []string) (*int64, error) {
	if len(args) == 0 {
		return nil, a.ensureDaemon(ctx)
	}
	configs, err := a.configs(ctx)
	if err != nil {
		return nil, err
	}
	config, err := resolve(configs, args[0])
	if err != nil {
		return nil, err
	}
	return &config.ID, nil
}
