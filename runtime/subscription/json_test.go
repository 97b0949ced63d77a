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
