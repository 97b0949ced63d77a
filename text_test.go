package xrat_test

import (
	"bytes"
	"net/url"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestNoForeignPlaces keeps names of one particular workplace out of the repository: package
// registries, which everyone's tools know by themselves, and directories beside the checkout.
func TestNoForeignPlaces(t *testing.T) {
	// Written in two parts each, so that this file does not find itself.
	needles := []string{
		"work" + "/shared",
		".." + "/shared",
		"proxy." + "golang.org",
		"sum." + "golang.org",
		"go" + "proxy.io",
		"go" + "proxy.cn",
		"registry." + "npmjs",
		"deb." + "debian.org",
		"security." + "debian.org",
		"pypi" + ".org",
	}
	// And those that this machine happens to use.
	for _, entry := range regexp.MustCompile(`[,|]`).Split(os.Getenv("GOPROXY"), -1) {
		if u, err := url.Parse(entry); err == nil && u.Host != "" {
			needles = append(needles, u.Host)
		}
	}
	allowed := map[string]string{
		".ci/run": ".." + "/shared", // a corpus that continuous integration may have
	}
	walk(t, func(name string) {
		data, err := os.ReadFile(name)
		if os.IsNotExist(err) {
			return
		}
		if err != nil {
			t.Error(err)
			return
		}
		if bytes.IndexByte(data, 0) >= 0 {
			return // not text
		}
		for _, needle := range needles {
			if bytes.Contains(data, []byte(needle)) && allowed[name] != needle {
				t.Errorf("%s contains %q", name, needle)
			}
		}
	})
}

// TestCommentsWrap: comments that stand alone on their line end within 100 columns, a tab being
// four, so that they can be read beside each other.
func TestCommentsWrap(t *testing.T) {
	walk(t, func(name string) {
		if path.Ext(name) != ".go" {
			return
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
			return
		}
		for i, line := range strings.Split(string(data), "\n") {
			width := utf8.RuneCountInString(strings.ReplaceAll(line, "\t", "    "))
			if strings.HasPrefix(strings.TrimSpace(line), "// ") && width > 100 {
				t.Errorf("%s:%d: the comment is %d columns wide", name, i+1, width)
			}
		}
	})
}
