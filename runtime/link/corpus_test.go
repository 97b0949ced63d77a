package link

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCorpus reads lists of real links, which are not part of the repository, and prints what becomes of them (the totals in docs/links.md are from
// here). Set XRAT_LINK_CORPUS to a folder of .txt files to run it on them; without it, it reads the links made up for these tests.
func TestCorpus(t *testing.T) {
	lists := map[string]string{"made up": strings.Join(goodLinks, "\n")}
	if dir := os.Getenv("XRAT_LINK_CORPUS"); dir != "" {
		files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no .txt files in XRAT_LINK_CORPUS (%v)", err)
		}
		delete(lists, "made up")
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			lists[filepath.Base(file)] = string(text)
		}
	}
	var all corpusCount
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		var c corpusCount
		for _, line := range ParseList(lists[name]) {
			if line.Err == nil {
				checkRoundTrip(t, line.Link)
			} else if Code(line.Err) == "" || line.Err.Error() == "" {
				t.Errorf("%s:%d: rejected without a code or a reason", name, line.Number)
			}
			c.add(line)
			all.add(line)
		}
		c.log(t, name)
		if c.broken*100 > c.links-c.beyond {
			t.Errorf("%s: more than 1 %% of the links that the core can dial are rejected", name)
		}
	}
	all.log(t, "all")
	for _, reason := range slices.Sorted(maps.Keys(all.reasons)) {
		t.Logf("%6d  %s", all.reasons[reason], reason)
	}
}

// beyondCore are the codes of links that are in order, but ask for what the core does not have.
var beyondCore = []string{
	CodeUnsupportedProtocol, CodeUnsupportedTransport, CodeUnsupportedSecurity, CodeUnsupportedCipher, CodeUnsupportedFlow, CodeUnsupportedPlugin,
}

// corpusCount counts links: beyond is what the core cannot do, broken what is wrong with a link or not supported by us.
type corpusCount struct {
	links, beyond, broken int
	servers               map[string]bool // by identity
	reasons               map[string]int
}

func (c *corpusCount) add(line Line) {
	if c.servers == nil {
		c.servers, c.reasons = make(map[string]bool), make(map[string]int)
	}
	c.links++
	if line.Err == nil {
		c.servers[line.Link.Identity()] = true
		return
	}
	group := "broken"
	if slices.Contains(beyondCore, Code(line.Err)) {
		c.beyond++
		group = "beyond"
	} else {
		c.broken++
	}
	c.reasons[fmt.Sprintf("%s  %s: %v", group, Code(line.Err), line.Err)]++
}

func (c *corpusCount) log(t *testing.T, name string) {
	supported := c.links - c.beyond
	t.Logf("%s: %d links, %d accepted (%d servers), %d beyond the core, %d broken; %.2f %% of what the core can do is accepted",
		name, c.links, supported-c.broken, len(c.servers), c.beyond, c.broken, 100*float64(supported-c.broken)/float64(max(supported, 1)))
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
