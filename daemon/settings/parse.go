package settings

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// parse reads the text of a settings file. The library's own strict mode ends at the first value of
// a wrong type, so the text is decoded without a target and then held against the table of keys:
// that finds every problem.
func parse(file string, data []byte) (Settings, error) {
	var document map[string]any
	if err := toml.Unmarshal(data, &document); err != nil {
		return Settings{}, syntaxProblem(file, err)
	}
	p := parser{settings: Default(), positions: locate(data)}
	p.document(document)

	// To check a value that could not be read would only report it twice.
	unread := make(map[string]bool)
	for _, problem := range p.problems {
		unread[problem.Key] = true
	}
	for _, found := range p.settings.check() {
		if !slices.ContainsFunc(found.keys, func(k string) bool { return unread[k] }) {
			p.add(found.message, found.keys...)
		}
	}
	if len(p.problems) > 0 {
		for _, problem := range p.problems {
			problem.File = file
		}
		return Settings{}, join(p.problems)
	}
	return p.settings, nil
}

// syntaxProblem keeps the message and the position of the library's error, but not its longer text:
// that quotes the lines around it, which may hold the password.
func syntaxProblem(file string, err error) error {
	problem := &Problem{File: file, Message: "is not TOML: " + strings.TrimPrefix(err.Error(), "toml: ")}
	if at, ok := errors.AsType[*toml.DecodeError](err); ok {
		problem.Line, problem.Column = at.Position()
	}
	return problem
}

type parser struct {
	settings  Settings
	positions map[string]position
	problems  []*Problem
}

// add notes a problem at the first of the keys that is in the file.
func (p *parser) add(message string, keys ...string) {
	problem := &Problem{Key: keys[0], Message: message}
	for _, k := range keys {
		if at, ok := p.positions[k]; ok {
			problem.Line, problem.Column = at.line, at.column
			break
		}
	}
	p.problems = append(p.problems, problem)
}

func (p *parser) document(document map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(document)) {
		path := keyPath(name)
		if !slices.ContainsFunc(keys, func(k key) bool { return k.section == name }) {
			p.add("unknown key "+quote(path)+suggest("", name), path)
			continue
		}
		table, ok := document[name].(map[string]any)
		if !ok {
			p.add(fmt.Sprintf("%s is a section, not %s; write [%s] on a line of its own, once, and its keys below",
				name, describe(document[name]), name), path)
			continue
		}
		p.section(name, table)
	}
}

func (p *parser) section(section string, table map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(table)) {
		path := keyPath(section, name)
		i := slices.IndexFunc(keys, func(k key) bool { return k.section == section && k.name == name })
		if i < 0 {
			p.add("unknown key "+quote(path)+suggest(section, name), path)
			continue
		}
		if wanted := set(keys[i].value(&p.settings), table[name]); wanted != "" {
			message := fmt.Sprintf("%s must be %s", path, wanted)
			if path != "front.password" {
				message += ", not " + describe(table[name])
			}
			p.add(message, path)
		}
	}
}

// set stores a value of the file behind pointer. If it does not fit, set returns what would.
func set(pointer, value any) (wanted string) {
	switch target := pointer.(type) {
	case *string:
		if v, ok := value.(string); ok {
			*target = v
			return ""
		}
		return "a string in quotes"
	case *bool:
		if v, ok := value.(bool); ok {
			*target = v
			return ""
		}
		return "true or false"
	case *int:
		if v, ok := value.(int64); ok && int64(int(v)) == v {
			*target = int(v)
			return ""
		}
		return "a whole number"
	case *Duration:
		if v, ok := value.(string); ok {
			if d, err := time.ParseDuration(v); err == nil {
				*target = Duration(d)
				return ""
			}
		}
		return `a duration in quotes such as "500ms", "15s" or "5m"`
	case *[]string:
		if list, ok := listOf[string](value); ok {
			*target = list
			return ""
		}
		return `a list of strings such as ["one", "two"]`
	case *[]int:
		if list, ok := listOf[int](value); ok {
			*target = list
			return ""
		}
		return "a list of whole numbers such as [200, 204]"
	}
	panic(fmt.Sprintf("settings: a key of type %T", pointer))
}

// listOf returns a list of the file, whose items must all fit.
func listOf[T any](value any) (list []T, ok bool) {
	items, ok := value.([]any)
	list = make([]T, len(items))
	for i, item := range items {
		ok = ok && set(&list[i], item) == ""
	}
	return list, ok
}

// describe returns a TOML value if it is short, or else what kind it is.
func describe(v any) string {
	switch v := v.(type) {
	case string:
		return quote(v)
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return "the fraction " + strconv.FormatFloat(v, 'g', -1, 64)
	case []any:
		return "a list"
	case map[string]any:
		return "a section"
	default:
		return "a date or time"
	}
}

// quote quotes a text of the file, without control characters and cut short.
func quote(s string) string {
	const most = 80
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}
	return strconv.Quote(s)
}
