package main

import (
	"strings"
	"testing"
)

func TestTableFitsTheTerminal(t *testing.T) {
	head := []column{{title: ""}, {title: "ID", right: true}, {title: "NAME", least: 6}, {title: "SERVER", least: 8}, {title: "TAGS"}}
	rows := func() [][]string {
		return [][]string{
			{"*", "1", "東京 🇯🇵", "tokyo.example:443", ""},
			{"", "12", "a\x1b[31mred\u202e", "h:1", ""},
			{"", "123", "👨‍👩‍👧‍👦 family", "some.very.long.host.example:65535", ""},
		}
	}
	for name, test := range map[string]struct {
		width int
		want  string
	}{
		"no terminal": {0, `
    ID  NAME        SERVER
*    1  東京 🇯🇵     tokyo.example:443
    12  a·[31mred·  h:1
   123  👨‍👩‍👧‍👦 family   some.very.long.host.example:65535
`},
		"as wide as need be": {53, `
    ID  NAME        SERVER
*    1  東京 🇯🇵     tokyo.example:443
    12  a·[31mred·  h:1
   123  👨‍👩‍👧‍👦 family   some.very.long.host.example:65535
`},
		"narrow": {30, `
    ID  NAME        SERVER
*    1  東京 🇯🇵     tokyo.exa…
    12  a·[31mred·  h:1
   123  👨‍👩‍👧‍👦 family   some.very…
`},
		"too narrow": {5, `
    ID  NAME    SERVER
*    1  東京 …  tokyo.e…
    12  a·[31…  h:1
   123  👨‍👩‍👧‍👦 fa…  some.ve…
`},
	} {
		var out strings.Builder
		if err := table(&out, test.width, head, rows()); err != nil {
			t.Fatal(err)
		}
		if want := strings.TrimPrefix(test.want, "\n"); out.String() != want {
			t.Errorf("%s:\n%s\nwant:\n%s", name, out.String(), want)
		}
		for line := range strings.Lines(out.String()) {
			if n := columns(strings.TrimSuffix(line, "\n")); test.width >= 30 && n > test.width {
				t.Errorf("%s: a line of %d columns", name, n)
			}
		}
	}
}
