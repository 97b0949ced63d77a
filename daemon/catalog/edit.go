package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/store"
)

const (
	maxName  = 200 // runes; that of links, too
	maxTag   = 40  // runes
	maxTags  = 32  // of one config
	maxEdits = 10_000
)

// updateConfigs changes what the user decides about configs.
func (cat *Catalog) updateConfigs(ctx context.Context, r ipc.Request) (any, string, error) {
	ids := unique(r.IDs)
	if err := checkEdit(r, ids); err != nil {
		return nil, "", err
	}
	configs, err := cat.Store.Configs(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("reading the configs: %w", err)
	}
	for _, id := range ids {
		i := slices.IndexFunc(configs, func(c store.Config) bool { return c.ID == id })
		if i < 0 {
			return nil, "", errNoConfig(id)
		}
		if tags := edited(configs[i], r).Tags; len(tags) > maxTags {
			return nil, "", ipc.Errorf(ipc.CodeInvalidState, "%s would have %d tags, and %d are the most: take some away with `xrat untag`", configs[i].Name, len(tags), maxTags)
		}
	}
	updated, err := cat.Store.UpdateConfigs(ctx, ids, func(c *store.Config) { *c = edited(*c, r) })
	cat.changed(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("changing configs: %w", err)
	}
	payload := ipc.ConfigUpdatePayload{Configs: []ipc.ConfigPayload{}}
	for _, c := range updated {
		payload.Configs = append(payload.Configs, configPayload(c))
	}
	if len(updated) == 1 {
		return payload, updated[0].Name + " changed", nil
	}
	return payload, fmt.Sprintf("%d configs changed", len(updated)), nil
}

// checkEdit refuses a change that makes no sense.
func checkEdit(r ipc.Request, ids []int64) error {
	refuse := func(format string, args ...any) error { return ipc.Errorf(ipc.CodeInvalidState, format, args...) }
	switch {
	case len(ids) == 0:
		return refuse("there is no config to change")
	case len(ids) > maxEdits:
		return refuse("%d configs are too many at once: at most %d", len(ids), maxEdits)
	case r.Name != "" && len(ids) > 1:
		return refuse("only one config at a time can get a name")
	case r.Name == "" && r.Pinned == nil && r.Excluded == nil && r.Favourite == nil && len(r.AddTags)+len(r.RemoveTags) == 0:
		return refuse("there is nothing to change")
	case is(r.Pinned) && is(r.Excluded):
		return refuse("a config cannot be preferred and left out at the same time")
	}
	for _, tag := range r.AddTags {
		if err := checkTag(tag); err != nil {
			return err
		}
	}
	return checkName(r.Name, true)
}

// edited returns a config as config_update changes it. A pinned config is not excluded and an
// excluded one is not pinned: the newer decision counts.
func edited(c store.Config, r ipc.Request) store.Config {
	if r.Name != "" {
		c.Name, c.Named = r.Name, true
	}
	if r.Pinned != nil {
		c.Pinned, c.Excluded = *r.Pinned, c.Excluded && !*r.Pinned
	}
	if r.Excluded != nil {
		c.Excluded, c.Pinned = *r.Excluded, c.Pinned && !*r.Excluded
	}
	if r.Favourite != nil {
		c.Favourite = *r.Favourite
	}
	var tags []string
	for _, tag := range slices.Concat(c.Tags, r.AddTags) {
		same := func(other string) bool { return strings.EqualFold(tag, other) }
		if !slices.ContainsFunc(r.RemoveTags, same) && !slices.ContainsFunc(tags, same) {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	c.Tags = tags
	return c
}

func is(b *bool) bool { return b != nil && *b }

// checkName refuses a name that the user gives if it could not be shown as it is.
func checkName(name string, mayBeEmpty bool) error {
	switch {
	case name == "" && mayBeEmpty:
		return nil
	case strings.TrimSpace(name) == "" || strings.TrimSpace(name) != name:
		return ipc.Errorf(ipc.CodeInvalidState, "the name is empty, or begins or ends with a space")
	case utf8.RuneCountInString(name) > maxName:
		return ipc.Errorf(ipc.CodeInvalidState, "the name is longer than %d characters", maxName)
	case !showable(name):
		return ipc.Errorf(ipc.CodeInvalidState, "the name has control characters, or such that change the direction of text: leave them out")
	}
	return nil
}

func checkTag(tag string) error {
	switch {
	case tag == "" || strings.HasPrefix(tag, "-"):
		return ipc.Errorf(ipc.CodeInvalidState, "a tag must not be empty, nor begin with a dash")
	case utf8.RuneCountInString(tag) > maxTag:
		return ipc.Errorf(ipc.CodeInvalidState, "a tag must not be longer than %d characters", maxTag)
	case !showable(tag) || strings.ContainsFunc(tag, unicode.IsSpace) || strings.Contains(tag, ","):
		return ipc.Errorf(ipc.CodeInvalidState, "a tag must not have spaces, commas or control characters")
	}
	return nil
}

func showable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
	})
}

// removeConfigs removes configs, with the history of how they did.
func (cat *Catalog) removeConfigs(ctx context.Context, ids []int64) (any, string, error) {
	active, name := cat.Supervisor.Active()
	offered := 0
	for _, id := range ids {
		if active != 0 && id == active {
			return nil, "", ipc.Errorf(ipc.CodeInvalidState, "%s is in use: run `xrat disconnect` or `xrat rotate` first", name)
		}
		c, err := cat.Store.Config(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			return nil, "", errNoConfig(id)
		}
		if err == nil && !c.Retired() && len(c.Subscriptions) > 0 {
			offered++
		}
	}
	removed, err := cat.Store.RemoveConfigs(ctx, ids)
	cat.changed(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("removing configs: %w", err)
	}
	message := fmt.Sprintf("%d removed", removed)
	if offered > 0 {
		message += fmt.Sprintf("; %d of them will be back with the next update of their subscription: `xrat exclude` keeps a config from being used", offered)
	}
	return ipc.ConfigRemovePayload{Removed: removed}, message, nil
}
