package subscription_test

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/xrat-tray/xrat/runtime/link"
	"github.com/xrat-tray/xrat/runtime/subscription"
)

// What panels answer to a client that may have no servers: an answer in the form of servers.
var messages = map[string][]string{
	"English": {"⌛ Subscription expired", "Contact support"},
	"Russian": {"⌛ Подписка истекла", "Обратитесь в поддержку"},
	"Persian": {"⌛ اشتراک شما منقضی شده", "با پشتیبانی تماس بگیرید"},
	"Chinese": {"⌛ 订阅已过期", "请联系客服"},
	"Turkish": {"⌛ Aboneliğiniz sona erdi", "Destek ile iletişime geçin"},
	"Arabic":  {"⌛ انتهى اشتراكك", "تواصل مع الدعم"},
	"setup":   {"Remnawave", "No hosts found", "Check Hosts tab", "Check Internal Squads tab"},
	"devices": {"📵 Too many devices", "Limit of devices reached"},
}

func TestPanelsMessages(t *testing.T) {
	clash := clashConfig(yamlStyle{plain: careful, quote: singleQuoted})
	for language, texts := range messages {
		var links, configs, entries, outbounds []string
		for _, text := range texts {
			s := server{
				protocol: "vless", remark: text, host: "0.0.0.0", port: 1, secret: "00000000-0000-0000-0000-000000000000", encryption: "none", transport: transport{kind: "tcp"}, security: security{kind: "none"},
			}
			links = append(links, remnawaveLink(s))
			configs = append(configs, jsonText(xrayConfig(s, xrayStyle{}, nil, "")))
			entry, _, _ := clashItem(s)
			entries = append(entries, entry)
			outbound, _, _ := singBoxItem(s)
			outbounds = append(outbounds, outbound)
		}
		for format, body := range map[string]string{
			"links": lines(links), "base64": encoded(links), "JSON": inArray(configs), "Clash": clash(entries), "sing-box": singBoxConfig(outbounds),
		} {
			b, err := subscription.Parse([]byte(body))
			failure, ok := err.(*subscription.Error)
			if len(b.Entries) > 0 || !ok || failure.Code != subscription.CodeNotice || !slices.Equal(b.Notices, texts) {
				t.Errorf("%s, %s: %d servers, notices %q, error %v", language, format, len(b.Entries), b.Notices, err)
			}
		}
	}
}

// Some panels write how much is left as the first server of the list.
func TestPanelsUsageLines(t *testing.T) {
	const remark = "1.234/10GB_Remain:3days"
	const name = "#" + remark
	real := "vless://8ad949f0-36de-4115-a803-0ff64092ceff@de1.a.org:443?type=tcp&security=none#de"
	for panel, line := range map[string]string{
		"Hiddify":              "trojan://1@127.0.0.1?sni=fake_ip_for_sub_link&security=tls" + name,
		"Hiddify, with a time": "trojan://1@10.05--2026.05.07 time:1005?sni=fake_ip_for_sub_link&security=tls" + name,
		"Hiddify, VMess":       "vmess://" + base64.StdEncoding.EncodeToString([]byte(`{"ps":"`+remark+`","add":"127.0.0.1","port":"443","id":"1","aid":0,"net":"tcp","type":"none","tls":"tls","sni":"fake_ip_for_sub_link","v":"2"}`)),
		"s-ui and others":      "vless://00000000-0000-0000-0000-000000000000@127.0.0.1:80?type=tcp&security=none" + name,
		"v2board and others":   "ss://" + base64.StdEncoding.EncodeToString([]byte("aes-128-gcm:x")) + "@127.0.0.1:1" + name,
	} {
		b, err := subscription.Parse([]byte(line + "\n" + real + "\n"))
		if err != nil || len(b.Entries) != 1 || b.Entries[0].Link.Name != "de" || !slices.Equal(b.Notices, []string{remark}) || len(b.Problems) > 0 {
			t.Errorf("%s: %d servers, notices %q, problems %+v, %v", panel, len(b.Entries), b.Notices, b.Problems, err)
		}
	}
}

// A balanced configuration has several servers, which need names that differ.
func TestPanelsBalancedConfiguration(t *testing.T) {
	d := newDice(9)
	var outbounds []any
	for i, s := range servers(d, "vless")[:3] {
		s.host = "198.51.100.7"
		s.port = 443 + i
		o := xrayOutbound(s, xrayStyle{})
		if i > 0 {
			o["tag"] = "proxy-" + string('1'+rune(i))
		}
		outbounds = append(outbounds, o)
	}
	b, err := subscription.Parse([]byte(jsonText([]any{object{
		"remarks": "🇩🇪 Auto", "outbounds": append(outbounds, others()...), "burstObservatory": object{"subjectSelector": []any{"proxy"}},
		"routing": object{"balancers": []any{object{"tag": "b", "selector": []any{"proxy"}, "strategy": object{"type": "leastLoad"}}}},
	}})))
	var names []string
	for _, e := range b.Entries {
		names = append(names, e.Link.Name)
	}
	if err != nil || !slices.Equal(names, []string{"🇩🇪 Auto", "🇩🇪 Auto proxy-2", "🇩🇪 Auto proxy-3"}) || len(b.Problems) > 0 {
		t.Errorf("%q, %+v, %v", names, b.Problems, err)
	}
}

// Variables and decorations of names stay what they are, and a name never holds a link.
func TestPanelsNames(t *testing.T) {
	for _, remark := range remarks {
		for how, escaped := range map[string]string{"escaped": url.PathEscape(remark), "as it is": remark} {
			if how == "as it is" && strings.ContainsAny(remark, "%") {
				continue // which nobody could tell from an escape
			}
			b, err := subscription.Parse([]byte("trojan://x@de1.a.org:443#" + escaped + "\n"))
			if err != nil || b.Entries[0].Link.Name != remark {
				t.Errorf("%s: %q became %q, %v", how, remark, b.Entries[0].Link.Name, err)
			}
		}
	}
	// Secrets behind a second link are no name.
	const second = "vless://8ad949f0-36de-4115-a803-0ff64092ceff@nl.a.org:443?type=tcp&security=none"
	for _, line := range []string{
		"trojan://x@de1.a.org:443?type=tcp#de&&detour=" + second + "#nl",
		"trojan://x@de1.a.org:443?type=tcp#de -> " + second + "#nl",
	} {
		b, _ := subscription.Parse([]byte(line + "\n"))
		if len(b.Entries) > 0 || len(b.Problems) != 1 || b.Problems[0].Code != "unsupported_chain" || strings.Contains(b.Problems[0].Name, "8ad949f0") {
			t.Errorf("%s: %d servers, %+v", line, len(b.Entries), b.Problems)
		}
		for _, e := range b.Entries {
			if strings.Contains(e.Link.Name, "://") {
				t.Errorf("a link became a name: %q", e.Link.Name)
			}
		}
	}
	if _, err := link.Parse("trojan://x@de1.a.org:443#" + strings.Repeat("🚀", 500)); err != nil {
		t.Error(err)
	}
}
