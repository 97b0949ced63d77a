package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/daemon/store"
)

// Run tests whether a store keeps the contract. Open returns a new, empty store each time, and has
// it closed at the end of the test.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"a new store is empty":                  testEmpty,
		"configs are added once":                testAddConfigs,
		"known configs are merged":              testMergeConfigs,
		"configs are updated":                   testUpdateConfigs,
		"configs are renewed":                   testRenewConfigs,
		"configs are removed":                   testRemoveConfigs,
		"configs are copies":                    testConfigCopies,
		"subscriptions":                         testSubscriptions,
		"subscriptions are copies":              testSubscriptionCopies,
		"bodies":                                testBodies,
		"the id of the device":                  testDevice,
		"sessions":                              testSessions,
		"sessions are listed, the newest first": testSessionLists,
		"sessions are copies":                   testSessionCopies,
		"desired state":                         testDesired,
		"outcomes":                              testOutcomes,
		"outcomes updated at once":              testOutcomesAtOnce,
		"outcomes are copies":                   testOutcomeCopies,
		"a context that has ended":              testCanceled,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// config returns the config with an identity.
func config(identity string) store.Config {
	return store.Config{
		Name: "server " + identity, Link: "vless://secret@" + identity + ".example:443", Identity: identity,
		Protocol: "vless", Address: identity + ".example", Port: 443, Network: "tcp", Security: "tls",
		Source: store.SourceImport, CreatedAt: time.Unix(1_700_000_000, 0).UTC(),
		Tags: []string{"fast"}, Subscriptions: []int64{1, 2},
	}
}

// result is what a method has returned.
type result[V any] struct {
	got V
	err error
}

func of[V any](got V, err error) result[V] { return result[V]{got, err} }

// value ends the test if the method has failed.
func (r result[V]) value(t *testing.T) V {
	t.Helper()
	if r.err != nil {
		t.Fatal(r.err)
	}
	return r.got
}

// is reports a value that is not the wanted one.
func (r result[V]) is(t *testing.T, what string, want V) {
	t.Helper()
	same(t, what, r.value(t), want)
}

// same reports a value that is not the wanted one.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		// Printed, secrets look alike.
		t.Errorf("%s: got %+v, want %+v", what, got, want)
	}
}

func wantNotFound(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%s: error %v, want ErrNotFound", what, err)
	}
}

// add adds a config for each of the identities to a store without configs.
func add(t *testing.T, s Store, identities ...string) []store.Config {
	t.Helper()
	var given []store.Config
	for _, identity := range identities {
		given = append(given, config(identity))
	}
	added, existing, err := s.MergeConfigs(t.Context(), given, func(*store.Config, store.Config) {})
	if err != nil || len(added) != len(given) || len(existing) != 0 {
		t.Fatalf("added %v, existing %v (%v)", added, existing, err)
	}
	return added
}

func testEmpty(t *testing.T, s Store) {
	of(s.Configs(t.Context())).is(t, "configs", nil)
	of(s.Subscriptions(t.Context())).is(t, "subscriptions", nil)
	of(s.Sessions(t.Context(), 0)).is(t, "sessions", nil)
	of(s.LiveSessions(t.Context())).is(t, "live sessions", nil)
	of(s.Outcomes(t.Context())).is(t, "outcomes", map[int64]store.Outcome{})
	of(s.Desired(t.Context())).is(t, "desired", store.Desired{})
}

func testAddConfigs(t *testing.T, s Store) {
	given := []store.Config{config("a"), config("b"), config("c"), config("b")}
	given[0].ID = 77
	added, existing, err := s.MergeConfigs(t.Context(), given, func(*store.Config, store.Config) {})
	if err != nil {
		t.Fatal(err)
	}
	var want []store.Config
	for i, c := range given[:3] {
		c.ID = int64(i + 1)
		want = append(want, c)
	}
	same(t, "added", added, want)
	same(t, "existing", existing, want[1:2])
	of(s.Configs(t.Context())).is(t, "listed", want)
	of(s.Config(t.Context(), 3)).is(t, "alone", want[2])
	_, err = s.Config(t.Context(), 4)
	wantNotFound(t, "a config", err)

	if _, _, err := s.MergeConfigs(t.Context(), []store.Config{config("d"), {Name: "x"}}, nil); err == nil {
		t.Error("a config without an identity was accepted")
	}
	of(s.Configs(t.Context())).is(t, "after a refusal", want)
}

func testMergeConfigs(t *testing.T, s Store) {
	want := add(t, s, "a", "b", "c")
	given := []store.Config{config("c"), config("new"), config("a")}
	given[0].Name, given[2].Name = "third", "first"
	added, existing, err := s.MergeConfigs(t.Context(), given, func(stored *store.Config, given store.Config) {
		stored.Name, stored.Subscriptions = given.Name, append(stored.Subscriptions, 4)
		stored.ID, stored.Identity = 99, "another"
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range map[int]string{0: "first", 2: "third"} {
		want[i].Name, want[i].Subscriptions = name, []int64{1, 2, 4}
	}
	fresh := given[1]
	fresh.ID = 4
	same(t, "added", added, []store.Config{fresh})
	same(t, "existing", existing, []store.Config{want[2], want[0]})
	of(s.Configs(t.Context())).is(t, "listed", append(want, fresh))
}

func testUpdateConfigs(t *testing.T, s Store) {
	want := add(t, s, "a", "b", "c")
	updated, err := s.UpdateConfigs(t.Context(), []int64{3, 99, 1}, func(c *store.Config) {
		c.Pinned, c.Tags = true, append(c.Tags, "near")
		c.ID, c.Identity = 2, "another"
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 2} {
		want[i].Pinned, want[i].Tags = true, []string{"fast", "near"}
	}
	same(t, "updated", updated, []store.Config{want[2], want[0]})
	of(s.Configs(t.Context())).is(t, "listed", want)
	none := of(s.UpdateConfigs(t.Context(), []int64{99}, func(*store.Config) { t.Error("edited what is not there") })).value(t)
	same(t, "updated of what is not there", len(none), 0)
}

func testRenewConfigs(t *testing.T, s Store) {
	want := add(t, s, "a", "b", "c")
	was := want[0]
	renewed, err := s.RenewConfigs(t.Context(), []int64{3, 99, 1}, func(c *store.Config) {
		c.Pinned = true
		if c.Identity = "another"; c.ID == 3 {
			c.Identity = want[1].Identity // which is taken
		}
		c.ID = 2
	})
	if err != nil {
		t.Fatal(err)
	}
	want[0].Pinned, want[0].Identity = true, "another"
	same(t, "renewed", renewed, []store.Config{want[0]})
	of(s.Configs(t.Context())).is(t, "listed", want)

	keep := func(*store.Config, store.Config) {}
	_, existing, err := s.MergeConfigs(t.Context(), []store.Config{{Identity: "another"}}, keep)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "found by its new identity", existing, []store.Config{want[0]})
	was.ID = 0
	added, _, err := s.MergeConfigs(t.Context(), []store.Config{was}, keep)
	if err != nil {
		t.Fatal(err)
	}
	was.ID = 4
	same(t, "added under the identity that was given up", added, []store.Config{was})
}

func testRemoveConfigs(t *testing.T, s Store) {
	kept := add(t, s, "a", "b", "c")[1:2]
	session := of(s.CreateSession(t.Context(), store.Session{ConfigID: 3, Status: store.StatusStopped})).value(t)
	if err := s.UpdateOutcomes(t.Context(), []int64{2, 3}, func(o *store.Outcome) { o.Successes = 5 }); err != nil {
		t.Fatal(err)
	}
	of(s.RemoveConfigs(t.Context(), []int64{3, 99, 1, 3})).is(t, "removed", 2)
	of(s.Configs(t.Context())).is(t, "listed", kept)
	of(s.Outcomes(t.Context())).is(t, "outcomes", map[int64]store.Outcome{2: {ConfigID: 2, Successes: 5}})
	of(s.Sessions(t.Context(), 0)).is(t, "sessions", []store.Session{session})
	_, err := s.Config(t.Context(), 3)
	wantNotFound(t, "a removed config", err)
	same(t, "the id of the next", add(t, s, "c")[0].ID, int64(4))
}

func testConfigCopies(t *testing.T, s Store) {
	given := []store.Config{config("a"), config("b")}
	added, _, err := s.MergeConfigs(t.Context(), given, nil)
	if err != nil {
		t.Fatal(err)
	}
	spoil := func(c *store.Config) { c.Tags[0], c.Subscriptions[0] = "spoilt", 99 }
	want := []store.Config{config("a"), config("b")}
	want[0].ID, want[1].ID = 1, 2
	unspoilt := func(what string) {
		t.Helper()
		of(s.Configs(t.Context())).is(t, "after changing what "+what, want)
	}
	for i := range given {
		spoil(&given[i])
		spoil(&added[i])
	}
	unspoilt("was given")
	all := of(s.Configs(t.Context())).value(t)
	spoil(&all[0])
	unspoilt("was listed")
	one := of(s.Config(t.Context(), 1)).value(t)
	spoil(&one)
	unspoilt("was read")
	updated := of(s.UpdateConfigs(t.Context(), []int64{1}, func(c *store.Config) { c.Pinned = true })).value(t)
	spoil(&updated[0])
	want[0].Pinned = true
	unspoilt("was updated")
}

func subscription() store.Subscription {
	return store.Subscription{
		Name: "provider", URL: "https://provider.example/secret", CreatedAt: time.Unix(1_700_000_000, 0).UTC(),
		ETag: `"secret"`, LastModified: "secret", Notices: []string{"3 GB left"}, Usage: &store.Usage{Total: 1 << 40},
		UserAgent: "clash", Headers: []store.Header{{Name: "X-Key", Value: "secret"}}, HWID: true, CA: "PEM", Pin: "hash",
		Only: []string{"country:DE"}, Never: []string{"tag:x"},
	}
}

func testSubscriptions(t *testing.T, s Store) {
	var want []store.Subscription
	for i := range 3 {
		given := subscription()
		given.ID = 77
		added := of(s.AddSubscription(t.Context(), given)).value(t)
		given.ID = int64(i + 1)
		same(t, "added", added, given)
		want = append(want, given)
	}
	of(s.Subscriptions(t.Context())).is(t, "listed", want)

	updated := of(s.UpdateSubscription(t.Context(), 2, func(s *store.Subscription) {
		s.ID, s.Failures, s.Usage, s.Notices = 9, 3, nil, nil
	})).value(t)
	want[1].Failures, want[1].Usage, want[1].Notices = 3, nil, nil
	same(t, "updated", updated, want[1])
	of(s.Subscriptions(t.Context())).is(t, "listed after an update", want)
	_, err := s.UpdateSubscription(t.Context(), 7, func(*store.Subscription) { t.Error("edited what is not there") })
	wantNotFound(t, "updating a subscription", err)

	for _, there := range []bool{true, false} {
		of(s.RemoveSubscription(t.Context(), 3)).is(t, "removed", there)
	}
	of(s.Subscriptions(t.Context())).is(t, "listed after a removal", want[:2])
	same(t, "the id of the next", of(s.AddSubscription(t.Context(), subscription())).value(t).ID, int64(4))
}

func testSubscriptionCopies(t *testing.T, s Store) {
	want, given := subscription(), subscription()
	want.ID = 1
	spoil := func(s store.Subscription) {
		s.Notices[0], s.Usage.Total, s.Headers[0].Value, s.Only[0], s.Never[0] = "spoilt", 99, "spoilt", "spoilt", "spoilt"
	}
	unspoilt := func(what string) {
		t.Helper()
		of(s.Subscriptions(t.Context())).is(t, "after changing what "+what, []store.Subscription{want})
	}
	added := of(s.AddSubscription(t.Context(), given)).value(t)
	spoil(given)
	spoil(added)
	unspoilt("was given")
	spoil(of(s.Subscriptions(t.Context())).value(t)[0])
	unspoilt("was listed")
	spoil(of(s.UpdateSubscription(t.Context(), 1, func(s *store.Subscription) { s.Failures = 1 })).value(t))
	want.Failures = 1
	unspoilt("was updated")
}

// testBodies: one body is kept of each subscription, until that is removed.
func testBodies(t *testing.T, s Store) {
	for range 2 {
		of(s.AddSubscription(t.Context(), subscription())).value(t)
	}
	wantNone := func(id int64) {
		t.Helper()
		_, err := s.Body(t.Context(), id)
		wantNotFound(t, "reading a body", err)
	}
	wantNone(1)
	keep := func(id int64, body string) {
		t.Helper()
		if err := s.KeepBody(t.Context(), id, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	keep(1, "first")
	keep(2, "other\x00\xff")
	keep(1, "second")
	of(s.Body(t.Context(), 1)).is(t, "kept", []byte("second"))
	of(s.Body(t.Context(), 2)).is(t, "of another", []byte("other\x00\xff"))
	if err := s.KeepBody(t.Context(), 1, make([]byte, store.MaxBody+1)); err == nil {
		t.Error("a body that is too large is kept")
	}
	of(s.Body(t.Context(), 1)).is(t, "after one that is too large", []byte("second"))
	of(s.RemoveSubscription(t.Context(), 1)).is(t, "removed", true)
	wantNone(1)
	of(s.Body(t.Context(), 2)).is(t, "after a removal", []byte("other\x00\xff"))
}

// testDevice: the id of the device is there and stays.
func testDevice(t *testing.T, s Store) {
	first := of(s.DeviceID(t.Context())).value(t)
	if len(first) != 32 {
		t.Errorf("the id %q", first)
	}
	of(s.DeviceID(t.Context())).is(t, "again", first)
}

func session() store.Session {
	return store.Session{
		ConfigID: 2, ConfigName: "server", Status: store.StatusStarting, Nonce: "n", PID: 42, PIDStart: 1 << 60,
		Inbounds:  []store.Inbound{{Protocol: "socks", Address: "127.0.0.1:1", User: "secret", Password: "secret"}},
		StartedAt: time.Unix(1_700_000_001, 5).UTC(), Rotation: &store.Report{Reason: "r", Checks: []store.ReportCheck{{Code: "ok"}}, Considered: []store.ReportCandidate{}},
	}
}

func testSessions(t *testing.T, s Store) {
	want := session()
	want.ID = 77
	created := of(s.CreateSession(t.Context(), want)).value(t)
	want.ID = 1
	same(t, "created", created, want)
	updated := of(s.UpdateSession(t.Context(), 1, func(s *store.Session) {
		s.ID, s.Status, s.UpBytes, s.Inbounds = 9, store.StatusRunning, 1<<40, append(s.Inbounds, store.Inbound{Protocol: "http"})
	})).value(t)
	want.Status, want.UpBytes, want.Inbounds = store.StatusRunning, 1<<40, append(want.Inbounds, store.Inbound{Protocol: "http"})
	same(t, "updated", updated, want)
	of(s.Sessions(t.Context(), 0)).is(t, "listed", []store.Session{want})
	_, err := s.UpdateSession(t.Context(), 7, func(*store.Session) { t.Error("edited what is not there") })
	wantNotFound(t, "updating a session", err)

	for range 2 { // that it is not there is no error
		if err := s.RemoveSession(t.Context(), 1); err != nil {
			t.Error(err)
		}
	}
	of(s.Sessions(t.Context(), 0)).is(t, "listed after a removal", nil)
	same(t, "the id of the next", of(s.CreateSession(t.Context(), session())).value(t).ID, int64(2))
}

func testSessionLists(t *testing.T, s Store) {
	for _, status := range []store.Status{
		store.StatusStarting, store.StatusStandby, store.StatusRunning, store.StatusDraining, store.StatusStopping,
		store.StatusStopped, store.StatusFailed,
	} {
		of(s.CreateSession(t.Context(), store.Session{Status: status})).value(t)
	}
	ids := func(sessions []store.Session, err error) (ids []int64) {
		t.Helper()
		for _, session := range of(sessions, err).value(t) {
			ids = append(ids, session.ID)
		}
		return ids
	}
	all := []int64{7, 6, 5, 4, 3, 2, 1}
	for limit, want := range map[int][]int64{-1: all, 0: all, 1: all[:1], 3: all[:3], 7: all, 100: all} {
		same(t, fmt.Sprint("sessions with the limit ", limit), ids(s.Sessions(t.Context(), limit)), want)
	}
	same(t, "live sessions", ids(s.LiveSessions(t.Context())), all[2:])
}

func testSessionCopies(t *testing.T, s Store) {
	want, given := session(), session()
	want.ID = 1
	spoil := func(s store.Session) { s.Inbounds[0].Address, s.Rotation.Checks[0].Code = "spoilt", "spoilt" }
	unspoilt := func(what string) {
		t.Helper()
		of(s.Sessions(t.Context(), 0)).is(t, "after changing what "+what, []store.Session{want})
	}
	created := of(s.CreateSession(t.Context(), given)).value(t)
	spoil(given)
	spoil(created)
	unspoilt("was given")
	spoil(of(s.Sessions(t.Context(), 1)).value(t)[0])
	spoil(of(s.LiveSessions(t.Context())).value(t)[0])
	unspoilt("was listed")
	spoil(of(s.UpdateSession(t.Context(), 1, func(s *store.Session) { s.PID++ })).value(t))
	want.PID++
	unspoilt("was updated")
}

func testDesired(t *testing.T, s Store) {
	for _, want := range []store.Desired{{Connected: true, ConfigID: 2, RotationOff: true}, {}} {
		if err := s.SetDesired(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		of(s.Desired(t.Context())).is(t, "desired", want)
	}
}

func testOutcomes(t *testing.T, s Store) {
	add(t, s, "a", "b", "c")
	now := time.Unix(1_700_000_002, 0).UTC()
	want := map[int64]store.Outcome{
		1: {ConfigID: 1, Successes: 1, LastSuccess: now, LatencyMS: 12},
		3: {ConfigID: 3, Successes: 1, LastSuccess: now, LatencyMS: 12},
	}
	var asked []int64
	err := s.UpdateOutcomes(t.Context(), []int64{3, 1, 3}, func(o *store.Outcome) { // each once
		asked = append(asked, o.ConfigID)
		o.Successes, o.LastSuccess, o.LatencyMS, o.ConfigID = o.Successes+1, now, 12, 77
	})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "asked for", asked, []int64{3, 1})
	of(s.Outcomes(t.Context())).is(t, "outcomes", want)
	err = s.UpdateOutcomes(t.Context(), []int64{2, 3}, func(o *store.Outcome) { o.Failures++ })
	if err != nil {
		t.Fatal(err)
	}
	want[2] = store.Outcome{ConfigID: 2, Failures: 1}
	third := want[3]
	third.Failures = 1
	want[3] = third
	of(s.Outcomes(t.Context())).is(t, "outcomes after another update", want)
	if err := s.UpdateOutcomes(t.Context(), nil, func(*store.Outcome) { t.Error("edited what was not asked for") }); err != nil {
		t.Error(err)
	}
}

func testOutcomesAtOnce(t *testing.T, s Store) {
	add(t, s, "a", "b", "c")
	const workers, rounds = 8, 50
	ids := []int64{1, 2, 3}
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for range rounds {
				if err := s.UpdateOutcomes(t.Context(), ids, func(o *store.Outcome) { o.Successes++ }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	outcomes := of(s.Outcomes(t.Context())).value(t)
	for _, id := range ids {
		same(t, "successes", outcomes[id].Successes, workers*rounds)
	}
}

func testOutcomeCopies(t *testing.T, s Store) {
	add(t, s, "a")
	if err := s.UpdateOutcomes(t.Context(), []int64{1}, func(o *store.Outcome) { o.Flaps = 5 }); err != nil {
		t.Fatal(err)
	}
	clear(of(s.Outcomes(t.Context())).value(t))
	of(s.Outcomes(t.Context())).is(t, "outcomes", map[int64]store.Outcome{1: {ConfigID: 1, Flaps: 5}})
}

// testCanceled: with a context that has ended, every method says so and changes nothing.
func testCanceled(t *testing.T, s Store) {
	configs := add(t, s, "a")
	subscriptions := []store.Subscription{of(s.AddSubscription(t.Context(), subscription())).value(t)}
	sessions := []store.Session{of(s.CreateSession(t.Context(), session())).value(t)}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for method, call := range map[string]func() error{
		"MergeConfigs": func() error {
			_, _, err := s.MergeConfigs(ctx, []store.Config{config("a"), config("b")}, func(c *store.Config, _ store.Config) { c.Name = "x" })
			return err
		},
		"Configs": func() error { _, err := s.Configs(ctx); return err },
		"Config":  func() error { _, err := s.Config(ctx, 1); return err },
		"UpdateConfigs": func() error {
			_, err := s.UpdateConfigs(ctx, []int64{1}, func(c *store.Config) { c.Name = "x" })
			return err
		},
		"RemoveConfigs":   func() error { _, err := s.RemoveConfigs(ctx, []int64{1}); return err },
		"Subscriptions":   func() error { _, err := s.Subscriptions(ctx); return err },
		"AddSubscription": func() error { _, err := s.AddSubscription(ctx, subscription()); return err },
		"UpdateSubscription": func() error {
			_, err := s.UpdateSubscription(ctx, 1, func(s *store.Subscription) { s.Name = "x" })
			return err
		},
		"RemoveSubscription": func() error { _, err := s.RemoveSubscription(ctx, 1); return err },
		"KeepBody":           func() error { return s.KeepBody(ctx, 1, []byte("x")) },
		"Body":               func() error { _, err := s.Body(ctx, 1); return err },
		"DeviceID":           func() error { _, err := s.DeviceID(ctx); return err },
		"CreateSession":      func() error { _, err := s.CreateSession(ctx, session()); return err },
		"UpdateSession": func() error {
			_, err := s.UpdateSession(ctx, 1, func(s *store.Session) { s.PID = 1 })
			return err
		},
		"RemoveSession": func() error { return s.RemoveSession(ctx, 1) },
		"Sessions":      func() error { _, err := s.Sessions(ctx, 0); return err },
		"LiveSessions":  func() error { _, err := s.LiveSessions(ctx); return err },
		"Desired":       func() error { _, err := s.Desired(ctx); return err },
		"SetDesired":    func() error { return s.SetDesired(ctx, store.Desired{Connected: true}) },
		"Outcomes":      func() error { _, err := s.Outcomes(ctx); return err },
		"UpdateOutcomes": func() error {
			return s.UpdateOutcomes(ctx, []int64{1}, func(o *store.Outcome) { o.Flaps = 1 })
		},
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v, want context.Canceled", method, err)
		}
	}
	of(s.Configs(t.Context())).is(t, "configs", configs)
	of(s.Subscriptions(t.Context())).is(t, "subscriptions", subscriptions)
	of(s.Sessions(t.Context(), 0)).is(t, "sessions", sessions)
	of(s.Desired(t.Context())).is(t, "desired", store.Desired{})
	of(s.Outcomes(t.Context())).is(t, "outcomes", map[int64]store.Outcome{})
}
