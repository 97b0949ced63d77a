package store

import (
	"context"
	"errors"
	"fmt"
)

// maxSessions is how many sessions are kept. Live ones are kept in any case.
const maxSessions = 1000

// CreateSession stores a new session and returns it with its id. The oldest sessions that have
// ended make room for it.
func (s *Store) CreateSession(ctx context.Context, session Session) (Session, error) {
	err := s.update(ctx, func(c *change) error {
		c.dirty = true
		c.meta.LastSession++
		session.ID = c.meta.LastSession
		if err := c.putSession(session); err != nil {
			return err
		}
		c.meta.Sessions++
		return c.pruneSessions()
	})
	if err != nil {
		return Session{}, fmt.Errorf("creating a session: %w", err)
	}
	return session, nil
}

func (c *change) putSession(session Session) error {
	value, err := encode(newSessionRecord(session))
	if err != nil {
		return err
	}
	return c.put(idKey(prefixSession, session.ID), value)
}

func (c *change) pruneSessions() error {
	excess := c.meta.Sessions - maxSessions
	if excess <= 0 {
		return nil
	}
	var old [][]byte
	err := c.scan([]byte{prefixSession}, false, func(key, value []byte) error {
		if len(old) == excess {
			return errStop
		}
		var rec sessionRecord
		if err := decode(value, &rec); err != nil {
			return err
		}
		if !rec.Status.Live() {
			old = append(old, append([]byte{}, key...))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range old {
		if _, err := c.remove(key); err != nil {
			return err
		}
		c.meta.Sessions--
	}
	return nil
}

// UpdateSession stores what edit makes of the session, and returns it. It returns ErrNotFound if
// there is none. Edit must not call the store, and may be called twice; it cannot change the id.
func (s *Store) UpdateSession(ctx context.Context, id int64, edit func(*Session)) (Session, error) {
	var session Session
	var fault any // a panic of edit is no fault of the database's
	err := s.update(ctx, func(c *change) error {
		value, err := c.get(idKey(prefixSession, id))
		if err != nil {
			return err
		}
		var rec sessionRecord
		if err := decode(value, &rec); err != nil {
			return err
		}
		session = rec.session()
		before := withoutCounters(session)
		if fault = catch(func() { edit(&session) }); fault != nil {
			return errEdit
		}
		session.ID = id
		after := withoutCounters(session)
		c.dirty = !equalSessions(before, after)
		return c.putSession(session)
	})
	if fault != nil && errors.Is(err, errEdit) {
		panic(fault)
	}
	if err != nil {
		return Session{}, fmt.Errorf("updating session %d: %w", id, err)
	}
	return session, nil
}

// RemoveSession removes a session, such as one that never served. It is no error if there is none.
func (s *Store) RemoveSession(ctx context.Context, id int64) error {
	err := s.update(ctx, func(c *change) error {
		there, err := c.remove(idKey(prefixSession, id))
		if there {
			c.dirty = true
			c.meta.Sessions--
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("removing session %d: %w", id, err)
	}
	return nil
}

var errEdit = errors.New("the edit panicked")

func catch(fn func()) (fault any) {
	defer func() { fault = recover() }()
	fn()
	return nil
}

// withoutCounters leaves what is worth a new export.
func withoutCounters(s Session) sessionRecord {
	s.UpBytes, s.DownBytes, s.Connections = 0, 0, 0
	return newSessionRecord(s)
}

func equalSessions(a, b sessionRecord) bool {
	x, errX := encode(a)
	y, errY := encode(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// Sessions returns the newest sessions, the newest first; a limit of 0 or less means all.
func (s *Store) Sessions(ctx context.Context, limit int) ([]Session, error) {
	return s.sessions(ctx, func(found []Session, _ Session) (take, last bool) {
		return true, limit > 0 && len(found)+1 >= limit
	})
}

// LiveSessions returns the sessions that have not ended, the newest first.
func (s *Store) LiveSessions(ctx context.Context) ([]Session, error) {
	return s.sessions(ctx, func(_ []Session, session Session) (take, last bool) {
		return session.Status.Live(), false
	})
}

func (s *Store) sessions(ctx context.Context, choose func([]Session, Session) (take, last bool)) ([]Session, error) {
	var sessions []Session
	err := s.view(ctx, func(r reader) error {
		sessions = nil
		return r.scan([]byte{prefixSession}, true, func(_, value []byte) error {
			var rec sessionRecord
			if err := decode(value, &rec); err != nil {
				return err
			}
			session := rec.session()
			take, last := choose(sessions, session)
			if take {
				sessions = append(sessions, session)
			}
			if last {
				return errStop
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("listing sessions: %w", err)
	}
	return sessions, nil
}
