package subscription

import (
	"encoding/json"
	"slices"
	"strings"
)

// object is a mapping of a document from which fields are taken one by one. What is left in the end
// was not understood, and a problem names it. Values are strings, []any, map[string]any, and what
// encoding/json makes of other scalars. The nil object is empty.
type object struct {
	path   string // prefix of the fields' names, like "ws-opts."
	fields map[string]any
	nested []*object
}

// take removes the fields and returns the value of the first that is there.
func (o *object) take(keys ...string) any {
	var found any
	for _, key := range keys {
		if o == nil {
			break
		}
		if value := o.fields[key]; found == nil && value != "" {
			found = value
		}
		delete(o.fields, key)
	}
	return found
}

// ignore removes fields that do not matter.
func (o *object) ignore(keys ...string) { o.take(keys...) }

// text returns a scalar, or the scalars of a list joined by commas.
func (o *object) text(keys ...string) string { return strings.Join(o.list(keys...), ",") }

// list returns the scalars of a list, or a scalar as a list of one.
func (o *object) list(keys ...string) []string {
	var texts []string
	value := o.take(keys...)
	if many, ok := value.([]any); ok {
		for _, item := range many {
			if text, ok := scalar(item); ok && text != "" {
				texts = append(texts, text)
			}
		}
	} else if text, ok := scalar(value); ok {
		if text != "" {
			texts = append(texts, text)
		}
	} else if value != nil {
		o.fields[keys[0]] = value // of an unexpected kind: left, so that it is named
	}
	return texts
}

// flag reports whether a field says yes.
func (o *object) flag(keys ...string) bool {
	return isYes(o.text(keys...))
}

func isYes(text string) bool {
	switch strings.ToLower(text) {
	case "true", "1", "yes", "on":
		return true
	}
	return false
}

// object returns a mapping, or nil.
func (o *object) object(keys ...string) *object {
	value := o.take(keys...)
	fields, ok := value.(map[string]any)
	if !ok {
		if value != nil {
			o.fields[keys[0]] = value // of an unexpected kind: left, so that it is named
		}
		return nil
	}
	return o.child(keys[0], fields)
}

func (o *object) child(name string, fields map[string]any) *object {
	child := &object{path: o.path + name + ".", fields: fields}
	o.nested = append(o.nested, child)
	return child
}

// objects returns the mappings of a list.
func (o *object) objects(key string) []*object {
	many, _ := o.take(key).([]any)
	var found []*object
	for _, item := range many {
		if fields, ok := item.(map[string]any); ok {
			found = append(found, o.child(key, fields))
		}
	}
	return found
}

// header removes an HTTP header, whose name may have any case, and returns its first value.
func (o *object) header(name string) string {
	if o == nil {
		return ""
	}
	for key := range o.fields {
		if strings.EqualFold(key, name) {
			if values := o.list(key); len(values) > 0 {
				return values[0]
			}
		}
	}
	return ""
}

// left returns the sorted names of the fields that nobody has taken and that are not empty.
func (o *object) left() []string {
	if o == nil {
		return nil
	}
	var names []string
	for key, value := range o.fields {
		if isEmpty(value) {
			continue
		}
		if !isPlain(key) {
			key = "(unprintable)"
		}
		names = append(names, o.path+key)
	}
	for _, child := range o.nested {
		names = append(names, child.left()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// isPlain reports whether a name can be shown, as the provider may have put anything there.
func isPlain(name string) bool {
	for i := range len(name) {
		c := name[i]
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '-' || c == '_') {
			return false
		}
	}
	return name != "" && len(name) <= 32
}

func scalar(value any) (string, bool) {
	switch value := value.(type) {
	case string:
		return strings.TrimSpace(value), true
	case json.Number:
		return value.String(), true
	case bool:
		if value {
			return "true", true
		}
		return "false", true
	}
	return "", false
}

// isEmpty reports whether a value means the same as leaving the field out.
func isEmpty(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case map[string]any:
		return len(value) == 0
	case []any:
		return len(value) == 0
	default:
		text, _ := scalar(value)
		return text == "" || text == "false" || text == "0" || text == "null"
	}
}
