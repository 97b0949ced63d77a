package subscription

import (
	"strings"
	"testing"

	"github.com/xrat-tray/xrat/runtime/link"
)

const wireGuardFile = `[Interface]
PrivateKey = ` + pbk + `=
Address = 10.0.0.2/32, fd00::2/128
DNS = 1.1.1.1, example.org
MTU = 1280

[Peer]
PublicKey = ` + pbk + `=
PresharedKey = ` + pbk + `=
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = wg.example.net:51820
PersistentKeepalive = 25
`

func TestWireGuardFiles(t *testing.T) {
	const server = "wireguard://" + pbk + "%3D@wg.example.net:51820?publickey=" + pbk + "%3D&presharedkey=" + pbk + "%3D&address=10.0.0.2,fd00::2&dns=1.1.1.1&mtu=1280&keepalive=25"
	for name, test := range map[string]struct{ file, link, left string }{
		"whole":           {wireGuardFile, server, ""},
		"indented":        {"  " + strings.ReplaceAll(wireGuardFile, "\n", "\r\n   "), server, ""},
		"comments":        {"# mine\n" + strings.ReplaceAll(wireGuardFile, "\n[Peer]", "; x\nPostUp = iptables -A # y\nTable = off\n[Peer] # them"), server, ""},
		"any case":        {strings.NewReplacer("Interface", "INTERFACE", "PrivateKey", "privatekey", "Endpoint", "ENDPOINT").Replace(wireGuardFile), server, ""},
		"peer first":      {wireGuardFile[strings.Index(wireGuardFile, "[Peer]"):] + wireGuardFile[:strings.Index(wireGuardFile, "[Peer]")], server, ""},
		"repeated":        {strings.Replace(wireGuardFile, ", fd00::2/128", "\nAddress = fd00::2/128", 1), server, ""},
		"plain AmneziaWG": {strings.Replace(wireGuardFile, "MTU", "Jc = 0\nS1 = 0\nH1 = 1\nH4 = 4\nMTU", 1), server, ""},
		"IPv6, single allowed address": {"[Interface]\nPrivateKey=" + pbk + "=\nDNS=example.org\n[Peer]\nPublicKey=" + pbk + "=\nEndpoint=[2001:db8::1]:1\nAllowedIPs=10.0.0.1\nPersistentKeepalive=off\nFuture=x",
			"wireguard://" + pbk + "%3D@[2001:db8::1]:1?publickey=" + pbk + "%3D&allowedips=10.0.0.1/32", "peers.future"},
		"reserved": {"[Interface]\nPrivateKey=" + pbk + "=\nReserved=1,2,3\n[Peer]\nPublicKey=" + pbk + "=\nEndpoint=a.org:1",
			"wireguard://" + pbk + "%3D@a.org:1?publickey=" + pbk + "%3D&reserved=1,2,3", ""},
	} {
		t.Run(name, func(t *testing.T) { checkOnly(t, test.file, test.link, test.left) })
	}
}

func TestWireGuardFilesRejected(t *testing.T) {
	for name, test := range map[string]struct{ from, to, code string }{
		"AmneziaWG":  {"MTU = 1280", "Jc = 4\nJmin = 40\nJmax = 70\nS1 = 10\nH1 = 166696730-216682984", link.CodeUnsupportedParameter},
		"junk":       {"MTU = 1280", "I1 = <r 55>", link.CodeUnsupportedParameter},
		"two peers":  {"[Peer]", "[Peer]\nEndpoint = b.org:1\n[Peer]", link.CodeUnsupportedParameter},
		"no peer":    {"[Peer]", "[Other]", link.CodeMissingCredentials},
		"no server":  {"Endpoint", "Endpint", link.CodeBadHost},
		"no port":    {":51820", "", link.CodeBadPort},
		"no key":     {"PrivateKey", "Private", link.CodeMissingCredentials},
		"broken key": {pbk, "generate yourself", link.CodeBadKey},
	} {
		t.Run(name, func(t *testing.T) {
			bad := strings.Replace(wireGuardFile, test.from, test.to, 1)
			if name == "no peer" {
				bad = bad[:strings.Index(bad, "[Other]")]
			}
			p := checkRejected(t, bad+"\n"+wireGuardFile, test.code)
			if strings.Contains(p.Message, "link") {
				t.Errorf("speaks of a link: %q", p.Message)
			}
		})
	}
}
