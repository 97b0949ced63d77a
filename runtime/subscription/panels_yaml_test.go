package subscription_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// yamlStyle is how the library of a panel writes YAML.
type yamlStyle struct {
	indent bool                // lists are indented
	plain  func(s string) bool // texts that get no quotes
	quote  func(s string) string
}

// plainText matches texts that no library quotes.
var plainText = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9_./ -]*[A-Za-z0-9_]$`)

// numberLike matches what YAML 1.2 takes for a number or another value that is no text.
var numberLike = regexp.MustCompile(`^[-+.]?[0-9][0-9_.]*(?:[eE][-+]?[0-9]+)?$|^(?i:true|false|yes|no|on|off|null|~)$`)

func careful(s string) bool { return plainText.MatchString(s) && !numberLike.MatchString(s) }

// python writes like PyYAML, which follows YAML 1.1: there a number with an exponent has a dot.
func python(s string) bool {
	if regexp.MustCompile(`^[0-9]+e[0-9]+$`).MatchString(s) {
		return true
	}
	return careful(s)
}

func doubleQuoted(s string) string { return jsonText(s) }
func singleQuoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// clashConfig frames entries, each in JSON, as a configuration of mihomo.
func clashConfig(style yamlStyle) func([]string) string {
	return func(entries []string) string {
		var b strings.Builder
		b.WriteString("mode: rule\nmixed-port: 7890\nipv6: true\ndns:\n  enable: true\n  nameserver:\n    - 1.1.1.1\nproxies:\n")
		var names []any
		for _, entry := range entries {
			var e map[string]any
			d := json.NewDecoder(strings.NewReader(entry))
			d.UseNumber()
			if d.Decode(&e) != nil {
				return ""
			}
			names = append(names, e["name"])
			style.list(&b, []any{e}, 0)
		}
		b.WriteString("proxy-groups:\n")
		style.list(&b, []any{map[string]any{"name": "PROXY", "type": "select", "proxies": names}}, 0)
		b.WriteString("rules:\n  - MATCH,PROXY\n")
		return b.String()
	}
}

func (y yamlStyle) list(b *strings.Builder, list []any, depth int) {
	if y.indent {
		depth++
	}
	for _, value := range list {
		b.WriteString(strings.Repeat("  ", depth) + "-")
		switch value := value.(type) {
		case map[string]any:
			var inner strings.Builder
			y.mapping(&inner, value, depth+1)
			b.WriteString(" " + strings.TrimLeft(inner.String(), " "))
		default:
			b.WriteString(" " + y.scalar(value) + "\n")
		}
	}
}

func (y yamlStyle) mapping(b *strings.Builder, m map[string]any, depth int) {
	keys := slices.Sorted(maps.Keys(m))
	if i := slices.Index(keys, "name"); i > 0 {
		keys = append([]string{"name"}, slices.Delete(keys, i, i+1)...)
	}
	for _, key := range keys {
		b.WriteString(strings.Repeat("  ", depth) + key + ":")
		switch value := m[key].(type) {
		case map[string]any:
			if len(value) == 0 {
				b.WriteString(" {}\n")
				continue
			}
			b.WriteString("\n")
			y.mapping(b, value, depth+1)
		case []any:
			if len(value) == 0 {
				b.WriteString(" []\n")
				continue
			}
			b.WriteString("\n")
			y.list(b, value, depth)
		default:
			b.WriteString(" " + y.scalar(value) + "\n")
		}
	}
}

func (y yamlStyle) scalar(value any) string {
	if s, ok := value.(string); ok && !y.plain(s) {
		return y.quote(s)
	} else if ok {
		return s
	}
	return jsonText(value)
}
