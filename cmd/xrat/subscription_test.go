package main

import (
	"strings"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

func TestSubscriptionsArePrintedWithUsageAndErrors(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	at := func(d time.Duration) *time.Time { t := now.Add(d); return &t }
	list := []ipc.SubscriptionPayload{
		{ID: 1, Name: "Provider", Address: "https://provider.example/…", Configs: 12, UpdatedAt: at(-3 * time.Hour), NextAt: at(21*time.Hour + 30*time.Second),
			Usage: &ipc.UsagePayload{Upload: 1e9, Download: 5e8, Total: 1e11, ExpiresAt: at(30 * 24 * time.Hour)}, Notices: []string{"renew\x1b[2J soon"},
			Announce: "closed on\x1b[2J Friday", SupportURL: "https://t.me/help", WebPageURL: "https://provider.example/"},
		{ID: 2, Name: "evil\x1b[31m", Address: "http://b.example/…", NextAt: at(-time.Minute), Failures: 3, Error: &ipc.ErrorPayload{Message: "it refused\x07"},
			Usage: &ipc.UsagePayload{Download: 1000, ExpiresAt: at(-time.Hour)}},
		{ID: 3, Name: "quiet", Address: "http://c.example/…"},
		{ID: 4, Name: "own", Address: "http://127.0.0.1/…", Private: true},
		{ID: 5, Name: "special", Address: "https://d.example/…", UserAgent: "clash", Headers: []string{"X-Key", "Cookie"}, HWID: true, Pin: "hash", Private: true,
			Only: []string{"country:DE", "tag:x"}, Never: []string{"name:/a/"}},
	}
	var out strings.Builder
	printSubscriptions(&out, 0, list, now)
	for _, want := range []string{
		"ID  NAME", " 1  Provider   https://provider.example/…       12  1.5 GB of 100.0 GB  2026-03-31  3 h 0 min ago  in 21 h 0 min",
		" 2  evil·[31m  http://b.example/…", "1.0 kB", "expired", "never", "now", "by hand",
		"\nspecial: asks as clash; with the headers X-Key, Cookie; tells the id of this device; has a pinned key; may be private; only country:DE, tag:x; never name:/a/\n",
		"Provider says: renew·[2J soon", "Provider announces: closed on·[2J Friday", "Provider helps at: https://t.me/help",
		"Provider has a page: https://provider.example/", "evil·[31m: the last update failed (3 times): it refused·",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "own:") {
		t.Errorf("what is usual is told:\n%s", out.String())
	}
	out.Reset()
	printSubscriptions(&out, 0, nil, now)
	if !strings.HasPrefix(out.String(), "There are no subscriptions yet") {
		t.Errorf("%q", out.String())
	}
}

func TestUpdateIsSummedUp(t *testing.T) {
	for want, r := range map[string]ipc.RefreshPayload{
		"1 added, 2 retired, 3 kept (fetched through the proxy)":    {Added: 1, Retired: 2, Kept: 3, Via: "proxy"},
		"0 added, 0 retired, 0 kept, 4 are back (fetched directly)": {Revived: 4, Via: "direct"},
		"5 added, 0 retired, 0 kept (read again)":                   {Added: 5, Via: "kept"},
	} {
		if got := refreshed(r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
