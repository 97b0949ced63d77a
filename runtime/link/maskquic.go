package link

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// quicKinds are the settings of QUIC, without what only servers read.
var quicKinds = map[string]kind{
	"congestion":                  oneOf("brutal", "reno", "bbr", "force-brutal"),
	"brutalUp":                    bandwidthText,
	"brutalDown":                  bandwidthText,
	"udpHop":                      udpHop,
	"initStreamReceiveWindow":     between(16384, 1<<26),
	"maxStreamReceiveWindow":      between(16384, 1<<26),
	"initConnectionReceiveWindow": between(16384, 1<<27),
	"maxConnectionReceiveWindow":  between(16384, 1<<27),
	"maxIdleTimeout":              between(4, 120),
	"keepAlivePeriod":             between(2, 60),
	"disablePathMTUDiscovery":     boolean,
}

// readQUICParams leaves out what the core would refuse: servers work with its own choice.
func readQUICParams(q *query, raw json.RawMessage) map[string]any {
	object, ok := decodeObject(string(raw))
	if !ok {
		q.leave("the settings of QUIC in the mask (fm), because they are no object; the server works without")
		return nil
	}
	settings := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		raw := object[name]
		check, known := quicKinds[name]
		switch text := unquote(raw); {
		case name == "debug" || name == "maxIncomingStreams" || text == "" || text == "0" || text == "null" || text == "false" || text == "{}":
			continue
		case !known:
			q.leave("a setting of QUIC in the mask (fm) that the core does not know; the server works without")
			continue
		}
		value, ok := check(raw)
		if !ok {
			q.leave("the setting " + name + " of QUIC in the mask (fm), because its value is not valid; the server works without")
			continue
		}
		settings[name] = value
	}
	return settings
}

func between(low, high int64) kind {
	return func(raw json.RawMessage) (any, bool) {
		n, err := strconv.ParseInt(unquote(raw), 10, 64)
		return n, err == nil && low <= n && n <= high
	}
}

// bandwidthText is a bandwidth in the spelling of the core.
func bandwidthText(raw json.RawMessage) (any, bool) {
	bits, ok := bandwidth(unquote(raw), 1)
	if !ok || bits < 8*65536 { // less makes the core refuse it
		return nil, false
	}
	if bits%megabit == 0 {
		return strconv.FormatUint(bits/megabit, 10) + " mbps", true
	}
	return strconv.FormatUint(bits, 10) + " bps", true
}

func udpHop(raw json.RawMessage) (any, bool) {
	object, ok := decodeObject(string(raw))
	if !ok {
		return nil, false
	}
	hop := map[string]any{}
	var list []json.RawMessage
	portsText := unquote(object["ports"])
	if json.Unmarshal(object["ports"], &list) == nil {
		var items []string
		for _, item := range list {
			items = append(items, unquote(item))
		}
		portsText = strings.Join(items, ",")
	}
	ports, ok := portList(portsText)
	if !ok {
		return nil, false
	}
	hop["ports"] = ports
	if interval := spanText(object["interval"]); interval != "" && interval != "0" {
		if low, high, ok := spanOf(interval); !ok || min(low, high) < 5 {
			return nil, false
		}
		hop["interval"] = interval
	}
	return hop, true
}
