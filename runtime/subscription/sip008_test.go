package subscription

import (
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
	// The configuration file of Shadowsocks.
	b = mustParse(t, `{"server":"a.org","server_port":8388,"password":"p","method":"aes-128-gcm","local_port":1080,"timeout":300}`)
	sameServer(t, b.Entries[0].Link, "ss://aes-128-gcm:p@a.org:8388")
}
