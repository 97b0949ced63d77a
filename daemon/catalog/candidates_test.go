package catalog_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/daemon/catalog"
	"github.com/xrat-tray/xrat/daemon/daemontest"
	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/daemon/store/storetest"
)

// Without names, those that are described are measured, the most promising first.
func TestChosenConfigs(t *testing.T) {
	daemontest.Bubble(t, "a b c d e", nil, func(h *daemontest.Harness) {
		now, configs := time.Now(), catalog.New(catalog.Deps{Store: h.Memory, Network: h.Network})
		for id, change := range map[int64]func(*store.Config){
			2: func(c *store.Config) { c.Tags = []string{"Home", "x"} },
			3: func(c *store.Config) { c.Tags, c.Excluded = []string{"home"}, true },
			4: func(c *store.Config) { c.Tags = []string{"work"} },
		} {
			h.Edit(func(r *storetest.Records) {
				c := r.Configs[id]
				change(&c)
				r.Configs[id] = c
			})
		}
		h.Edit(func(r *storetest.Records) { r.Configs[6] = store.Config{ID: 6, Name: "f", RetiredAt: now} })
		h.Edit(func(r *storetest.Records) {
			r.Outcomes[5] = store.Outcome{ConfigID: 5, Successes: 1, LastSuccess: now, LatencyMS: 1, Good: 1}
		})
		h.Edit(func(r *storetest.Records) {
			r.Outcomes[1] = store.Outcome{ConfigID: 1, Failures: 1, ConsecutiveFailures: 1, LastFailure: now, CooldownUntil: now.Add(time.Minute), Bad: 1}
		})
		for _, test := range []struct {
			request ipc.Request
			want    string
		}{
			{ipc.Request{}, "ebda"},
			{ipc.Request{TestArguments: ipc.TestArguments{All: true}}, "ebcda"},
			{ipc.Request{Limit: 2}, "eb"},
			{ipc.Request{Limit: 9, TestArguments: ipc.TestArguments{Tags: []string{"home", "X"}}}, "b"},
			{ipc.Request{TestArguments: ipc.TestArguments{Tags: []string{"home"}, All: true}}, "bc"},
			{ipc.Request{IDs: []int64{3, 1, 3}}, "ca"},
			{ipc.Request{IDs: []int64{6}}, "f"},
		} {
			chosen, err := configs.Choose(context.Background(), test.request)
			var got string
			for _, c := range chosen {
				got += c.Name
			}
			// Those of which nothing is known come in any order.
			if len(test.request.IDs) == 0 {
				got = sortMiddle(got, "bcd")
			}
			if err != nil || got != test.want && len(got) != test.request.Limit {
				t.Errorf("%+v: %s, %v; want %s", test.request, got, err, test.want)
			}
		}
	})
}

// sortMiddle sorts the run of the letters in a text.
func sortMiddle(text, letters string) string {
	i := strings.IndexAny(text, letters)
	j := strings.LastIndexAny(text, letters)
	if i < 0 {
		return text
	}
	middle := []byte(text[i : j+1])
	slices.Sort(middle)
	return text[:i] + string(middle) + text[j+1:]
}

// What worked in this network comes first when the machine is back in it, whatever it did
// elsewhere.
func TestWorkedHere(t *testing.T) {
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		cat := catalog.New(catalog.Deps{Store: h.Memory, Network: h.Network, Log: zerolog.Nop()})
		ctx := context.Background()
		at := func(place string, lessons ...rotation.Lesson) {
			time.Sleep(time.Minute)
			h.Locked(func() { h.Place = place })
			cat.Learn(ctx, lessons...)
		}
		first := func() string {
			all, err := cat.Candidates(ctx, rotation.Selection{Preference: rotation.PreferBest})
			if err != nil || len(all) != 2 {
				t.Fatal(all, err)
			}
			return all[0].Name
		}
		at("home", rotation.Worked(1, time.Now(), time.Millisecond))
		for range 5 {
			at("café", rotation.Failing(1, time.Now(), time.Hour), rotation.Worked(2, time.Now(), time.Second))
		}
		if got := first(); got != "b" {
			t.Errorf("in the café %s", got)
		}
		if at("home"); first() != "a" {
			t.Errorf("at home %s", first())
		}
		at("home", rotation.Failing(1, time.Now(), time.Hour))
		if got := first(); got != "b" {
			t.Errorf("it has failed at home as well: %s", got)
		}
	})
}
