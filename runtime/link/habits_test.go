package link

import (
	"strings"
	"testing"
)

// TestHabits checks what programs write in ways of their own against the usual way.
func TestHabits(t *testing.T) {
	vless := "vless://" + testUUID + "@192.0.2.1:443?"
	vmess := `{"add":"192.0.2.1","port":443,"id":"` + testUUID + `",`
	for name, tt := range map[string]struct {
		in, want string
		left     string // a word of what is named as left out; empty: nothing is
	}{
		"null and undefined": {
			vless + "type=ws&security=tls&flow=null&fp=undefined&host=null&plugin=undefined&prefix=undefined&sni=a.org&sni=null",
			vless + "type=ws&security=tls&sni=a.org", "",
		},
		"null and undefined in VMess": {
			vmessJSON(vmess + `"net":"xhttp","host":"null","path":"/a","mode":"undefined","extra":{"host":"null","headers":{"Host":"undefined"}},"tls":"tls","fp":"null"}`),
			vmessJSON(vmess + `"net":"xhttp","path":"/a","tls":"tls"}`), "",
		},
		"a word that only begins like that": {vless + "type=ws&host=null.org", vless + "type=ws&host=null.org&host=undefined", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, left, err := Read(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if want, err := Parse(tt.want); err != nil || got != want {
				t.Errorf("got %s, want %s (%v)", got.URI(), want.URI(), err)
			}
			if all := strings.Join(left, "; "); (all == "") != (tt.left == "") || !strings.Contains(all, tt.left) {
				t.Errorf("left out: %q, want %q", all, tt.left)
			}
			checkRoundTrip(t, got)
		})
	}
}
