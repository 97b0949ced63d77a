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
	KindDaemonShutdown:    {"keep"},
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
	KindConfigTest:        {"ids", "all", "tags", "limit", "tcp_only", "work", "speed_url", "concurrency", "timeout_ms"},

	KindSubscriptionAdd:     {"url!", "name", "interval_secs", "no_update", "private", "user_agent", "headers", "hwid", "ca", "pin", "only", "never"},
	KindSubscriptionSet:     {"ids!", "name", "interval_secs", "private", "user_agent", "headers", "hwid", "ca", "pin", "only", "never"},
	KindSubscriptionList:    nil,
	KindSubscriptionUpdate:  {"ids", "accept"},
	KindSubscriptionReparse: {"ids"},
	KindSubscriptionRemove:  {"ids!", "keep_configs"},
}

// decodeRequest parses the line of a request. It is stricter than encoding/json, which takes the
// last of two equal names, and names in any case: a line with two readings could be checked as one
// thing and carried out as another. The error never repeats the line, which may hold share links.
func decodeRequest(line []byte) (Request, error) {
	body, err := openEnvelope(bytes.TrimSpace(line))
	if err != nil {
		return Request{}, err
	}
	kind, err := checkArguments(body)
	if err != nil {
		return Request{}, err
	}
	var request Request
	if err := json.Unmarshal(body, &request); err != nil {
		return Request{}, Errorf(CodeInvalidState, "%s: %s", kind, describe(err))
	}
	switch request.Trigger {
	case "", TriggerManual, TriggerTimer, TriggerHealthCheckFailed:
		return request, nil
	}
	return Request{}, Errorf(CodeInvalidState, "%s: unknown trigger %q: use manual, timer or health_check_failed", kind, clip(string(request.Trigger)))
}

// openEnvelope checks the protocol version and returns the object that is the request.
func openEnvelope(line []byte) (jsontext.Value, error) {
	if len(line) == 0 {
		return nil, Errorf(CodeInvalidState, "the request is empty: send one JSON object, ended by a newline")
	}
	var envelope struct {
		ProtocolVersion *int           `json:"protocol_version"`
		Request         jsontext.Value `json:"request"`
	}
	if err := json.Unmarshal(line, &envelope); err != nil {
		return nil, Errorf(CodeInvalidState, "the request is malformed: %s", describe(err))
	}
	switch {
	case envelope.ProtocolVersion == nil:
		return nil, Errorf(CodeInvalidState, `the request has no "protocol_version"; this daemon speaks version %d`, ProtocolVersion)
	case *envelope.ProtocolVersion != ProtocolVersion:
		return nil, Errorf(CodeInvalidState, "protocol version %d is not supported: this daemon speaks version %d; update the older of the two programs and restart the daemon",
			*envelope.ProtocolVersion, ProtocolVersion)
	case len(envelope.Request) == 0 || envelope.Request.Kind() != '{':
		return nil, Errorf(CodeInvalidState, `the request has no "request" object`)
	}
	return envelope.Request, nil
}

// checkArguments returns the kind of a request, if it has all the arguments that this needs and no
// others. An argument that is null counts as absent.
func checkArguments(request jsontext.Value) (Kind, error) {
	var names map[string]jsontext.Value
	if err := json.Unmarshal(request, &names); err != nil {
		return "", Errorf(CodeInvalidState, "the request is malformed: %s", describe(err))
	}
	var kind Kind
	if err := json.Unmarshal(names["type"], &kind); err != nil || kind == "" {
		return "", Errorf(CodeInvalidState, `the request has no "type"`)
	}
	takes, known := arguments[kind]
	if !known {
		return "", Errorf(CodeInvalidState, "unknown request type %q", clip(string(kind)))
	}
	for name := range names {
		if name != "type" && !slices.Contains(takes, name) && !slices.Contains(takes, name+"!") {
			return "", Errorf(CodeInvalidState, "%s does not take %q", kind, clip(name))
		}
	}
	for _, name := range takes {
		name, required := strings.CutSuffix(name, "!")
		if value, there := names[name]; required && (!there || value.Kind() == 'n') {
			return "", Errorf(CodeInvalidState, "%s needs %q", kind, name)
		}
	}
	return kind, nil
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
