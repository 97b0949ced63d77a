package link

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCorpus reads lists of real links, which are not part of the repository. Set XRAT_LINK_CORPUS to a folder of .txt files
// to run it on them; without it, on the links made up for these tests.
func TestCorpus(t *testing.T) {
	lists := map[string]string{"made up": strings.Join(goodLinks, "\n")}
	if dir := os.Getenv("XRAT_LINK_CORPUS"); dir != "" {
		files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no .txt files in XRAT_LINK_CORPUS (%v)", err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			lists[filepath.Base(file)] = string(text)
		}
	}
	for name, text := range lists {
		lines := ParseList(text)
		codes := map[string]int{}
		identities := map[string]bool{}
		rejected, beyond := 0, 0
		for _, line := range lines {
			if line.Err != nil {
				code := Code(line.Err)
				if code == "" || line.Err.Error() == "" {
					t.Errorf("%s:%d: rejected without a code or a reason", name, line.Number)
				}
				codes[code+": "+line.Err.Error()]++
				switch code {
				case CodeUnsupportedCipher, CodeUnsupportedProtocol, CodeUnsupportedTransport, CodeUnsupportedPlugin:
					beyond++
				default:
					rejected++
				}
				continue
			}
			identities[line.Link.Identity()] = true
			checkRoundTrip(t, line.Link)
		}
		supported := len(lines) - beyond
		t.Logf("%s: %d links, %d servers, %d beyond the core, %d rejected, %.2f %% of the others accepted",
			name, len(lines), len(identities), beyond, rejected, 100*float64(supported-rejected)/float64(max(supported, 1)))
		for reason, n := range codes {
			t.Logf("%s: %5d %s", name, n, reason)
		}
		if rejected*100 > supported {
			t.Errorf("%s: more than 1 %% of the links that the core can dial are rejected", name)
		}
	}
}

// checkRoundTrip fails the test if printing and parsing l does not give l. It prints l without secrets only.
func checkRoundTrip(t *testing.T, l Link) {
	t.Helper()
	again, err := Parse(l.URI())
	if err != nil {
		t.Errorf("%v: parsing the printed link: %v", l, err)
	} else if again != l {
		t.Errorf("%v: printing and parsing gives another link (name %q, then %q; same account %v, transport %v, security %v)", l, l.Name, again.Name,
			l.Account == again.Account, l.Transport == again.Transport, l.Secure == again.Secure)
	} else if again.Identity() != l.Identity() {
		t.Errorf("%v: the identity changes", l)
	}
}
