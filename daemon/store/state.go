package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(outcomes, s.outcomes)
	return outcomes, nil
}

// PutOutcome replaces the probe history of a config. It is seen by Outcomes at
// once but, unlike all other changes, reaches the disk later, within a minute or
// when the database is about to close: a health check need not open the
// database each time. A crash may cost that last minute. The history of a
// config that does not exist is dropped.
func (s *Store) PutOutcome(ctx context.Context, o Outcome) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return fmt.Errorf("storing the probe history: %w", ErrClosed)
	}
	s.outcomes[o.ConfigID] = o
	arm := s.due.outcomes.IsZero()
	if arm {
		s.due.outcomes = time.Now().Add(outcomeDelay)
	}
	s.mu.Unlock()
	if arm {
		signal(s.kick)
	}
	return nil
}

// flushOutcomes stores what PutOutcome has collected.
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
	}
}
