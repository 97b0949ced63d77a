package store

import (
	"context"
	"testing"
)

func TestMergeThatChangesNothingWritesNothing(t *testing.T) {
	ctx := context.Background()
	s := mustOpen(t, t.TempDir(), quiet())
	if _, _, err := addConfigs(ctx, s, testConfigs(0, 3)); err != nil {
		t.Fatal(err)
	}
	before := s.seq()
	if _, _, err := addConfigs(ctx, s, testConfigs(1, 2)); err != nil || s.seq() != before {
		t.Errorf("change %d after %d (%v)", s.seq(), before, err)
	}
}

// More than fits into one transaction.
func TestUpdateManyConfigs(t *testing.T) {
	ctx := context.Background()
	s := mustOpen(t, t.TempDir(), quiet())
	const n = 2*batchRecords + 5
	added, _, err := addConfigs(ctx, s, testConfigs(0, n))
	if err != nil {
		t.Fatal(err)
	}
	var ids []int64
	for _, c := range added {
		ids = append(ids, c.ID)
	}
	updated, err := s.UpdateConfigs(ctx, ids, func(c *Config) { c.Excluded = true })
	if err != nil || len(updated) != n || updated[n-1].ID != n {
		t.Fatal(len(updated), err)
	}
	all, err := s.Configs(ctx)
	if err != nil || len(all) != n || !all[0].Excluded || !all[n-1].Excluded {
		t.Error(len(all), err)
	}
}
