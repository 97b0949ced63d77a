package link

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
)

// The settings of each mask but that which splits packets.

func noiseMask(s map[string]json.RawMessage) (map[string]any, bool) {
	items, ok := maskItems(s["noise"], true)
	if !ok || len(items) == 0 {
		return nil, false
	}
	settings := map[string]any{"noise": items}
	if reset := spanText(s["reset"]); reset != "" && reset != "0" {
		if _, _, ok := spanOf(reset); !ok {
			return nil, false
		}
		settings["reset"] = reset
	}
	return settings, true
}

func passwordMask(s map[string]json.RawMessage) (map[string]any, bool) {
	password := unquote(s["password"])
	if password == "" || !plainText(password) {
		return nil, false
	}
	return map[string]any{"password": password}, true
}

func domainMask(s map[string]json.RawMessage) (map[string]any, bool) {
	domain := asciiNames(given(unquote(s["domain"])))
	if domain == "" {
		return nil, true
	}
	return map[string]any{"domain": domain}, isDomain(domain) && len(domain) <= 128
}

func tunnelMask(s map[string]json.RawMessage) (map[string]any, bool) {
	settings, ok := domainMask(s)
	return settings, ok && len(settings) > 0
}

func bareMask(map[string]json.RawMessage) (map[string]any, bool) { return nil, true }

var sudokuTable = regexp.MustCompile(`^[xpvXPV]{8}$`)

func sudokuMask(s map[string]json.RawMessage) (map[string]any, bool) {
	either := func(name, older string) json.RawMessage {
		if raw, ok := s[name]; ok {
			return raw
		}
		return s[older]
	}
	settings := map[string]any{}
	if password := unquote(s["password"]); !plainText(password) {
		return nil, false
	} else if password != "" {
		settings["password"] = password
	}
	switch look := strings.ToLower(unquote(s["ascii"])); look {
	case "", "null", "entropy", "prefer_entropy":
	case "ascii", "prefer_ascii":
		settings["ascii"] = "prefer_ascii"
	default:
		return nil, false
	}
	valid := func(table string) bool {
		lower := strings.ToLower(table)
		return sudokuTable.MatchString(table) && strings.Count(lower, "x") == 2 && strings.Count(lower, "p") == 2
	}
	if table := unquote(either("customTable", "custom_table")); table != "" {
		if !valid(table) {
			return nil, false
		}
		settings["customTable"] = strings.ToLower(table)
	}
	if raw := either("customTables", "custom_tables"); len(raw) > 0 {
		var tables []string
		if json.Unmarshal(raw, &tables) != nil || len(tables) > maxMaskItems {
			return nil, false
		}
		for i, table := range tables {
			if !valid(table) {
				return nil, false
			}
			tables[i] = strings.ToLower(table)
		}
		if len(tables) > 0 {
			settings["customTables"] = tables
		}
	}
	for _, name := range []string{"Min", "Max"} {
		text := unquote(either("padding"+name, "padding_"+strings.ToLower(name)))
		if text == "" || text == "0" {
			continue
		}
		n, err := strconv.ParseUint(text, 10, 8)
		if err != nil || n > 100 {
			return nil, false
		}
		settings["padding"+name] = n
	}
	return settings, true
}

// customHeaderTCP reads packets that both sides exchange first. What the server answers to
// strangers (errors) is its own business.
func customHeaderTCP(s map[string]json.RawMessage) (map[string]any, bool) {
	settings := map[string]any{}
	for _, side := range []string{"clients", "servers"} {
		var turns []json.RawMessage
		if raw, given := s[side]; given && json.Unmarshal(raw, &turns) != nil || len(turns) > maxMaskItems {
			return nil, false
		}
		var sequences [][]map[string]any
		for _, turn := range turns {
			items, ok := maskItems(turn, false)
			if !ok {
				return nil, false
			}
			sequences = append(sequences, items)
		}
		if len(sequences) > 0 {
			settings[side] = sequences
		}
	}
	return settings, len(settings) > 0
}

// customHeaderUDP reads the header of every datagram. The core cuts the client's length off what
// the server sends, and would crash if the server's header were longer.
func customHeaderUDP(s map[string]json.RawMessage) (map[string]any, bool) {
	settings := map[string]any{}
	sizes := map[string]int{}
	for _, side := range []string{"client", "server"} {
		items, ok := maskItems(s[side], false)
		if !ok {
			return nil, false
		}
		for _, item := range items {
			size, _ := item["rand"].(int)
			packet, _ := item["packet"].(string)
			sizes[side] += max(size, base64.StdEncoding.DecodedLen(len(packet))-strings.Count(packet, "="))
			if _, given := item["delay"]; given {
				return nil, false
			}
		}
		if len(items) > 0 {
			settings[side] = items
		}
	}
	return settings, sizes["client"] > 0 && sizes["client"] <= maxMaskPacket/4 && sizes["server"] <= sizes["client"]
}

// maskItems reads a list of packets: each is given by its bytes, or by a number of random ones,
// which for noise may be a span of numbers.
func maskItems(raw json.RawMessage, noise bool) ([]map[string]any, bool) {
	var list []map[string]json.RawMessage
	if len(raw) == 0 {
		return nil, true
	}
	if json.Unmarshal(raw, &list) != nil || len(list) > maxMaskItems {
		return nil, false
	}
	var items []map[string]any
	for _, s := range list {
		item := map[string]any{}
		packet, ok := packetBytes(s["packet"], unquote(s["type"]))
		if !noise && unknownSetting(s, []string{"packet", "type", "rand", "randRange", "delay"}) != "" {
			return nil, false // the other side may do with it what the core does not
		}
		if !ok || len(packet) > maxMaskPacket {
			return nil, false
		}
		random := spanText(s["rand"])
		low, high, isSpan := spanOf(random)
		switch {
		case random == "" || random == "0":
		case !isSpan || len(packet) > 0 || max(low, high) > maxMaskPacket || !noise && low != high:
			return nil, false
		case noise:
			item["rand"] = random
		default:
			item["rand"] = low
		}
		if len(packet) > 0 {
			item["type"], item["packet"] = "base64", base64.StdEncoding.EncodeToString(packet)
		}
		if bounds := spanText(s["randRange"]); bounds != "" && bounds != "0-255" {
			if low, high, ok := spanOf(bounds); !ok || max(low, high) > 255 {
				return nil, false
			}
			item["randRange"] = bounds
		}
		if delay := spanText(s["delay"]); delay != "" && delay != "0" {
			if low, high, ok := spanOf(delay); !ok || max(low, high) > maxMaskDelay {
				return nil, false
			}
			item["delay"] = delay
		}
		items = append(items, item)
	}
	return items, true
}

// packetBytes decodes the bytes of a packet, which are written as type says.
func packetBytes(raw json.RawMessage, kind string) ([]byte, bool) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, true
	}
	var s string
	isText := json.Unmarshal(raw, &s) == nil
	switch kind = strings.ToLower(kind); {
	case (kind == "" || kind == "array") && bytes.HasPrefix(raw, []byte("[")):
		var numbers []uint8
		var list []uint16
		if json.Unmarshal(raw, &list) != nil {
			return nil, false
		}
		for _, n := range list {
			if n > 255 {
				return nil, false
			}
			numbers = append(numbers, uint8(n))
		}
		return numbers, true
	case !isText:
		return nil, false
	case s == "":
		return nil, true
	case kind == "str":
		return []byte(s), true
	case kind == "hex":
		b, err := hex.DecodeString(s)
		return b, err == nil
	case kind == "" || kind == "array" || kind == "base64":
		return decodeBase64(s)
	}
	return nil, false
}
