package store

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

func quiet() Options { return Options{Log: zerolog.Nop()} }

func mustOpen(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(context.Background(), dir, o)
	must(t, err)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// testConfig returns a config that differs from those of other numbers.
func testConfig(n int) Config {
	return Config{
		Name:      fmt.Sprintf("server %d", n),
		Link:      fmt.Sprintf("vless://hidden-%d@host-%d.example:443?type=tcp&security=tls#server%%20%d", n, n, n),
		Identity:  fmt.Sprintf("identity-%d", n),
		Protocol:  "vless",
		Address:   fmt.Sprintf("host-%d.example", n),
		Port:      443,
		Network:   "tcp",
		Security:  "tls",
		Source:    "test",
		CreatedAt: time.Unix(1_700_000_000, 0).UTC(),
	}
}

func testConfigs(from, to int) (configs []Config) {
	for n := from; n < to; n++ {
		configs = append(configs, testConfig(n))
	}
	return configs
}

// addConfigs leaves alone what is there already.
func addConfigs(ctx context.Context, s *Store, configs []Config) (added, existing []Config, err error) {
	return s.MergeConfigs(ctx, configs, func(*Config, Config) {})
}

// TestRecordsOutliveTheProcess: what the contract wants of a store holds after opening it again,
// too.
func TestRecordsOutliveTheProcess(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s := mustOpen(t, dir, quiet())

	configs, _, err := addConfigs(ctx, s, testConfigs(0, 3))
	must(t, err)
	updated, err := s.UpdateConfigs(ctx, []int64{1}, func(c *Config) { c.Pinned, c.Tags = true, []string{"home"} })
	must(t, err)
	configs[0] = updated[0]
	subscription, err := s.AddSubscription(ctx, testSubscription())
	must(t, err)
	_, err = s.AddSubscription(ctx, Subscription{Name: "removed"})
	must(t, err)
	_, err = s.RemoveSubscription(ctx, 2)
	must(t, err)
	_, err = s.CreateSession(ctx, Session{Status: StatusStandby})
	must(t, err)
	must(t, s.RemoveSession(ctx, 1))
	session, err := s.CreateSession(ctx, Session{
		ConfigID: 2, Status: StatusRunning, Nonce: "n", PID: 42, PIDStart: 1 << 60,
		Inbounds:  []Inbound{{Protocol: "socks", Address: "127.0.0.1:1", User: "u", Password: "hidden"}},
		StartedAt: time.Unix(1_700_000_001, 5).UTC(), Rotation: &Report{ReasonCode: "x", Checks: []ReportCheck{{Code: "ok"}}, Considered: []ReportCandidate{}},
	})
	must(t, err)
	desired := Desired{Connected: true, ConfigID: 2, RotationOff: true}
	must(t, s.SetDesired(ctx, desired))
	outcome := Outcome{ConfigID: 2, Successes: 3, LastSuccess: time.Unix(1_700_000_002, 0).UTC(), LatencyMS: 12}
	must(t, s.UpdateOutcomes(ctx, []int64{2}, func(o *Outcome) { *o = outcome }))
	must(t, s.Close())

	s = mustOpen(t, dir, quiet())
	if got, err := s.Configs(ctx); err != nil || !reflect.DeepEqual(got, configs) {
		t.Errorf("configs %v, want %v (%v)", got, configs, err)
	}
	if got, err := s.Subscriptions(ctx); err != nil || !reflect.DeepEqual(got, []Subscription{subscription}) {
		t.Errorf("subscriptions %+v, want %+v (%v)", got, subscription, err)
	}
	if got, err := s.Sessions(ctx, 0); err != nil || !reflect.DeepEqual(got, []Session{session}) {
		t.Errorf("sessions %+v, want %+v (%v)", got, session, err)
	}
	if got, err := s.Desired(ctx); err != nil || got != desired {
		t.Errorf("desired %v, %v", got, err)
	}
	if got, err := s.Outcomes(ctx); err != nil || !reflect.DeepEqual(got, map[int64]Outcome{2: outcome}) {
		t.Errorf("outcomes %v, %v", got, err)
	}
	if next, err := s.AddSubscription(ctx, testSubscription()); err != nil || next.ID != 3 {
		t.Errorf("the id of a removed subscription was used again: %+v, %v", next, err)
	}
	if r := s.Recovery(); r != nil {
		t.Errorf("a repair: %+v", r)
	}
}

// TestConcurrentUse has readers and writers while the database is closed and opened all the time.
func TestConcurrentUse(t *testing.T) {
	ctx := context.Background()
	o := quiet()
	o.IdleClose = time.Microsecond
	s := mustOpen(t, t.TempDir(), o)
	session, err := s.CreateSession(ctx, Session{Status: StatusRunning})
	if err != nil {
		t.Fatal(err)
	}
	const workers, rounds = 8, 25
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for n := range rounds {
				if _, err := s.UpdateSession(ctx, session.ID, func(s *Session) { s.Connections++ }); err != nil {
					t.Error(err)
				}
				if err := s.UpdateOutcomes(ctx, []int64{int64(w + 1)}, func(o *Outcome) { o.Successes = n }); err != nil {
					t.Error(err)
				}
				if _, _, err := addConfigs(ctx, s, []Config{testConfig(n)}); err != nil {
					t.Error(err)
				}
				if _, err := s.Configs(ctx); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	sessions, err := s.Sessions(ctx, 1)
	if err != nil || sessions[0].Connections != workers*rounds {
		t.Errorf("%+v %v", sessions, err)
	}
	if configs, err := s.Configs(ctx); err != nil || len(configs) != rounds {
		t.Error(len(configs), err)
	}
	if r := s.Recovery(); r != nil {
		t.Errorf("%+v", r)
	}
}

func TestContextAndClose(t *testing.T) {
	s := mustOpen(t, t.TempDir(), quiet())
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Configs(ended); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := s.SetDesired(ended, Desired{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error("closing twice:", err)
	}
	if _, err := s.Configs(context.Background()); !errors.Is(err, errClosed) {
		t.Error(err)
	}
}
