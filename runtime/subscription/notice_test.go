package subscription

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// What panels send to a client whose account has ended, in whatever language, is no list.
func TestAnswersThatAreMessages(t *testing.T) {
	for _, remark := range []string{
		"Your subscription has expired", "Подписка закончилась", "اشتراک شما به پایان رسیده است", "您的套餐已过期", "Aboneliğiniz sona erdi", "Tu suscripción ha caducado",
		"→ Support: @someone", "🚫 No hosts found",
	} {
		name := url.PathEscape(remark)
		for shape, body := range map[string]string{
			"no address":   "vless://00000000-0000-0000-0000-000000000000@0.0.0.0:1?encryption=none&type=tcp#" + name,
			"no IPv6":      "trojan://x@[::]:443#" + name,
			"port 1":       "ss://YWVzLTI1Ni1nY206cHc@panel.example.net:1#" + name,
			"this machine": "vless://00000000-0000-0000-0000-000000000000@127.0.0.1:443?encryption=none#" + name,
			"several":      strings.Repeat("trojan://x@0.0.0.0:1?security=none#"+name+"\n", 3),
			"JSON": fmt.Sprintf(`[{"remarks":%q,"outbounds":[{"protocol":"vless","settings":{"vnext":[{"address":"0.0.0.0","port":1,`+
				`"users":[{"id":"00000000-0000-0000-0000-000000000000","encryption":"none"}]}]}}]}]`, remark),
			"Clash": fmt.Sprintf("proxies:\n- {name: %q, type: trojan, server: 0.0.0.0, port: 1, password: x}\n", remark),
		} {
			b, err := Parse([]byte(body))
			if err == nil {
				err = b.DropPrivate()
			}
			var failed *Error
			if !errors.As(err, &failed) || failed.Code != CodeNotice || !strings.Contains(failed.Message, remark) || len(b.Entries) > 0 || len(b.Notices) == 0 {
				t.Errorf("%s, %s: %v, %d entries, %q", remark, shape, err, len(b.Entries), b.Notices)
			}
		}
	}
}

// A line of text is none of the servers, whatever it has in the place of a host.
func TestUsageLines(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "b.example.net", "10.05--2026.05.07 time:1005", "no time"} {
		b := mustParse(t, "trojan://1@"+host+"?sni=fake_ip_for_sub_link&security=tls#%31.2 of it\ntrojan://x@a.example.net:443#one\n")
		if len(b.Entries) != 1 || len(b.Notices) != 1 || b.Notices[0] != "1.2 of it" || len(b.Problems) != 0 {
			t.Errorf("%s: %+v", host, b)
		}
	}
}

// Servers beside a message come in.
func TestMessageBesideServers(t *testing.T) {
	b := mustParse(t, "trojan://x@0.0.0.0:1?security=none#Welcome\ntrojan://x@a.example.net:443#one\n")
	if err := b.DropPrivate(); err != nil || len(b.Entries) != 1 || len(b.Notices) != 1 || len(b.Problems) != 0 {
		t.Errorf("%v, %+v", err, b)
	}
}

func TestDoubt(t *testing.T) {
	list := func(first, count int, name string) (b Body) {
		for server := range count {
			b.Entries = append(b.Entries, entry(t, first+server, name))
		}
		return b
	}
	knownServers := func(live, retired int) (all []Known) {
		for server := range live + retired {
			all = append(all, known(t, int64(server+1), server, server >= live))
		}
		return all
	}
	for name, test := range map[string]struct {
		known []Known
		fresh Body
		code  string
	}{
		"the same":               {knownServers(10, 0), list(0, 10, ""), ""},
		"half of it":             {knownServers(10, 0), list(0, 5, ""), ""},
		"less than half":         {knownServers(10, 0), list(0, 4, ""), CodeShrank},
		"one of two":             {knownServers(2, 0), list(0, 1, ""), ""},
		"one of three":           {knownServers(3, 0), list(0, 1, ""), CodeShrank},
		"all replaced":           {knownServers(10, 0), list(100, 10, ""), ""},
		"what was retired":       {knownServers(4, 100), list(0, 4, ""), ""},
		"the first time":         {nil, list(0, 1, ""), ""},
		"one server many times":  {knownServers(10, 0), Body{Entries: append(list(0, 1, "").Entries, list(0, 1, "").Entries...)}, CodeShrank},
		"a message in the place": {knownServers(1, 0), list(100, 1, "Your account has expired"), CodeNotice},
		"renamed":                {knownServers(1, 0), list(0, 1, "10 GB left"), ""},
		"a message beside":       {knownServers(1, 0), Body{Entries: append(list(100, 1, "expired").Entries, list(0, 1, "").Entries...)}, ""},
	} {
		err := test.fresh.Doubt(test.known)
		if got := code(err); got != test.code {
			t.Errorf("%s: %v", name, err)
		}
		test.fresh.Partial = true
		if err := test.fresh.Doubt(test.known); err != nil {
			t.Errorf("%s, cut: %v", name, err) // takes nothing away anyway
		}
	}
}

func code(err *Error) string {
	if err == nil {
		return ""
	}
	return err.Code
}
