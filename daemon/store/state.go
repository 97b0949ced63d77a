package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Desired returns what the user last asked for, the zero value if nothing.
func (s *Store) Desired(ctx context.Context) (d Desired, err error) {
	err = s.view(ctx, func(r reader) error {
		value, err := r.get(keyDesired)
		if errors.Is(err, ErrNotFound) {
			d = Desired{}
			return nil
		}
		if err != nil {
			return err
		}
		return decode(value, &d)
	})
	if err != nil {
		return Desired{}, fmt.Errorf("reading the desired state: %w", err)
	}
	return d, nil
}

// SetDesired stores what the user asks for.
func (s *Store) SetDesired(ctx context.Context, d Desired) error {
	err := s.update(ctx, func(c *change) error {
		value, err := encode(d)
		if err != nil {
			return err
		}
		c.dirty = true
		return c.put(keyDesired, value)
	})
	if err != nil {
		return fmt.Errorf("storing the desired state: %w", err)
	}
	return nil
}

// Outcomes returns the probe history by config id.
func (s *Store) Outcomes(ctx context.Context) (map[int64]Outcome, error) {
	pending := s.pendingOutcomes()
	var outcomes map[int64]Outcome
	err := s.view(ctx, func(r reader) error {
		outcomes = make(map[int64]Outcome)
		return r.scan([]byte{prefixOutcome}, false, func(_, value []byte) error {
			var o Outcome
			if err := decode(value, &o); err != nil {
				return err
			}
			outcomes[o.ConfigID] = o
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading the probe history: %w", err)
	}
	maps.Copy(outcomes, pending)
	return outcomes, nil
}

// pendingOutcomes returns what has not reached the database yet. Whoever needs the newest of each
// outcome asks before reading the database: what is saved in between is in both, while the other
// way round it would be in neither.
func (s *Store) pendingOutcomes() map[int64]Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.outcomes)
}

// UpdateOutcomes stores what edit makes of the probe histories of the configs: of all of them, or
// of none if it returns an error. Edit is called once for each config, in the order of ids and with
// the ConfigID set; a config without a history has a zero one. Edit must not call UpdateOutcomes,
// and cannot change the id. Concurrent calls wait for each other, so none of them loses what
// another has stored.
//
// Outcomes sees the result at once but, unlike all other changes, it reaches the disk later, within
// ten minutes or when the database is about to close: a health check need not open the database
// each time. A crash may cost that last while. The history of a config that does not exist is
// dropped then.
func (s *Store) UpdateOutcomes(ctx context.Context, ids []int64, edit func(*Outcome)) error {
	if err := s.updateOutcomes(ctx, ids, edit); err != nil {
		return fmt.Errorf("storing the probe history: %w", err)
	}
	return nil
}

func (s *Store) updateOutcomes(ctx context.Context, ids []int64, edit func(*Outcome)) error {
	select {
	case s.editor <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.editor }()
	current, err := s.newestOutcomes(ctx, ids)
	if err != nil {
		return err
	}
	changed := make(map[int64]Outcome)
	for _, id := range ids {
		if _, edited := changed[id]; edited {
			continue
		}
		o := current[id]
		o.ConfigID = id
		edit(&o)
		o.ConfigID = id
		changed[id] = o
	}
	return s.putOutcomes(changed)
}

// newestOutcomes returns those of the outcomes that there are. The caller keeps others from
// changing them meanwhile.
func (s *Store) newestOutcomes(ctx context.Context, ids []int64) (map[int64]Outcome, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	newest := s.pendingOutcomes()
	s.mu.Lock()
	for _, id := range ids {
		if o, known := s.settled[id]; known {
			if _, pending := newest[id]; !pending {
				newest[id] = o
			}
		}
	}
	s.mu.Unlock()
	saved := slices.DeleteFunc(slices.Clone(ids), func(id int64) bool {
		_, known := newest[id]
		return known
	})
	if len(saved) == 0 {
		return newest, nil
	}
	err := s.view(ctx, func(r reader) error {
		for _, id := range saved {
			value, err := r.get(idKey(prefixOutcome, id))
			if errors.Is(err, ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			var o Outcome
			if err := decode(value, &o); err != nil {
				return err
			}
			newest[id] = o
		}
		return ctx.Err()
	})
	return newest, err
}

// settle needs mu. It remembers what the database has of an outcome, for the few configs that are
// looked at again and again: to learn of these then needs no database.
func (s *Store) settle(o Outcome) {
	if _, known := s.settled[o.ConfigID]; !known && len(s.settled) >= maxSettled {
		clear(s.settled)
	}
	s.settled[o.ConfigID] = o
}

// putOutcomes leaves outcomes to the keeper.
func (s *Store) putOutcomes(outcomes map[int64]Outcome) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errClosed
	}
	maps.Copy(s.outcomes, outcomes)
	arm := len(outcomes) > 0 && s.due.outcomes.IsZero()
	if arm {
		s.due.outcomes = time.Now().Add(outcomeDelay)
	}
	s.mu.Unlock()
	if arm {
		signal(s.kick)
	}
	return nil
}

// flushOutcomes stores what UpdateOutcomes has collected.
func (s *Store) flushOutcomes(ctx context.Context) error {
	s.mu.Lock()
	s.due.outcomes = time.Time{} // what comes from here on sets the next one
	pending := maps.Clone(s.outcomes)
	s.mu.Unlock()
	for len(pending) > 0 {
		var batch []Outcome
		for _, o := range pending {
			if batch = append(batch, o); len(batch) == batchRecords {
				break
			}
		}
		err := s.update(ctx, func(c *change) error {
			for _, o := range batch {
				if err := c.putOutcome(o); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		s.mu.Lock()
		for _, o := range batch {
			delete(pending, o.ConfigID)
			s.settle(o)
			if s.outcomes[o.ConfigID] == o { // otherwise a newer one has come
				delete(s.outcomes, o.ConfigID)
			}
		}
		s.mu.Unlock()
	}
	return nil
}

func (c *change) putOutcome(o Outcome) error {
	if _, err := c.get(idKey(prefixConfig, o.ConfigID)); errors.Is(err, ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	value, err := encode(o)
	if err != nil {
		return err
	}
	return c.put(idKey(prefixOutcome, o.ConfigID), value)
}

// dropOutcomes forgets what is not stored yet of removed configs.
func (s *Store) dropOutcomes(ids []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		delete(s.outcomes, id)
		delete(s.settled, id)
	}
}
