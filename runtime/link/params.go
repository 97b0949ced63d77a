package link

import (
	"strconv"
	"strings"
)

type param struct{ key, value string }

// params are the decoded query parameters of a link, in order. Keys are compared regardless of
// case.
type params []param

// parseParams splits a query as it occurs in the wild: unescaped characters, HTML's "&amp;" and
// parts without "=" do no harm.
func parseParams(query string) params {
	if query == "" {
		return nil
	}
	p := make(params, 0, 16)
	for part := range strings.SplitSeq(query, "&") {
		for strings.HasPrefix(part, "amp;") {
			part = part[len("amp;"):]
		}
		key, value, found := strings.Cut(part, "=")
		if !found || key == "" {
			continue
		}
		key = unescape(key)
		if isForm(value) && matches(key, formKeys) {
			value = strings.ReplaceAll(value, "+", " ")
		}
		p = append(p, param{key, strings.TrimSpace(unescape(value))})
	}
	return p
}

// formKeys are the parameters that are free texts or JSON, in which a space can occur.
var formKeys = []string{"path", "host", "serviceName", "authority", "seed", "obfs-password", "spx", "extra", "fm", "finalmask"}

// isForm reports whether a value is encoded as a form, in which a plus is a space: some panels do
// that. Everything is escaped then, and a space is nothing else.
func isForm(value string) bool {
	if !strings.Contains(value, "+") || !strings.Contains(value, "%") || strings.Contains(value, "%20") {
		return false
	}
	for i := range len(value) {
		if !isAlnum(value[i]) && strings.IndexByte("%+-_.~*", value[i]) < 0 {
			return false
		}
	}
	return true
}

// encode prints the query with its "?", without the parameters that have no value.
func (p params) encode() string {
	var b strings.Builder
	for _, kv := range p {
		if kv.value == "" {
			continue
		}
		if b.Len() == 0 {
			b.WriteByte('?')
		} else {
			b.WriteByte('&')
		}
		b.WriteString(kv.key)
		b.WriteByte('=')
		b.WriteString(escape(kv.value, "/,:@"))
	}
	return b.String()
}

// query reads parameters and remembers the first problem.
type query struct {
	*reader
	host   string // of the link
	params params
	err    *Error
}

func (q *query) fail(err *Error) {
	if q.err == nil {
		q.err = err
	}
}

// get returns the value of the parameter that has one of the names in keys. Empty values count as
// absent. Two different values are a problem: one of them would have to be dropped in silence.
func (q *query) get(keys ...string) string {
	found := q.find(keys...)
	if !plainText(found) {
		q.fail(badParameter(keys[0], "contains control characters or is not UTF-8"))
		return ""
	}
	return found
}

// find is get for values that may span lines.
func (q *query) find(keys ...string) string {
	var found string
	for _, kv := range q.params {
		if kv.value == found || isNothing(kv.value) || !matches(kv.key, keys) {
			continue
		}
		if found != "" {
			q.fail(reject(CodeConflictingParameter,
				"the parameter "+keys[0]+" is given twice with different values; remove one of them"))
			break
		}
		found = kv.value
	}
	return found
}

// isNothing reports whether a value means the same as leaving the parameter out. Programs write
// these words where they have nothing.
func isNothing(value string) bool { return value == "" || value == "null" || value == "undefined" }

// given returns a text without spaces around it, or "" if it is nothing.
func given(text string) string {
	if text = strings.TrimSpace(text); isNothing(text) {
		return ""
	}
	return text
}

func matches(key string, keys []string) bool {
	for _, k := range keys {
		if len(k) == len(key) && strings.EqualFold(k, key) {
			return true
		}
	}
	return false
}

// word returns a parameter that is one word of a fixed vocabulary, in lower case. Collectors append
// advertisements to such words ("none=@channel"); these are cut off at the first character that
// occurs in no word.
func (q *query) word(keys ...string) string { return word(q.get(keys...)) }

func word(s string) string {
	end := 0
	alnum := false
	for end < len(s) && (isAlnum(s[end]) || s[end] == '-' || s[end] == '_') {
		alnum = alnum || isAlnum(s[end])
		end++
	}
	if !alnum {
		return ""
	}
	return strings.ToLower(s[:end])
}

// number reads a parameter that is a number from low to high; 0 is what leaving it out means.
func number(q *query, key string, low, high uint16, text string) uint16 {
	if text == "" || text == "0" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || uint16(n) < low || uint16(n) > high {
		q.fail(badParameter(key, "is not a number from "+strconv.Itoa(int(low))+" to "+strconv.Itoa(int(high))))
		return 0
	}
	return uint16(n)
}

// decimal prints a number of which 0 is what leaving the parameter out means: that gives "".
func decimal[T uint16 | uint32](n T) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(n), 10)
}

// flag reports whether a parameter says yes.
func (q *query) flag(keys ...string) bool {
	// Several spellings may disagree ("insecure=1&allowInsecure=0"): yes wins, and no conflict is
	// reported, because a flag never changes the wire.
	for _, kv := range q.params {
		if matches(kv.key, keys) {
			switch word(kv.value) {
			case "1", "true", "yes":
				return true
			}
		}
	}
	return false
}
