package subscription

import (
	"strings"
	"testing"

	"github.com/xrat-tray/xrat/runtime/link"
)

func TestSIP008(t *testing.T) {
	b := mustParse(t, `{"version":1,"bytes_used":1,"bytes_remaining":2,"servers":[
		{"id":"27b8a625-4f4b-4428-9f0f-8a2317db7c79","remarks":"one","server":"a.org","server_port":8388,"password":"p/w","method":"aes-128-gcm","plugin":"","plugin_opts":""},
		{"remarks":"two","server":"b.org","server_port":8388,"password":"`+password+`","method":"aes-128-gcm","plugin":"kcptun","plugin_opts":"key=x"},
		{"remarks":"three","server":"c.org","server_port":0,"password":"`+password+`","method":"aes-128-gcm"}]}`)
	if len(b.Entries) != 1 || len(b.Problems) != 2 || b.Problems[0].Code != link.CodeUnsupportedPlugin || b.Problems[1].Code != link.CodeBadPort {
		t.Fatalf("%+v", b)
	}
	sameServer(t, b.Entries[0].Link, "ss://aes-128-gcm:p%2Fw@a.org:8388#one")
	noSecrets(t, b)
}

// The clients of Shadowsocks write the same fields into their own files, beside settings of their
// own, which are nobody's business here.
func TestShadowsocksFiles(t *testing.T) {
	const server = `"server":"a.org","server_port":8388,"password":"p","method":"aes-128-gcm"`
	for name, body := range map[string]string{
		"configuration":      `{` + server + `,"local_port":1080,"timeout":300,"mode":"tcp_and_udp","fast_open":false,"remarks":"n"}`,
		"windows":            `{"configs":[{` + server + `,"remarks":"n","plugin":"","plugin_opts":"","plugin_args":"","timeout":5}],"strategy":null,"index":0,"localPort":1080}`,
		"android":            `[{` + server + `,"remarks":"n","route":"all","remote_dns":"dns.google","ipv6":false,"metered":false,"proxy_apps":{"enabled":true,"bypass":true,"individual":["x"]},"udpdns":true}]`,
		"shadowsocksr":       `{"configs":[{` + server + `,"remarks":"n","server_udp_port":0,"protocol":"origin","protocolparam":"","obfs":"plain","obfsparam":"x","remarks_base64":"bg","group":"g","enable":true,"udp_over_tcp":false}]}`,
		"shadowsocksr alone": `{` + server + `,"remarks":"n","protocol":"origin","obfs":"plain"}`,
		"rust":               `{"servers":[{"address":"a.org","port":8388,"password":"p","method":"aes-128-gcm","name":"n"}]}`,
	} {
		t.Run(name, func(t *testing.T) { checkOnly(t, body, "ss://aes-128-gcm:p@a.org:8388#n", "") })
	}
	p := checkRejected(t, `{"configs":[{`+server+`,"protocol":"auth_aes128_md5"},{`+server+`}]}`, link.CodeUnsupportedProtocol)
	if !strings.Contains(p.Message, "ShadowsocksR") {
		t.Errorf("%+v", p)
	}
	checkRejected(t, `{"configs":[{`+server+`,"obfs":"tls1.2_ticket_auth"},{`+server+`}]}`, link.CodeUnsupportedProtocol)
	// First bytes that the server may wait for are not dropped in silence.
	if b, _ := Parse([]byte(`{` + server + `,"prefix":"POST "}`)); len(b.Problems) != 1 || !strings.Contains(b.Problems[0].Message, "prefix") {
		t.Errorf("%+v", b)
	}
}
