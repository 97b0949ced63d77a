package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxRule  = 500 // bytes of one
	maxRules = 64  // of one list
)

// Server is what rules are applied to.
type Server struct {
	Name          string
	Protocol      string
	Tags          []string
	Subscriptions []Subscription // that have it
}

// Subscription is one by the two things that a rule may call it.
type Subscription struct {
	ID   int64
	Name string
}

// Rule is one rule. Make one with Parse.
type Rule struct {
	text  string
	kind  string
	value string         // as it is compared: of a name in lower case, of a country in upper case
	shape *regexp.Regexp // of a name that is given as /…/; nil: the value is a part of the name
}

// String returns the rule as it was written.
func (r Rule) String() string { return r.text }

// protocols are those of configs, and the short names that links have for some.
var protocols = map[string]string{
	"vless": "vless", "vmess": "vmess", "trojan": "trojan", "shadowsocks": "shadowsocks", "ss": "shadowsocks", "socks": "socks", "http": "http",
	"hysteria2": "hysteria2", "hy2": "hysteria2", "wireguard": "wireguard", "wg": "wireguard",
}

// forms ends the message about what is no rule.
const forms = "write name:TEXT, name:/REGEX/, country:DE, protocol:vless, subscription:NAME or tag:NAME"

// Parse reads one rule. Its error says what is wrong and what to write.
func Parse(text string) (Rule, error) {
	text = strings.TrimSpace(text)
	kind, value, found := strings.Cut(text, ":")
	kind, value = strings.ToLower(strings.TrimSpace(kind)), strings.TrimSpace(value)
	r := Rule{text: text, kind: kind, value: value}
	switch {
	case len(text) > maxRule:
		return Rule{}, fmt.Errorf("a rule of %d bytes is too long: at most %d", len(text), maxRule)
	case !utf8.ValidString(text):
		return Rule{}, fmt.Errorf("a rule is not UTF-8 text")
	case text == "":
		return Rule{}, fmt.Errorf("a rule is empty; %s", forms)
	case !found:
		return Rule{}, fmt.Errorf("%s is no rule; %s", quote(text), forms)
	case value == "":
		return Rule{}, fmt.Errorf("%s has no value; %s", quote(text), forms)
	}
	switch kind {
	case "name":
		return r.parseName()
	case "country":
		code, ok := countryCode(value)
		if !ok {
			return Rule{}, fmt.Errorf("%s: a country is two letters such as DE, or its flag, and one a rule", quote(text))
		}
		r.value = code
	case "protocol":
		name, known := protocols[strings.ToLower(value)]
		if !known {
			return Rule{}, fmt.Errorf("%s: the protocols are vless, vmess, trojan, shadowsocks, socks, http, hysteria2 and wireguard, one a rule", quote(text))
		}
		r.value = name
	case "subscription", "tag":
	default:
		return Rule{}, fmt.Errorf("%s: there are no rules by %s; %s", quote(text), quote(kind), forms)
	}
	return r, nil
}

// parseName reads what a name must be like: a part of it in whatever case, or a regular expression
// between slashes, with an i behind them if the case does not matter.
func (r Rule) parseName() (Rule, error) {
	inner, isRegex := strings.CutPrefix(r.value, "/")
	if !isRegex {
		r.value = strings.ToLower(r.value)
		return r, nil
	}
	end := strings.LastIndexByte(inner, '/')
	if end < 0 {
		return Rule{}, fmt.Errorf("%s: the regular expression has no / at its end", quote(r.text))
	}
	pattern, flags := inner[:end], inner[end+1:]
	switch {
	case pattern == "":
		return Rule{}, fmt.Errorf("%s: the regular expression is empty", quote(r.text))
	case flags == "i":
		pattern = "(?i)" + pattern
	case flags != "":
		return Rule{}, fmt.Errorf("%s: behind the regular expression only an i is known, for letters of either case", quote(r.text))
	}
	shape, err := regexp.Compile(pattern)
	if err != nil {
		return Rule{}, fmt.Errorf("%s: %s; the expressions are those of Go (RE2)", quote(r.text), strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	r.shape = shape
	return r, nil
}

// matches reports whether a rule fits a server. countries are those that the name tells of.
func (r Rule) matches(s *Server, countries func() []string) bool {
	switch r.kind {
	case "name":
		if r.shape != nil {
			return r.shape.MatchString(s.Name)
		}
		return strings.Contains(strings.ToLower(s.Name), r.value)
	case "country":
		return slices.Contains(countries(), r.value)
	case "protocol":
		return s.Protocol == r.value
	case "subscription":
		return slices.ContainsFunc(s.Subscriptions, func(sub Subscription) bool {
			return strings.EqualFold(sub.Name, r.value) || strconv.FormatInt(sub.ID, 10) == r.value
		})
	case "tag":
		return slices.ContainsFunc(s.Tags, func(tag string) bool { return strings.EqualFold(tag, r.value) })
	}
	return false
}

// quote quotes what the user wrote, cut short.
func quote(text string) string {
	const most = 80
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return strconv.Quote(text)
}
