package link

import (
	"encoding/json"
	"strings"
)

// fragmentMask reads how packets are split. Newer cores take lists of lengths and delays: those of
// one element mean the same as a single one.
func fragmentMask(s map[string]json.RawMessage) (map[string]any, bool) {
	length, ok := single(s, "length", "lengths")
	if !ok {
		return nil, false
	}
	delay, ok := single(s, "delay", "delays")
	if !ok {
		return nil, false
	}
	return fragment(unquote(s["packets"]), length, delay, unquote(s["maxSplit"]))
}

func single(s map[string]json.RawMessage, one, list string) (string, bool) {
	var many []json.RawMessage
	if raw, ok := s[list]; ok {
		if json.Unmarshal(raw, &many) != nil || len(many) != 1 {
			return "", false
		}
		return spanText(many[0]), true
	}
	return spanText(s[one]), true
}

// fragment returns the settings of the mask of that name. packets are "tlshello", the numbers of
// the first and the last packet to be split, or empty for all; length is that of the pieces in
// bytes, delay the time between them in milliseconds.
func fragment(packets, length, delay, maxSplit string) (map[string]any, bool) {
	settings := map[string]any{}
	switch packets = strings.ToLower(strings.TrimSpace(packets)); {
	case packets == "" || packets == "null":
	case packets == "tlshello":
		settings["packets"] = packets
	default:
		if low, high, ok := spanOf(packets); !ok || low < 1 || high < low {
			return nil, false
		}
		settings["packets"] = packets
	}
	if low, high, ok := spanOf(length); !ok || low < 1 || high < 1 {
		return nil, false
	}
	settings["length"] = length
	for name, value := range map[string]string{"delay": delay, "maxSplit": maxSplit} {
		if value == "" || value == "0" || value == "0-0" || value == "null" {
			continue
		}
		low, high, ok := spanOf(value)
		if !ok || name == "delay" && max(low, high) > maxMaskDelay {
			return nil, false
		}
		settings[name] = value
	}
	return settings, true
}

// splitFragment reads the parameter fragment, a list joined by commas that different clients order
// differently: length, interval, packets; or packets first; or in front of all a 1 that switches it
// on.
func splitFragment(text string) (settings map[string]any, on, ok bool) {
	fields := strings.Split(strings.ReplaceAll(text, " ", ""), ",")
	if len(fields) == 4 && strings.EqualFold(fields[3], "tlshello") || len(fields) == 4 && fields[0] == "1" {
		if fields[0] == "0" {
			return nil, false, true
		}
		fields = fields[1:]
	}
	if len(fields) > 2 && strings.EqualFold(fields[0], "tlshello") {
		fields = append([]string{fields[1], fields[2], fields[0]}, fields[3:]...)
	}
	maxSplit := ""
	if len(fields) == 4 {
		maxSplit, fields = fields[3], fields[:3]
	}
	if len(fields) != 3 {
		return nil, false, false
	}
	settings, ok = fragment(fields[2], fields[0], fields[1], maxSplit)
	return settings, ok, ok
}
