package rules

import (
	"fmt"
	"strings"
)

// Set are the rules of one place. The zero value lets every server through.
type Set struct {
	only  []Rule // one of them must fit, if there are any
	never []Rule // none of them may
}

// NewSet reads the rules of a place. Its error is about the first that is none.
func NewSet(only, never []string) (s Set, err error) {
	if s.only, err = ParseAll(only); err != nil {
		return Set{}, err
	}
	s.never, err = ParseAll(never)
	return s, err
}

// ParseAll reads a list of rules. Its error is about the first that is none.
func ParseAll(texts []string) ([]Rule, error) {
	if len(texts) > maxRules {
		return nil, fmt.Errorf("%d rules are too many: at most %d; a name can be described by one regular expression, as in name:/one|two/", len(texts), maxRules)
	}
	var list []Rule
	for _, text := range texts {
		r, err := Parse(text)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// Empty reports whether the set lets every server through.
func (s Set) Empty() bool { return len(s.only)+len(s.never) == 0 }

// KeepsAway reports whether the rules keep a server from being chosen, and names the rule:
// "never country:RU", or "only country:DE" if that is what it is not.
func (s Set) KeepsAway(server *Server) (rule string, away bool) {
	if s.Empty() {
		return "", false
	}
	var found []string
	looked := false
	countries := func() []string { // once, and only if a rule asks
		if !looked {
			found, looked = countriesOf(server.Name), true
		}
		return found
	}
	for _, r := range s.never {
		if r.matches(server, countries) {
			return "never " + r.text, true
		}
	}
	for _, r := range s.only {
		if r.matches(server, countries) {
			return "", false
		}
	}
	if len(s.only) == 0 {
		return "", false
	}
	return "only " + list(s.only), true
}

// list names rules, a few if there are many.
func list(rules []Rule) string {
	const most = 3
	var names []string
	for _, r := range rules[:min(len(rules), most)] {
		names = append(names, r.text)
	}
	text := strings.Join(names, ", ")
	if more := len(rules) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
