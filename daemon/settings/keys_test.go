package settings

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestDefaultsAreValidValues reads a file that sets every key to its default.
func TestDefaultsAreValidValues(t *testing.T) {
	want := Default()
	text := ""
	for _, k := range keys {
		text += k.path() + " = " + literal(k.value(&want)) + "\n"
	}
	if got, err := parse("defaults", []byte(text)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v (%v)", got, want, err)
	}
}

// literal writes the value behind pointer as TOML does. It is used for the defaults only, whose
// strings are printable ASCII: there Go and TOML quote alike.
func literal(pointer any) string {
	switch v := pointer.(type) {
	case *string:
		return strconv.Quote(*v)
	case *Duration:
		return strconv.Quote(shortDuration(*v))
	case *[]string:
		quoted := make([]string, len(*v))
		for i, s := range *v {
			quoted[i] = strconv.Quote(s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case *[]int:
		return strings.ReplaceAll(fmt.Sprint(*v), " ", ", ")
	case *int:
		return strconv.Itoa(*v)
	case *bool:
		return strconv.FormatBool(*v)
	}
	panic(fmt.Sprintf("settings: a key of type %T", pointer))
}

// TestKeysCoverSettings counts the leaves of Settings: a field without a key could never be set.
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

// TestReference checks the table of docs/settings.md: the same keys in the same order with the same
// defaults.
func TestReference(t *testing.T) {
	text, err := os.ReadFile("../../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `([a-z]+\\.[a-z_]+)` \\| (.+?) \\| (.+?) \\| (.+?) \\|$")
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
