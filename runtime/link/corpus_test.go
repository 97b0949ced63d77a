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

// TestCorpus reads lists of real links, which are not part of the repository, and prints what
// becomes of them; the totals in docs/links.md come from it. XRAT_LINK_CORPUS names a directory of
// .txt files with one link a line; without it, the links made up for these tests are read.
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
		for s := range strings.Lines(lists[name]) {
			if s = strings.TrimSpace(s); s == "" || strings.HasPrefix(s, "#") {
				continue
			}
			l, err := Parse(s)
			if err == nil {
				checkRoundTrip(t, l)
			} else if Code(err) == "" || err.Error() == "" {
				t.Errorf("%s: a link is rejected without a code or a reason", name)
			}
			c.add(l, err)
			all.add(l, err)
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

// beyondCore are the codes of links that are in order but ask for what the core does not have.
var beyondCore = []string{
	CodeUnsupportedProtocol, CodeUnsupportedTransport, CodeUnsupportedSecurity, CodeUnsupportedCipher, CodeUnsupportedFlow, CodeUnsupportedPlugin,
}

// corpusCount counts links: beyond those that the core cannot dial, broken those with errors or
// with something that xrat does not support.
type corpusCount struct {
	links, beyond, broken int
	servers               map[string]bool // by identity
	reasons               map[string]int
}

func (c *corpusCount) add(l Link, err error) {
	if c.servers == nil {
		c.servers, c.reasons = make(map[string]bool), make(map[string]int)
	}
	c.links++
	if err == nil {
		c.servers[l.Identity()] = true
		return
	}
	group := "broken"
	if slices.Contains(beyondCore, Code(err)) {
		c.beyond++
		group = "beyond"
	} else {
		c.broken++
	}
	c.reasons[fmt.Sprintf("%s  %s: %v", group, Code(err), err)]++
}

func (c *corpusCount) log(t *testing.T, name string) {
	supported := c.links - c.beyond
	t.Logf("%s: %d links, %d accepted (%d servers), %d beyond the core, %d broken; %.2f %% of what the core can do is accepted",
		name, c.links, supported-c.broken, len(c.servers), c.beyond, c.broken, 100*float64(supported-c.broken)/float64(max(supported, 1)))
}
