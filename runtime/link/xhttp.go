package link

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// kind checks a value of a setting and returns it in canonical form.
type kind func(json.RawMessage) (any, bool)

// extraKinds are the settings of xhttp that a link may carry in its parameter extra, with the kinds
// of their values. They are those of SplitHTTPConfig in the core's infra/conf, without what only
// servers read and without downloadSettings, which is a second server with settings of its own.
var extraKinds = map[string]kind{
	"headers":              headers,
	"xPaddingBytes":        span,
	"xPaddingObfsMode":     boolean,
	"xPaddingKey":          text,
	"xPaddingHeader":       text,
	"xPaddingPlacement":    oneOf("cookie", "header", "query", "queryInHeader"),
	"xPaddingMethod":       oneOf("repeat-x", "tokenish"),
	"uplinkHTTPMethod":     text,
	"sessionPlacement":     oneOf("path", "cookie", "header", "query"),
	"sessionKey":           text,
	"seqPlacement":         oneOf("path", "cookie", "header", "query"),
	"seqKey":               text,
	"uplinkDataPlacement":  oneOf("auto", "body", "cookie", "header"),
	"uplinkDataKey":        text,
	"uplinkChunkSize":      span,
	"noGRPCHeader":         boolean,
	"noSSEHeader":          boolean,
	"scMaxEachPostBytes":   span,
	"scMinPostsIntervalMs": span,
	"scMaxBufferedPosts":   integer,
	"scStreamUpServerSecs": span,
	"xmux":                 xmux,
}

var xmuxKinds = map[string]kind{
	"maxConcurrency":   span,
	"maxConnections":   span,
	"cMaxReuseTimes":   span,
	"hMaxRequestTimes": span,
	"hMaxReusableSecs": span,
	"hKeepAlivePeriod": integer,
}

// retired are settings of older cores that this one no longer reads. Servers work without them.
var retired = map[string]bool{"scMaxConcurrentPosts": true, "cMaxLifetimeMs": true, "keepAlivePeriod": true}

// parseExtra checks extra and returns it in canonical form: known settings only, keys sorted, no
// spaces.
func parseExtra(extra, mode string) (string, *Error) {
	if extra == "" || extra == "{}" {
		return "", nil
	}
	object, ok := decodeForm(extra)
	if !ok {
		return "", badParameter("extra", "is not a JSON object")
	}
	settings, err := checkObject(object, extraKinds)
	if err != nil || len(settings) == 0 {
		return "", err
	}
	if err := checkExtra(settings, mode); err != nil {
		return "", err
	}
	canonical, jsonErr := json.Marshal(settings)
	if jsonErr != nil {
		return "", badParameter("extra", "cannot be printed as JSON")
	}
	return string(canonical), nil
}

// checkExtra rejects combinations that the core refuses.
func checkExtra(settings map[string]any, mode string) *Error {
	if padding, ok := settings["xPaddingBytes"]; ok {
		if low, high := bounds(padding); low <= 0 || high <= 0 {
			return badParameter("extra", "switches the padding off (xPaddingBytes), which the core refuses")
		}
	}
	if placement := settings["uplinkDataPlacement"]; (placement == "cookie" || placement == "header") && mode != "packet-up" {
		return badParameter("extra", "has an uplinkDataPlacement that needs the mode packet-up")
	}
	if method, _ := settings["uplinkHTTPMethod"].(string); strings.EqualFold(method, "GET") && mode != "packet-up" {
		return badParameter("extra", "has an uplinkHTTPMethod that needs the mode packet-up")
	}
	if mux, ok := settings["xmux"].(map[string]any); ok {
		_, connections := bounds(mux["maxConnections"])
		_, concurrency := bounds(mux["maxConcurrency"])
		if connections > 0 && concurrency > 0 {
			return badParameter("extra", "sets both maxConnections and maxConcurrency of xmux, which the core refuses")
		}
	}
	return nil
}

// decodeForm is decodeObject for JSON that may be encoded as a form, in which a space is a plus.
func decodeForm(s string) (map[string]json.RawMessage, bool) {
	object, ok := decodeObject(s)
	if !ok && strings.Contains(s, "+") {
		object, ok = decodeObject(strings.ReplaceAll(s, "+", " "))
	}
	return object, ok
}

func decodeObject(s string) (map[string]json.RawMessage, bool) {
	var object map[string]json.RawMessage
	err := json.Unmarshal([]byte(s), &object)
	return object, err == nil
}

// checkObject returns the settings of object, all of which must be in kinds.
func checkObject(object map[string]json.RawMessage, kinds map[string]kind) (map[string]any, *Error) {
	const key = "extra"
	settings := make(map[string]any, len(object))
	for name, raw := range object {
		check, known := kinds[name]
		switch {
		case string(raw) == "null" || string(raw) == `""` || retired[name]:
			continue
		case name == "downloadSettings":
			return nil, unsupportedParameter(key, "has downloadSettings, a second server for downloads, which xrat does not support; ask for a link without it")
		case !known:
			return nil, unsupportedParameter(key, "has a setting that the core does not know; ask for a link without it")
		}
		value, ok := check(raw)
		if !ok {
			return nil, badParameter(key, "has a wrong value for "+name)
		}
		settings[name] = value
	}
	return settings, nil
}

func text(raw json.RawMessage) (any, bool) {
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil && plainText(s)
}

func oneOf(words ...string) kind {
	return func(raw json.RawMessage) (any, bool) {
		s, ok := text(raw)
		return s, ok && slices.Contains(words, s.(string))
	}
}

func boolean(raw json.RawMessage) (any, bool) {
	switch strings.ToLower(unquote(raw)) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return nil, false
}

func integer(raw json.RawMessage) (any, bool) {
	n, err := strconv.ParseInt(unquote(raw), 10, 32)
	return n, err == nil
}

var spanPattern = regexp.MustCompile(`^\d{1,9}(-\d{1,9})?$`)

// span is a number, or a range of two joined by a dash from which the core draws at random.
func span(raw json.RawMessage) (any, bool) {
	s := strings.ReplaceAll(unquote(raw), " ", "")
	return s, spanPattern.MatchString(s)
}

// bounds returns the ends of a span; 0, 0 if v is none.
func bounds(v any) (low, high int) {
	s, _ := v.(string)
	from, to, two := strings.Cut(s, "-")
	low, _ = strconv.Atoi(from)
	if high = low; two {
		high, _ = strconv.Atoi(to)
	}
	return low, high
}

func headers(raw json.RawMessage) (any, bool) {
	var h map[string]string
	if json.Unmarshal(raw, &h) != nil {
		return nil, false
	}
	for name, value := range h {
		if strings.EqualFold(name, "host") || !isToken(name) || !plainText(value) {
			return nil, false
		}
	}
	return h, true
}

// isToken reports whether s can be the name of an HTTP header (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte("!#$%&'*+-.^_`|~", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

func xmux(raw json.RawMessage) (any, bool) {
	object, ok := decodeObject(string(raw))
	if !ok {
		return nil, false
	}
	settings, err := checkObject(object, xmuxKinds)
	return settings, err == nil
}

// unquote returns a JSON number, boolean or string as text.
func unquote(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}
