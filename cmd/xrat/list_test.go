package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

func TestListShowsWhatEveryFilterTakes(t *testing.T) {
	early, late := time.Unix(1, 0), time.Unix(2, 0)
	configs := []ipc.ConfigPayload{
		{ID: 1, Name: "Tokyo", Address: "a.example", Port: 443, Protocol: "vless", Network: "tcp", Security: "reality", Tags: []string{"home", "fast"}, LastSuccess: &late, LastFailure: &early},
		{ID: 2, Name: "Paris", Address: "b.example", Port: 80, Protocol: "trojan", Network: "ws", Security: "tls", Tags: []string{"Home"}, LastSuccess: &early, LastFailure: &late, Excluded: true},
		{ID: 3, Name: "東京", Address: "c.example", Port: 1, Protocol: "vless", Network: "tcp", Security: "none", Pinned: true, Subscriptions: []int64{7, 8}},
		{ID: 4, Name: "ÉVRY", Address: "d.example", Port: 2, Protocol: "socks", Favourite: true, Subscriptions: []int64{9}, LastSuccess: &early, KeptAway: "rotation.never protocol:socks"},
	}
	for name, test := range map[string]struct {
		filter listFilter
		want   string
	}{
		"all":                 {listFilter{}, "1 2 3 4"},
		"text":                {listFilter{texts: []string{"TOK"}}, "1"},
		"texts, all of them":  {listFilter{texts: []string{"example", "évry"}}, "4"},
		"server":              {listFilter{texts: []string{"b.example:80"}}, "2"},
		"tag in another case": {listFilter{tags: []string{"HOME"}}, "1 2"},
		"tags, all of them":   {listFilter{tags: []string{"home", "fast"}}, "1"},
		"protocols":           {listFilter{protocol: []string{"VLESS", "socks"}}, "1 3 4"},
		"network":             {listFilter{network: []string{"ws"}}, "2"},
		"security":            {listFilter{security: []string{"none"}}, "3"},
		"subscriptions":       {listFilter{subscriptions: []int64{8, 9}}, "3 4"},
		"pinned":              {listFilter{pinned: true}, "3"},
		"excluded":            {listFilter{excluded: true}, "2"},
		"favourite":           {listFilter{favourite: true}, "4"},
		"kept away":           {listFilter{keptAway: true}, "4"},
		"working":             {listFilter{working: true}, "1 4"},
		"failed":              {listFilter{failed: true}, "2"},
		"several":             {listFilter{tags: []string{"home"}, working: true}, "1"},
	} {
		var got []string
		for _, c := range configs {
			if test.filter.takes(c) {
				got = append(got, fmt.Sprint(c.ID))
			}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %v, want %s", name, got, test.want)
		}
	}
}

// What a rule keeps away has a mark and the rule; without one there is no column for it.
func TestListNamesRules(t *testing.T) {
	configs := []ipc.ConfigPayload{{ID: 1, Name: "one", Pinned: true, KeptAway: "rotation.never country:RU"}, {ID: 2, Name: "two"}}
	for want, some := range map[bool][]ipc.ConfigPayload{true: configs, false: configs[1:]} {
		var out strings.Builder
		printConfigs(&out, 0, some, listFilter{})
		for _, text := range []string{"KEPT AWAY BY", "+~", "rotation.never country:RU"} {
			if strings.Contains(out.String(), text) != want {
				t.Errorf("%q is there: %v\n%s", text, !want, out.String())
			}
		}
	}
}

func TestConfigsAreSortedInEveryOrder(t *testing.T) {
	day := func(n int) time.Time { return time.Unix(int64(n)*86400, 0) }
	configs := func() []ipc.ConfigPayload {
		return []ipc.ConfigPayload{
			{ID: 1, Name: "b", Rank: 0, LatencyMillis: 0, Protocol: "vless", CreatedAt: day(3)},
			{ID: 2, Name: "C", Rank: 2, LatencyMillis: 20, Protocol: "socks", CreatedAt: day(1)},
			{ID: 3, Name: "a", Rank: 1, LatencyMillis: 30, Protocol: "socks", CreatedAt: day(2)},
		}
	}
	for order, want := range map[string]string{
		"id": "1 2 3", "rank": "3 2 1", "latency": "2 3 1", "name": "3 1 2", "protocol": "2 3 1", "added": "2 3 1",
	} {
		for _, reverse := range []bool{false, true} {
			list := configs()
			sortConfigs(list, order, reverse)
			got := fmt.Sprint(list[0].ID, list[1].ID, list[2].ID)
			if reverse {
				got = fmt.Sprint(list[2].ID, list[1].ID, list[0].ID)
			}
			if got != want {
				t.Errorf("by %s, reverse %v: %s, want %s", order, reverse, got, want)
			}
		}
	}
	for order := range orders {
		if !strings.Contains(orderNames, order) {
			t.Errorf("the help does not name %s", order)
		}
	}
}
