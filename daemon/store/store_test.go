package store

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

func quiet() Options { return Options{Log: zerolog.Nop()} }

func mustOpen(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(context.Background(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
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

func TestRoundTrip(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s := mustOpen(t, dir, quiet())

	added, existing, err := s.AddConfigs(ctx, testConfigs(0, 3))
	if err != nil || len(added) != 3 || len(existing) != 0 {
		t.Fatalf("added %v, existing %v, %v", added, existing, err)
	}
	session, err := s.CreateSession(ctx, Session{
		ConfigID: 2, Status: StatusRunning, Nonce: "n", PID: 42, PIDStart: 1 << 60,
		Inbounds:  []Inbound{{Protocol: "socks", Address: "127.0.0.1:1", User: "u", Password: "hidden"}},
		StartedAt: time.Unix(1_700_000_001, 5).UTC(),
	})
	if err != nil {
		t.Fatal(err)
	}
	desired := Desired{Connected: true, ConfigID: 2, RotationOff: true}
	if err := s.SetDesired(ctx, desired); err != nil {
		t.Fatal(err)
	}
	outcome := Outcome{ConfigID: 2, Successes: 3, LastSuccess: time.Unix(1_700_000_002, 0).UTC(), LatencyMS: 12}
	if err := s.UpdateOutcomes(ctx, []int64{outcome.ConfigID}, func(o *Outcome) { *o = outcome }); err != nil {
		t.Fatal(err)
	}
	check := func(s *Store) {
		t.Helper()
		configs, err := s.Configs(ctx)
		if err != nil || !reflect.DeepEqual(configs, added) {
			t.Errorf("configs %v, want %v (%v)", configs, added, err)
		}
		if c, err := s.Config(ctx, 3); err != nil || !reflect.DeepEqual(c, added[2]) || c.Link != testConfig(2).Link {
			t.Errorf("config 3: %v, %v", c, err)
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
		if r := s.Recovery(); r != nil {
			t.Errorf("a repair: %+v", r)
		}
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check(mustOpen(t, dir, quiet()))
}
