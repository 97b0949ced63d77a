package settings

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// TestTemplateHoldsDefaults takes away the comment signs before keys and reads
// the result: it must be the defaults, and every key must be there.
func TestTemplateHoldsDefaults(t *testing.T) {
	commented := regexp.MustCompile(`(?m)^#([a-z]+ = )`)
	text := commented.ReplaceAllString(Template(), "$1")
	if n := len(commented.FindAllString(Template(), -1)); n != len(keys) {
		t.Errorf("%d keys in the template, want %d", n, len(keys))
	}
	got, err := parse("template", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if want := Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestKeysCoverSettings counts the leaves of Settings: a field without a key
// could never be set.
func TestKeysCoverSettings(t *testing.T) {
	fields, pointers := 0, map[any]bool{}
	var s Settings
	for i := range reflect.TypeFor[Settings]().NumField() {
		fields += reflect.TypeFor[Settings]().Field(i).Type.NumField()
	}
	for _, k := range keys {
		pointers[k.value(&s)] = true
	}
	if len(keys) != fields || len(pointers) != fields {
		t.Errorf("%d keys for %d fields of %d", len(keys), len(pointers), fields)
	}
}

// TestReference checks the table of docs/settings.md: the same keys in the same
// order with the same defaults.
func TestReference(t *testing.T) {
	text, err := os.ReadFile("../../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `([a-z]+\\.[a-z]+)` \\| (.+?) \\| (.+?) \\| (.+?) \\|$")
	rows := row.FindAllStringSubmatch(string(text), -1)
	if len(rows) != len(keys) {
		t.Fatalf("%d rows for %d keys", len(rows), len(keys))
	}
	defaults := Default()
	for i, k := range keys {
		if rows[i][1] != k.path() {
			t.Errorf("row %d is about %s, want %s", i+1, rows[i][1], k.path())
		}
		want := "`" + literal(k.value(&defaults)) + "`"
		if got := strings.ReplaceAll(rows[i][2], "`, `", ", "); got != want {
			t.Errorf("%s: the default is given as %s, want %s", k.path(), got, want)
		}
	}
}
