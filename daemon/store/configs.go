package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// batchBytes and batchRecords bound one transaction of a long import: Badger takes about 1.2 MB and
// 12,000 keys.
const (
	batchBytes   = 512 << 10
	batchRecords = 2000
)

// MergeConfigs stores those configs whose identity is not known yet, and gives them ids; an ID in
// the argument is ignored. It returns them in the given order, and for each of the others the
// stored config with its identity, after merge, which is handed the stored and the given one, has
// changed that. Ids start at 1 and are never used again. Merge must not call the store, and may be
// called twice; it cannot change the id, nor the identity.
//
// A long list is stored in several steps. If one fails, added and existing have what was done
// before, and the call may be repeated with the same list.
func (s *Store) MergeConfigs(ctx context.Context, configs []Config, merge func(stored *Config, given Config)) (added, existing []Config, err error) {
	for i, c := range configs {
		if c.Identity == "" {
			return nil, nil, fmt.Errorf("adding configs: number %d (%s) has no identity", i+1, c.Name)
		}
	}
	for len(configs) > 0 {
		var new, known []Config
		var done int
		err := s.update(ctx, func(c *change) error {
			new, known, done = nil, nil, 0 // update may try twice
			c.dirty = true
			for _, config := range configs {
				if done == batchRecords || c.bytes > batchBytes {
					break
				}
				stored, err := c.configByIdentity(config.Identity)
				switch {
				case err == nil:
					if stored, err = c.editConfig(stored, func(s *Config) { merge(s, config) }); err != nil {
						return err
					}
					known = append(known, stored)
				case errors.Is(err, ErrNotFound):
					if config, err = c.addConfig(config); err != nil {
						return fmt.Errorf("%s: %w", config.Name, err)
					}
					new = append(new, config)
				default:
					return err
				}
				done++
			}
			return ctx.Err()
		})
		if err != nil {
			return added, existing, fmt.Errorf("adding configs: %w", err)
		}
		added, existing = append(added, new...), append(existing, known...)
		configs = configs[done:]
	}
	return added, existing, nil
}

func (c *change) addConfig(config Config) (Config, error) {
	c.meta.LastConfig++
	config.ID = c.meta.LastConfig
	value, err := encode(newConfigRecord(config))
	if err != nil {
		return config, err
	}
	key := idKey(prefixConfig, config.ID)
	if err := c.put(key, value); err != nil {
		return config, err
	}
	return config, c.put(identityKey(config.Identity), key[1:])
}

func (c *change) configByIdentity(identity string) (Config, error) {
	id, err := c.get(identityKey(identity))
	if err != nil {
		return Config{}, err
	}
	if len(id) != 8 {
		return Config{}, damagef("an id of %d bytes", len(id))
	}
	config, err := getConfig(c, int64(binary.BigEndian.Uint64(id)))
	if errors.Is(err, ErrNotFound) {
		return Config{}, damagef("an identity without a config")
	}
	return config, err
}

func getConfig(r reader, id int64) (Config, error) {
	value, err := r.get(idKey(prefixConfig, id))
	if err != nil {
		return Config{}, err
	}
	var rec configRecord
	if err := decode(value, &rec); err != nil {
		return Config{}, err
	}
	return rec.config(), nil
}

// Configs returns all configs in order of their ids.
func (s *Store) Configs(ctx context.Context) ([]Config, error) {
	var configs []Config
	err := s.view(ctx, func(r reader) error {
		configs = nil
		return r.scan([]byte{prefixConfig}, false, func(_, value []byte) error {
			var rec configRecord
			if err := decode(value, &rec); err != nil {
				return err
			}
			configs = append(configs, rec.config())
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("listing configs: %w", err)
	}
	return configs, nil
}

// Config returns one config, or ErrNotFound.
func (s *Store) Config(ctx context.Context, id int64) (config Config, err error) {
	err = s.view(ctx, func(r reader) (err error) {
		config, err = getConfig(r, id)
		return err
	})
	if err != nil {
		return Config{}, fmt.Errorf("reading config %d: %w", id, err)
	}
	return config, nil
}

// UpdateConfigs stores what edit makes of the configs, and returns them in the order of ids; those
// that do not exist are left out. Edit must not call the store, and may be called twice; it cannot
// change the id, nor the identity. A long list is changed in several steps; if one fails, updated
// has what was done before.
func (s *Store) UpdateConfigs(ctx context.Context, ids []int64, edit func(*Config)) (updated []Config, err error) {
	return s.updateConfigs(ctx, ids, func(c *change, stored Config) (Config, error) { return c.editConfig(stored, edit) })
}

// RenewConfigs is UpdateConfigs for an edit that may also change the identity. A config whose new
// identity another one has is left as it is, and left out.
func (s *Store) RenewConfigs(ctx context.Context, ids []int64, edit func(*Config)) (renewed []Config, err error) {
	return s.updateConfigs(ctx, ids, func(c *change, stored Config) (Config, error) { return c.renewConfig(stored, edit) })
}

func (s *Store) updateConfigs(ctx context.Context, ids []int64, edit func(*change, Config) (Config, error)) (updated []Config, err error) {
	for len(ids) > 0 {
		var some []Config
		var done int
		err := s.update(ctx, func(c *change) error {
			some, done = nil, 0
			c.dirty = true
			for _, id := range ids {
				if done == batchRecords || c.bytes > batchBytes {
					break
				}
				done++
				config, err := getConfig(c, id)
				if errors.Is(err, ErrNotFound) {
					continue
				}
				if err == nil {
					config, err = edit(c, config)
				}
				if errors.Is(err, errTaken) {
					continue
				}
				if err != nil {
					return err
				}
				some = append(some, config)
			}
			return ctx.Err()
		})
		if err != nil {
			return updated, fmt.Errorf("updating configs: %w", err)
		}
		updated = append(updated, some...)
		ids = ids[done:]
	}
	return updated, nil
}

// editConfig is renewConfig for an edit that cannot change the identity.
func (c *change) editConfig(stored Config, edit func(*Config)) (Config, error) {
	return c.renewConfig(stored, func(config *Config) {
		edit(config)
		config.Identity = stored.Identity
	})
}

// errTaken: another config has the identity.
var errTaken = errors.New("another config has this identity")

// renewConfig stores what edit makes of a stored config, if that is anything else.
func (c *change) renewConfig(stored Config, edit func(*Config)) (Config, error) {
	config := stored
	config.Tags, config.Subscriptions = slices.Clone(stored.Tags), slices.Clone(stored.Subscriptions)
	edit(&config)
	config.ID = stored.ID
	if config.Identity != stored.Identity {
		if _, err := c.get(identityKey(config.Identity)); err == nil {
			return stored, errTaken
		} else if !errors.Is(err, ErrNotFound) {
			return stored, err
		}
		if _, err := c.remove(identityKey(stored.Identity)); err != nil {
			return stored, err
		}
		if err := c.put(identityKey(config.Identity), idKey(prefixConfig, config.ID)[1:]); err != nil {
			return stored, err
		}
	}
	if reflect.DeepEqual(config, stored) {
		return stored, nil
	}
	value, err := encode(newConfigRecord(config))
	if err != nil {
		return config, err
	}
	return config, c.put(idKey(prefixConfig, config.ID), value)
}

// RemoveConfigs removes those of the configs that exist, with their outcomes, and returns how many
// they were. Their sessions stay.
func (s *Store) RemoveConfigs(ctx context.Context, ids []int64) (removed int, err error) {
	for len(ids) > 0 {
		n := min(len(ids), batchRecords/2)
		var count int
		err := s.update(ctx, func(c *change) error {
			count = 0
			c.dirty = true
			for _, id := range ids[:n] {
				config, err := getConfig(c, id)
				if errors.Is(err, ErrNotFound) {
					continue
				}
				if err != nil {
					return err
				}
				for _, key := range [][]byte{idKey(prefixConfig, id), identityKey(config.Identity), idKey(prefixOutcome, id)} {
					if _, err := c.remove(key); err != nil {
						return err
					}
				}
				count++
			}
			return ctx.Err()
		})
		if err != nil {
			return removed, fmt.Errorf("removing configs: %w", err)
		}
		s.dropOutcomes(ids[:n])
		removed += count
		ids = ids[n:]
	}
	return removed, nil
}
