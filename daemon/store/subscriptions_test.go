package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func testSubscription() Subscription {
	return Subscription{
		Name: "provider", Named: true, URL: "https://provider.example/hidden-token", CreatedAt: time.Unix(1_700_000_000, 0).UTC(),
		IntervalSecs: 3600, ETag: `"hidden-etag"`, LastModified: "hidden-date", Notices: []string{"3 GB left"},
		UpdatedAt: time.Unix(1_700_000_100, 0).UTC(), Usage: &Usage{Total: 1 << 40, ExpiresAt: time.Unix(1_800_000_000, 0).UTC()},
	}
}

func TestSubscriptions(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	s := mustOpen(t, dir, quiet())
	want := testSubscription()
	first, err := s.AddSubscription(ctx, want)
	want.ID = 1
	if err != nil || !reflect.DeepEqual(first, want) {
		t.Fatalf("%+v, %v", first, err)
	}
	if _, err := s.AddSubscription(ctx, testSubscription()); err != nil {
		t.Fatal(err)
	}
	changed, err := s.UpdateSubscription(ctx, 1, func(s *Subscription) { s.ID, s.Failures = 9, 3 })
	want.Failures = 3
	if err != nil || !reflect.DeepEqual(changed, want) {
		t.Errorf("%+v, %v", changed, err)
	}
	if _, err := s.UpdateSubscription(ctx, 7, func(*Subscription) {}); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	for _, there := range []bool{true, false} {
		if removed, err := s.RemoveSubscription(ctx, 2); removed != there || err != nil {
			t.Errorf("removed %v, %v", removed, err)
		}
	}
	if third, err := s.AddSubscription(ctx, testSubscription()); err != nil || third.ID != 3 {
		t.Errorf("the id of a removed one was used again: %+v, %v", third, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir, quiet())
	all, err := s.Subscriptions(ctx)
	if err != nil || len(all) != 2 || !reflect.DeepEqual(all[0], want) {
		t.Errorf("after opening again: %+v, %v", all, err)
	}
	if r := s.Recovery(); r != nil {
		t.Errorf("a repair: %+v", r)
	}
}

// A lost database is made again from the export, subscriptions included, and no id
// is used twice.
func TestSubscriptionsAreRestored(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	s := mustOpen(t, dir, quiet())
	if _, err := s.AddSubscription(ctx, testSubscription()); err != nil {
		t.Fatal(err)
	}
	config := testConfig(1)
	config.Subscriptions, config.RetiredAt, config.Named = []int64{1}, time.Unix(1_700_000_500, 0).UTC(), true
	if _, _, err := s.AddConfigs(ctx, []Config{config}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, databaseName)); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir, quiet())
	if s.Recovery() == nil {
		t.Fatal("nothing was repaired")
	}
	want := testSubscription()
	want.ID = 1
	all, err := s.Subscriptions(ctx)
	if err != nil || len(all) != 1 || !reflect.DeepEqual(all[0], want) {
		t.Errorf("%+v, %v", all, err)
	}
	config.ID = 1
	if got, err := s.Config(ctx, 1); err != nil || !reflect.DeepEqual(got, config) || !got.Retired() {
		t.Errorf("%+v, %v", got, err)
	}
	if next, err := s.AddSubscription(ctx, testSubscription()); err != nil || next.ID != 2 {
		t.Errorf("%+v, %v", next, err)
	}
}

// An export from before there were subscriptions is read.
func TestExportWithoutSubscriptions(t *testing.T) {
	dir := t.TempDir()
	body := `{"format":"xrat store export","time":"2026-01-01T00:00:00Z","meta":{"schema":1,"seq":1,"last_config":0,"last_session":0,"sessions":0,"digest":0},` +
		"\n\"desired\":[],\n\"configs\":[],\n\"sessions\":[],\n\"outcomes\":[],\n"
	path, sum := filepath.Join(dir, exportName), sha256.Sum256([]byte(body))
	if err := os.WriteFile(path, []byte(body+fmt.Sprintf("\"sha256\":%q}\n", hex.EncodeToString(sum[:]))), 0o600); err != nil {
		t.Fatal(err)
	}
	if snap, err := readExport(path); err != nil || snap == nil || len(snap.records) != 0 {
		t.Errorf("%+v, %v", snap, err)
	}
}

func TestSubscriptionSecretsAreNotPrinted(t *testing.T) {
	s := testSubscription()
	text := fmt.Sprint(s, &s, []Subscription{s})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		text += fmt.Sprintf(verb, s) + fmt.Sprintf(verb, []*Subscription{&s}[0])
	}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if text += string(b); strings.Contains(text, "hidden") || strings.Contains(text, fmt.Sprintf("%x", "hidden")) {
		t.Errorf("a secret in %s", text)
	}
}

// What a refresh does with those that are there: one step for many, in place.
func TestMergeAndUpdateConfigs(t *testing.T) {
	ctx := context.Background()
	s := mustOpen(t, t.TempDir(), quiet())
	if _, _, err := s.AddConfigs(ctx, testConfigs(0, 3)); err != nil {
		t.Fatal(err)
	}
	given := []Config{testConfig(1), testConfig(5)}
	given[0].Name = "new name"
	added, existing, err := s.MergeConfigs(ctx, given, func(stored *Config, given Config) {
		stored.Name, stored.Subscriptions = given.Name, append(stored.Subscriptions, 4)
		stored.ID, stored.Identity = 99, "another"
	})
	if err != nil || len(added) != 1 || added[0].ID != 4 || len(existing) != 1 ||
		existing[0].ID != 2 || existing[0].Name != "new name" || existing[0].Identity != testConfig(1).Identity {
		t.Fatalf("%+v, %+v, %v", added, existing, err)
	}
	before := s.seq()
	if _, _, err := s.MergeConfigs(ctx, given[:1], func(*Config, Config) {}); err != nil || s.seq() != before {
		t.Errorf("nothing changed, and was written: %v", err)
	}
	ids := []int64{4, 2, 77}
	updated, err := s.UpdateConfigs(ctx, ids, func(c *Config) { c.Pinned = true })
	if err != nil || len(updated) != 2 || updated[0].ID != 4 || !updated[1].Pinned {
		t.Errorf("%+v, %v", updated, err)
	}
	got, err := s.Config(ctx, 2)
	if err != nil || !got.Pinned || got.Name != "new name" || !reflect.DeepEqual(got.Subscriptions, []int64{4}) || got.Link != testConfig(1).Link {
		t.Errorf("%+v, %v", got, err)
	}
}

// More than fits into one transaction.
func TestUpdateManyConfigs(t *testing.T) {
	ctx := context.Background()
	s := mustOpen(t, t.TempDir(), quiet())
	const n = 2*batchRecords + 5
	added, _, err := s.AddConfigs(ctx, testConfigs(0, n))
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
