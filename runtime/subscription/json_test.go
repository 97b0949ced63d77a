package subscription

import (
	"strings"
	"testing"
)

// In an array of configurations the remarks name the servers, wherever they stand.
func TestRemarksNameServers(t *testing.T) {
	other := strings.Replace(vlessOutbound, `"tag":"proxy"`, `"tag":"proxy-2"`, 1)
	b := mustParse(t, `[{"remarks":"Tokyo 🗼","outbounds":[`+vlessOutbound+`,`+other+`]},{"outbounds":[`+vlessOutbound+`],"remarks":"Paris"},{"outbounds":[`+vlessOutbound+`]}]`)
	var names []string
	for _, e := range b.Entries {
		names = append(names, e.Link.Name)
	}
	if got := strings.Join(names, "|"); got != "Tokyo 🗼|Tokyo 🗼 proxy-2|Paris|proxy" {
		t.Error(got)
	}
}

// What comes before an error counts, and nothing is known to have vanished.
func TestBrokenJSONIsReadUpToTheError(t *testing.T) {
	b := mustParse(t, "["+vlessOutbound+","+vlessOutbound[:100])
	if len(b.Entries) != 1 || !b.Partial || len(b.Problems) != 1 || b.Problems[0].Code != CodeBrokenBody {
		t.Errorf("%+v", b)
	}
}

// Configurations that only change how this machine sends name no server, or one that does not
// exist, because their client wants one. Templates name none, either.
func TestConfigurationsWithoutServers(t *testing.T) {
	const fragment = `{"protocol":"freedom","tag":"fragment-out","settings":{"fragment":{"packets":"tlshello"}}}`
	for name, test := range map[string]struct{ json, says string }{
		"dummy": {`{"remarks":"x","outbounds":[` + fragment + `,{"protocol":"vless","tag":"fakeproxy-out","settings":{"vnext":[{"address":"google.com","port":443,"users":[{"id":"UUID","encryption":"none"}]}]},"streamSettings":{"network":"ws","security":"tls"}}]}`,
			"only change how this machine sends"},
		"none":     {`{"outbounds":[` + fragment + `,{"protocol":"block"},{"protocol":"direct"},{"protocol":"dns"}]}`, "contains no server: it is a template"},
		"template": {`{"outbounds":[{"type":"selector","tag":"proxy","outbounds":["{all}"]},{"type":"direct","tag":"direct"}]}`, "contains no server: it is a template"},
		"account":  {`{"outbounds":[]}`, "check the account"},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := Parse([]byte(test.json))
			if err == nil || len(b.Entries) != 0 || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, %+v", err, b)
			}
		})
	}
}

// Outbounds of the core that lead to no server are missed by nobody, under all of their names.
func TestOutboundsWithoutServersAreSkipped(t *testing.T) {
	checkOnly(t, `{"outbounds":[{"protocol":"direct"},{"protocol":"block"},{"protocol":"freedom"},{"protocol":"blackhole"},`+vlessOutbound+`]}`, vlessOutboundLink+"#proxy", "")
}

// Nobody who gave a document gave a link.
func TestProblemsSpeakOfEntries(t *testing.T) {
	for _, entry := range []string{
		`{"protocol":"vmess","settings":{"vnext":[{"address":"a.org","port":443,"users":[{"id":""}]}]}}`,
		`{"protocol":"vless","settings":{"vnext":[{"address":"a.org","port":443,"users":[{"id":"` + uuid + uuid + `"}]}]}}`,
		`{"protocol":"vless","settings":{"address":"a b","port":443,"id":"` + uuid + `"}}`,
		`{"protocol":"trojan","settings":{"address":"a.org","port":443}}`,
		`{"protocol":"trojan","settings":{"address":"a.org","password":"x"}}`,
		`{"protocol":"shadowsocks","settings":{"address":"a.org","port":443}}`,
		`{"protocol":"shadowsocks","settings":{"address":"a.org","port":443,"method":"2022-blake3-aes-128-gcm","password":"x"}}`,
		`{"protocol":"wireguard","settings":{"secretKey":"x","peers":[{"endpoint":"a.org:1"}]}}`,
	} {
		b, err := Parse([]byte(entry))
		if err == nil || len(b.Problems) != 1 || strings.Contains(err.Error(), "link") || !strings.Contains(err.Error(), "entry") {
			t.Errorf("%s: %v, %+v", entry, err, b)
		}
	}
}
