package subscription

import "testing"

func TestNotices(t *testing.T) {
	b := mustParse(t, "STATUS=Upload 1GB, Download 2GB\r\n"+
		"trojan://x@127.0.0.1:1?security=tls#Traffic%20left%3A%203%20GB%1B%5B31m\n"+
		"ss://YWVzLTI1Ni1nY206cA@example.com:1#%E5%88%B0%E6%9C%9F%202027-01-01\n"+
		"trojan://x@127.0.0.1:1?security=tls#lab\n"+ // a server of the user's own machine
		"trojan://x@server.example.net.de:1?security=tls#10%20GB%20traffic\n")
	if len(b.Entries) != 2 || len(b.Problems) != 0 || len(b.Notices) != 3 || b.Notices[1] != "Traffic left: 3 GB [31m" {
		t.Errorf("%d entries, %+v, %q", len(b.Entries), b.Problems, b.Notices)
	}
}
