package daemon

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/store"
)

// candidate is a config that may be tried, with what speaks for it or against.
type candidate struct {
	store.Config
	class, why string
}

// candidatesFunc names the configs to try, in order. It runs in a worker.
type candidatesFunc func(ctx context.Context) ([]candidate, error)

// known is what the store has about the configs.
type known struct {
	configs    map[int64]store.Config
	candidates []rotation.Candidate
}

// lookUp reads what is known of the configs; it runs in a worker.
func (s *Supervisor) lookUp(ctx context.Context) (known, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, recordTime, errDiskSilent)
	defer cancel()
	configs, err := s.Store.Configs(ctx)
	if err != nil {
		return known{}, fmt.Errorf("reading the configs: %w", err)
	}
	outcomes, err := s.Store.Outcomes(ctx)
	if err != nil {
		return known{}, fmt.Errorf("reading how the configs did: %w", err)
	}
	k := known{make(map[int64]store.Config, len(configs)), make([]rotation.Candidate, 0, len(configs))}
	for _, c := range configs {
		if c.Retired() {
			continue // only by its id
		}
		k.configs[c.ID] = c
		k.candidates = append(k.candidates, rotation.Candidate{
			ConfigID: c.ID, History: historyOf(outcomes[c.ID]), Pinned: c.Pinned, Excluded: c.Excluded,
		})
	}
	return k, nil
}

// candidates returns the stored configs in the order in which to try them.
func (s *Supervisor) candidates(preference rotation.Preference, exclude ...int64) candidatesFunc {
	return func(ctx context.Context) ([]candidate, error) {
		k, err := s.lookUp(ctx)
		if err != nil {
			return nil, err
		}
		if len(k.candidates) == 0 {
			return nil, ipc.Errorf(ipc.CodeInvalidState, "there are no configs yet: add some with `xrat import`")
		}
		// In turn, those never tried come in the order of the list; as the best,
		// in any order, so that not everybody who has the list tries the same one.
		var seed uint64
		if preference == rotation.PreferBest {
			seed = rand.Uint64()
		}
		var ordered []candidate
		for _, c := range rotation.Rank(time.Now(), preference, seed, k.candidates, exclude...) {
			ordered = append(ordered, candidate{k.configs[c.ConfigID], string(c.Class), c.Why})
		}
		return ordered, nil
	}
}

// first puts a config before the others, if it is among them.
func first(id int64, others candidatesFunc) candidatesFunc {
	return func(ctx context.Context) ([]candidate, error) {
		candidates, err := others(ctx)
		for i, c := range candidates {
			if c.ID == id {
				copy(candidates[1:i+1], candidates[:i])
				candidates[0] = c
			}
		}
		return candidates, err
	}
}

// only names one config.
func (s *Supervisor) only(id int64) candidatesFunc {
	return func(ctx context.Context) ([]candidate, error) {
		config, err := s.Store.Config(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			return nil, ipc.Errorf(ipc.CodeNotFound, "there is no config %d: see `xrat list`", id)
		}
		if err != nil {
			return nil, fmt.Errorf("reading config %d: %w", id, err)
		}
		return []candidate{{config, "asked_for", "it was asked for"}}, nil
	}
}

// desiredFirst names the config that the user asked for and, if others may take
// its place, those.
func (s *Supervisor) desiredFirst(id int64, others bool) candidatesFunc {
	return func(ctx context.Context) ([]candidate, error) {
		wanted, err := s.only(id)(ctx)
		if ipc.CodeOf(err) == ipc.CodeNotFound {
			wanted, others, err = nil, true, nil // removed meanwhile
		}
		if err != nil || !others {
			return wanted, err
		}
		if wanted != nil && wanted[0].Retired() {
			wanted = nil
		}
		rest, err := s.candidates(rotation.PreferBest, id)(ctx)
		return append(wanted, rest...), err
	}
}

// desiredLast names the other configs, if those may take its place, and then the
// one that the user asked for.
func (s *Supervisor) desiredLast(id int64, others bool) candidatesFunc {
	first := s.desiredFirst(id, others)
	return func(ctx context.Context) ([]candidate, error) {
		candidates, err := first(ctx)
		if err != nil || len(candidates) < 2 || candidates[0].ID != id {
			return candidates, err
		}
		return append(candidates[1:], candidates[0]), nil
	}
}

// preferLast names the configs for a connect without a name: the one used last,
// if it is still there, then the best.
func (s *Supervisor) preferLast(id int64) candidatesFunc {
	best := s.candidates(rotation.PreferBest)
	if id == 0 {
		return best
	}
	last := s.desiredFirst(id, true)
	return func(ctx context.Context) ([]candidate, error) {
		// That there is no config at all is explained best by the one that
		// expects some.
		if all, err := best(ctx); err != nil {
			return all, err
		}
		return last(ctx)
	}
}
