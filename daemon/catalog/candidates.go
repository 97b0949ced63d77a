package catalog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/session"
	"github.com/xrat-tray/xrat/daemon/store"
)

// known is what the store has about the configs that are not retired.
type known struct {
	configs    map[int64]store.Config
	candidates []rotation.Candidate
	keptAway   map[int64]string // by which rule; those that one keeps away count as excluded
}

var errDiskSilent = errors.New("the disk does not answer")

// lookUp reads what is known of the configs.
func (cat *Catalog) lookUp(ctx context.Context) (known, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, storeTime, errDiskSilent)
	defer cancel()
	configs, err := cat.Store.Configs(ctx)
	if err != nil {
		return known{}, fmt.Errorf("reading the configs: %w", err)
	}
	outcomes, err := cat.Store.Outcomes(ctx)
	if err != nil {
		return known{}, fmt.Errorf("reading how the configs did: %w", err)
	}
	ruling, err := cat.ruling(ctx)
	if err != nil {
		return known{}, err
	}
	now, network := time.Now(), cat.Network()
	k := known{make(map[int64]store.Config, len(configs)), make([]rotation.Candidate, 0, len(configs)), make(map[int64]string)}
	for _, c := range configs {
		if c.Retired() {
			continue // only by its id
		}
		k.configs[c.ID] = c
		rule := ruling.keepsAway(c)
		if rule != "" {
			k.keptAway[c.ID] = rule
		}
		h := historyOf(outcomes[c.ID])
		k.candidates = append(k.candidates, rotation.Candidate{
			ConfigID: c.ID, History: h, Pinned: c.Pinned, Excluded: c.Excluded || rule != "", Here: h.WorkedIn(network, now),
		})
	}
	return k, nil
}

// Candidates returns the configs that are selected, in the order in which to try them.
func (cat *Catalog) Candidates(ctx context.Context, selected rotation.Selection) ([]session.Candidate, error) {
	if selected.Only != nil {
		return cat.only(ctx, *selected.Only)
	}
	if selected.Wanted == 0 {
		return cat.ranked(ctx, selected)
	}
	wanted, err := cat.only(ctx, selected.Wanted)
	gone := ipc.CodeOf(err) == ipc.CodeNotFound // removed meanwhile
	if err != nil && !gone || err == nil && selected.Alone {
		return wanted, err
	}
	if gone || wanted[0].Retired() {
		wanted = nil
	}
	if wanted != nil && selected.Ruled {
		ruling, err := cat.ruling(ctx)
		if err != nil {
			return nil, err
		}
		if ruling.keepsAway(wanted[0].Config) != "" {
			wanted = nil
		}
	}
	selected.Exclude = append(slices.Clone(selected.Exclude), selected.Wanted)
	others, err := cat.ranked(ctx, selected)
	if wanted != nil && errors.Is(err, errKeptAway) {
		err = nil
	}
	if selected.Spent {
		return append(others, wanted...), err
	}
	return append(wanted, others...), err
}

// only returns one config.
func (cat *Catalog) only(ctx context.Context, id int64) ([]session.Candidate, error) {
	config, err := cat.config(ctx, id)
	if err != nil {
		return nil, err
	}
	return []session.Candidate{{Config: config, Class: "asked_for", Why: "it was asked for"}}, nil
}

// config reads one config, which may be retired.
func (cat *Catalog) config(ctx context.Context, id int64) (store.Config, error) {
	config, err := cat.Store.Config(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return config, errNoConfig(id)
	}
	if err != nil {
		return config, fmt.Errorf("reading config %d: %w", id, err)
	}
	return config, nil
}

func errNoConfig(id int64) error {
	return ipc.Errorf(ipc.CodeNotFound, "there is no config %d: see `xrat list`", id)
}

// ranked returns the configs that may be chosen, ordered by package rotation.
func (cat *Catalog) ranked(ctx context.Context, selected rotation.Selection) ([]session.Candidate, error) {
	k, err := cat.lookUp(ctx)
	if err != nil {
		return nil, err
	}
	if len(k.candidates) == 0 {
		return nil, errNoConfigs
	}
	// In turn, those never tried come in the order of the list; as the best, in any order, so that
	// not everybody who has the list tries the same one.
	var seed uint64
	if selected.Preference == rotation.PreferBest {
		seed = rand.Uint64()
	}
	var ordered []session.Candidate
	for _, choice := range rotation.Rank(time.Now(), selected.Preference, seed, k.candidates, selected.Exclude...) {
		candidate := session.Candidate{Config: k.configs[choice.ConfigID], Class: string(choice.Class), Why: choice.Why}
		if choice.ConfigID == selected.First {
			ordered = slices.Insert(ordered, 0, candidate)
		} else {
			ordered = append(ordered, candidate)
		}
	}
	if len(ordered) == 0 && len(k.keptAway) > 0 {
		return nil, errKeptAway
	}
	return ordered, nil
}

var errNoConfigs = ipc.Errorf(ipc.CodeInvalidState, "there are no configs yet: add some with `xrat import`")

// Explore returns a config that has not been seen for a while and is worth a look, other than those
// in exclude, and whether it is known to strangle work; found is false if there is none.
func (cat *Catalog) Explore(ctx context.Context, exclude ...int64) (id int64, limited, found bool, err error) {
	k, err := cat.lookUp(ctx)
	if err != nil {
		return 0, false, false, err
	}
	now := time.Now()
	id, found = rotation.Explore(now, rand.Uint64(), k.candidates, exclude...)
	limited = slices.ContainsFunc(k.candidates, func(c rotation.Candidate) bool { return c.ConfigID == id && c.History.LimitNow(now) != "" })
	return id, limited, found, nil
}

// Better reports whether the config challenger is clearly better than incumbent, as far as is
// known.
func (cat *Catalog) Better(ctx context.Context, challenger, incumbent int64) bool {
	k, err := cat.lookUp(ctx)
	if err != nil {
		return false
	}
	var c, i rotation.Candidate
	for _, candidate := range k.candidates {
		switch candidate.ConfigID {
		case challenger:
			c = candidate
		case incumbent:
			i = candidate
		}
	}
	return rotation.Better(time.Now(), c, i)
}

// Choose returns the configs that a test names or else those that it describes, the most promising
// first.
func (cat *Catalog) Choose(ctx context.Context, r ipc.Request) ([]store.Config, error) {
	k, err := cat.lookUp(ctx)
	if err != nil {
		return nil, err
	}
	var chosen []store.Config
	if len(r.IDs) > 0 {
		taken := make(map[int64]bool, len(r.IDs)) // one may be named twice
		for _, id := range r.IDs {
			config, there := k.configs[id]
			if !there { // or it is retired
				if config, err = cat.config(ctx, id); err != nil {
					return nil, err
				}
			}
			if !taken[id] {
				chosen = append(chosen, config)
			}
			taken[id] = true
		}
	} else {
		candidates := slices.DeleteFunc(k.candidates, func(c rotation.Candidate) bool {
			return c.Excluded && !r.All || !tagged(k.configs[c.ConfigID], r.Tags)
		})
		for i := range candidates {
			candidates[i].Excluded = false // it would not be ranked
		}
		for _, choice := range rotation.Rank(time.Now(), rotation.PreferBest, 0, candidates) {
			chosen = append(chosen, k.configs[choice.ConfigID])
		}
	}
	switch {
	case len(k.configs)+len(chosen) == 0:
		return nil, errNoConfigs
	case len(chosen) == 0:
		return nil, ipc.Errorf(ipc.CodeNotFound, "no config is as described: see `xrat list`; those that are excluded are left out")
	case r.Limit > 0:
		chosen = chosen[:min(len(chosen), r.Limit)]
	}
	return chosen, nil
}

// tagged reports whether a config has all of the tags, in whatever case.
func tagged(c store.Config, tags []string) bool {
	for _, tag := range tags {
		if !slices.ContainsFunc(c.Tags, func(has string) bool { return strings.EqualFold(has, tag) }) {
			return false
		}
	}
	return true
}
