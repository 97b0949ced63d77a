package ipc

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// arguments lists the arguments of every kind of request; those with a "!" are required.
var arguments = map[Kind][]string{
	KindDaemonPing:        nil,
	KindDaemonShutdown:    nil,
	KindRuntimeStatus:     nil,
	KindRuntimeConnect:    {"config_id", "unchecked"},
	KindRuntimeReplace:    {"trigger!", "candidate_id"},
	KindRuntimeDisconnect: nil,
	KindProxyStart:        nil,
	KindProxyStatus:       nil,
	KindProxyStop:         nil,
	KindStatus:            nil,
	KindSubscribe:         nil,
	KindConfigList:        {"retired"},
	KindConfigImport:      {"text", "url"},
	KindConfigUpdate:      {"ids!", "name", "pinned", "excluded", "favourite", "add_tags", "remove_tags"},
	KindConfigRemove:      {"ids!"},
	KindSessionList:       {"limit"},
	KindConfigTest:        {"ids", "all", "tags", "limit", "tcp_only", "speed_url", "concurrency", "timeout_ms"},

	KindSubscriptionAdd:    {"url!", "name", "interval_secs", "no_update"},
	KindSubscriptionList:   nil,
	KindSubscriptionUpdate: {"ids"},
	KindSubscriptionRemove: {"ids!", "keep_configs"},
}

// decodeRequest parses the line of a request. It is stricter than encoding/json, which takes the last
// of two equal names, and names in any case: a line with two readings could be checked as one thing and
// carried out as another. The error never repeats the line, which may hold share links.
func decodeRequest(line []byte) (Request, error) {
	var none Request
	invalid := func(format string, args ...any) (Request, error) {
		return none, &Error{CodeInvalidState, fmt.Sprintf(format, args...)}
	}
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return invalid("the request is empty: send one JSON object, ended by a newline")
	}
	var envelope struct {
		ProtocolVersion *int           `json:"protocol_version"`
		Request         jsontext.Value `json:"request"`
	}
	if err := json.Unmarshal(line, &envelope); err != nil {
		return invalid("the request is malformed: %s", describe(err))
	}
	switch {
	case envelope.ProtocolVersion == nil:
		return invalid(`the request has no "protocol_version"; this daemon speaks version %d`, ProtocolVersion)
	case *envelope.ProtocolVersion != ProtocolVersion:
		return invalid("protocol version %d is not supported: this daemon speaks version %d; update the older of the two programs and restart the daemon",
			*envelope.ProtocolVersion, ProtocolVersion)
	case len(envelope.Request) == 0 || envelope.Request.Kind() != '{':
		return invalid(`the request has no "request" object`)
	}
	var names map[string]jsontext.Value
	if err := json.Unmarshal(envelope.Request, &names); err != nil {
		return invalid("the request is malformed: %s", describe(err))
	}
	var kind Kind
	if err := json.Unmarshal(names["type"], &kind); err != nil || kind == "" {
		return invalid(`the request has no "type"`)
	}
	takes, known := arguments[kind]
	if !known {
		return invalid("unknown request type %q", clip(string(kind)))
	}
	for name, value := range names {
		if name == "type" {
			continue
		}
		if !slices.Contains(takes, name) && !slices.Contains(takes, name+"!") {
			return invalid("%s does not take %q", kind, clip(name))
		}
		if value.Kind() == 'n' {
			delete(names, name) // null is the same as absent
		}
	}
	for _, name := range takes {
		name, required := strings.CutSuffix(name, "!")
		if _, there := names[name]; required && !there {
			return invalid("%s needs %q", kind, name)
		}
	}
	var request Request
	if err := json.Unmarshal(envelope.Request, &request); err != nil {
		return invalid("%s: %s", kind, describe(err))
	}
	switch request.Trigger {
	case "", TriggerManual, TriggerTimer, TriggerHealthCheckFailed:
	default:
		return invalid("%s: unknown trigger %q: use manual, timer or health_check_failed", kind, clip(string(request.Trigger)))
	}
	return request, nil
}

// describe says what is wrong with a JSON text and where, without repeating any of its values.
func describe(err error) string {
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	switch {
	case errors.As(err, &semantic):
		return fmt.Sprintf("wrong type of value at %q", clip(string(semantic.JSONPointer)))
	case errors.Is(err, jsontext.ErrDuplicateName):
		return "a name occurs twice"
	case errors.As(err, &syntactic):
		return fmt.Sprintf("no valid JSON at byte %d", syntactic.ByteOffset)
	default:
		return "no valid JSON"
	}
}

// clip shortens what a client has sent, for an error.
func clip(s string) string {
	const limit = 64
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}
