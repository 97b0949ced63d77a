package link

import (
	"cmp"
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
// servers read. For downloadSettings see download.go.
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

// retired are settings of older cores that this one no longer reads, and settings of programs other
// than the core. Servers work without them.
var retired = map[string]bool{
	"scMaxConcurrentPosts": true, "cMaxLifetimeMs": true, "keepAlivePeriod": true, "serverMaxHeaderBytes": true, "enableXmux": true,
}

// renamed are the names that newer cores have for settings of this one.
var renamed = map[string]string{"sessionIDPlacement": "sessionPlacement", "sessionIDKey": "sessionKey"}

// newer are settings of newer cores that servers work without.
var newer = []string{"sessionIDLength", "sessionIDTable"}

// isExtra reports whether a setting may stand in the parameter extra.
func isExtra(name string) bool {
	return extraKinds[name] != nil || renamed[name] != "" || slices.Contains(newer, name) || retired[name] || name == "downloadSettings"
}

func parseXHTTP(q *query) Transport {
	var inner map[string]json.RawMessage
	if extra := q.find("extra"); extra != "" {
		var ok bool
		if inner, ok = decodeForm(extra); !ok {
			q.fail(badParameter("extra", "is not a JSON object"))
		}
	}
	// One panel writes this setting beside extra, too.
	if padding := q.get("x_padding_bytes"); padding != "" && isBlank(inner["xPaddingBytes"]) {
		if inner == nil {
			inner = map[string]json.RawMessage{}
		}
		inner["xPaddingBytes"] = scalar(padding).raw()
	}
	// Panels repeat these within extra. The ones outside win, as for the core.
	take := func(name string) string {
		raw := inner[name]
		delete(inner, name)
		return given(unquote(raw))
	}
	innerHost, innerPath, innerMode := take("host"), take("path"), take("mode")
	host := cmp.Or(q.get("host"), innerHost, takeHost(inner))
	if !plainText(host) || !plainText(innerPath) {
		q.fail(badParameter("extra", "contains control characters or is not UTF-8"))
		return XHTTP{}
	}
	t := XHTTP{Host: asciiNames(host), Path: slashed(cmp.Or(q.get("path"), innerPath)), Mode: q.word("mode")}
	switch t.Mode = cmp.Or(t.Mode, word(innerMode)); t.Mode {
	case "", "none":
		t.Mode = "auto"
	case "auto", "packet-up", "stream-up", "stream-one":
	default:
		q.fail(unsupportedParameter("mode", "does not name a mode of xhttp; it can be auto, packet-up, stream-up or stream-one"))
	}
	if raw, given := inner["downloadSettings"]; given {
		delete(inner, "downloadSettings")
		t.Download = parseDownload(q, raw, t.Mode)
	}
	var err *Error
	if t.Extra, err = parseExtra(q, inner, t.Mode); err != nil {
		q.fail(err)
	}
	return t
}

// takeHost takes the host out of the headers, where the core does not want it, and returns it.
func takeHost(inner map[string]json.RawMessage) string {
	list, ok := decodeObject(string(inner["headers"]))
	if !ok {
		return ""
	}
	var host string
	for name, raw := range list {
		if strings.EqualFold(name, "host") {
			host = max(host, headerValue(raw)) // of several, always the same one
			delete(list, name)
		}
	}
	if rest, err := json.Marshal(list); err == nil && len(list) > 0 {
		inner["headers"] = rest
	} else {
		delete(inner, "headers")
	}
	return given(host)
}

// headerValue is the value of a header, which some write as a list.
func headerValue(raw json.RawMessage) string {
	var many []json.RawMessage
	if json.Unmarshal(raw, &many) == nil {
		if len(many) == 0 {
			return ""
		}
		raw = many[0]
	}
	return unquote(raw)
}

// parseExtra checks the settings and returns them in canonical form: known ones only, keys sorted,
// no spaces.
func parseExtra(q *query, object map[string]json.RawMessage, mode string) (string, *Error) {
	for name, older := range renamed {
		if raw, given := object[name]; given {
			delete(object, name)
			object[older] = raw
		}
	}
	var unknown []string
	for _, name := range newer {
		if raw, given := object[name]; given {
			delete(object, name)
			if !isBlank(raw) {
				unknown = append(unknown, name)
			}
		}
	}
	if len(unknown) > 0 {
		q.leave("settings of xhttp that only newer cores know (" + strings.Join(unknown, ", ") + "); the server works without")
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
	if padding, ok := settings["xPaddingBytes"]; ok && padding != "0" {
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
	case "true", "1":
		return true, true
	case "false", "0":
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
	s := spanText(raw)
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
	object, ok := decodeObject(string(raw))
	h := make(map[string]string, len(object))
	for name, raw := range object {
		if h[name] = headerValue(raw); strings.EqualFold(name, "host") || !isToken(name) || !plainText(h[name]) {
			return nil, false
		}
	}
	return h, ok
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
