package store

import (
	"context"
	"encoding/json"
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
		UserAgent: "clash", Headers: []Header{{"X-Key", "hidden"}}, HWID: true, Only: []string{"country:DE"}, Never: []string{"tag:x"},
		UpdatedAt: time.Unix(1_700_000_100, 0).UTC(), Usage: &Usage{Total: 1 << 40, ExpiresAt: time.Unix(1_800_000_000, 0).UTC()},
	}
}

// A lost database is made again from the export, subscriptions included, and no id is used twice.
func TestSubscriptionsAreRestored(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	s := mustOpen(t, dir, quiet())
	if _, err := s.AddSubscription(ctx, testSubscription()); err != nil {
		t.Fatal(err)
	}
	config := testConfig(1)
	config.Subscriptions, config.RetiredAt, config.Named = []int64{1}, time.Unix(1_700_000_500, 0).UTC(), true
	if _, _, err := addConfigs(ctx, s, []Config{config}); err != nil {
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

func TestSubscriptionSecretsAreNotPrinted(t *testing.T) {
	s := testSubscription()
	text := fmt.Sprint(s, &s, []Subscription{s}, s.Headers, s.Headers[0], &s.Headers[0])
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
