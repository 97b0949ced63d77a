package link

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Masks change how the bytes of a transport look on the wire ("finalmask" in the core's
// configuration, "fm" in links). Some need nobody else: the client splits its first packets, or
// sends noise before them. A server works without these. The others are spoken by both sides.

// The most that a mask may ask for. What servers and panels write is far below.
const (
	maxMasks      = 8    // in a row, for each of TCP and UDP
	maxMaskItems  = 32   // packets of a mask
	maxMaskPacket = 4096 // bytes of one
	maxMaskDelay  = 10_000
)

// masks is the JSON of the core for masks, with known settings only.
type masks struct {
	QUIC map[string]any `json:"quicParams,omitempty"`
	TCP  []mask         `json:"tcp,omitempty"`
	UDP  []mask         `json:"udp,omitempty"`
}

type mask struct {
	Settings map[string]any `json:"settings,omitempty"`
	Type     string         `json:"type"`
}

// text is the setting of that name, if it is a text.
func (m mask) text(name string) string {
	s, _ := m.Settings[name].(string)
	return s
}

// secret returns the canonical JSON of the masks, keys sorted and without spaces: it can contain
// passwords. No masks are the empty secret.
func (m masks) secret() Secret {
	if len(m.QUIC) == 0 && len(m.TCP) == 0 && len(m.UDP) == 0 {
		return Secret{}
	}
	text, err := json.Marshal(m)
	if err != nil {
		return Secret{} // maps of texts, numbers and flags always encode
	}
	return NewSecret(string(text))
}

// maskReader checks the settings of a mask and returns them in canonical form.
type maskReader func(map[string]json.RawMessage) (map[string]any, bool)

// The masks of the core, from its package infra/conf, without xicmp, which takes raw sockets.
var tcpMasks = map[string]maskReader{
	"fragment":      fragmentMask,
	"header-custom": customHeaderTCP,
	"sudoku":        sudokuMask,
}

var udpMasks = map[string]maskReader{
	"noise":            noiseMask,
	"header-custom":    customHeaderUDP,
	"sudoku":           sudokuMask,
	"salamander":       passwordMask,
	"mkcp-aes128gcm":   passwordMask,
	"mkcp-original":    bareMask,
	"header-dns":       domainMask,
	"header-dtls":      bareMask,
	"header-srtp":      bareMask,
	"header-utp":       bareMask,
	"header-wechat":    bareMask,
	"header-wireguard": bareMask,
	"xdns":             tunnelMask,
}

// maskSettings are the settings that the core has for each mask. It ignores all others, which the
// other side may not.
var maskSettings = map[string][]string{
	"fragment":       {"packets", "length", "lengths", "delay", "delays", "maxSplit"},
	"noise":          {"noise", "reset"},
	"header-custom":  {"clients", "servers", "errors", "client", "server"},
	"salamander":     {"password"},
	"mkcp-aes128gcm": {"password"},
	"header-dns":     {"domain"},
	"xdns":           {"domain"},
	"sudoku": {
		"password", "ascii", "customTable", "custom_table", "customTables", "custom_tables", "paddingMin", "padding_min", "paddingMax", "padding_max",
	},
}

// oneSided are the masks without which a server works.
var oneSided = map[string]bool{"fragment": true, "noise": true}

// parseMasks reads the parameters fm and fragment. What the core does not know is left out. A mask
// that both sides have to speak is an error if its settings are wrong.
func parseMasks(q *query) masks {
	var m masks
	if text := q.find("fm", "finalmask"); text != "" && !isNo(text) {
		object, ok := decodeForm(text)
		if !ok {
			q.fail(badParameter("fm", "is not a JSON object; the link may have been cut off when it was copied"))
			return masks{}
		}
		for _, name := range slices.Sorted(maps.Keys(object)) {
			switch raw := object[name]; name {
			case "tcp":
				m.TCP = readMasks(q, raw, tcpMasks)
			case "udp":
				m.UDP = readMasks(q, raw, udpMasks)
			case "quicParams":
				m.QUIC = readQUICParams(q, raw)
			default:
				q.leave("a part of the mask (fm) that the core does not know; the server may work without")
			}
		}
	}
	if text := q.get("fragment"); text != "" && !isNo(text) && !hasMask(m.TCP, "fragment") {
		switch settings, on, ok := splitFragment(text); {
		case !ok:
			q.leave("split packets (fragment), because the values are not valid; the server works without")
		case on:
			m.TCP = append(m.TCP, mask{settings, "fragment"})
		}
	}
	return m
}

// isNo reports whether a parameter says that what it is about is not wanted, or is an advertisement
// in its place.
func isNo(text string) bool {
	switch word(text) {
	case "none", "0", "false", "null":
		return len(text) <= len("false") || strings.ContainsAny(text, "=@")
	}
	return strings.IndexByte("=@", text[0]) >= 0
}

func hasMask(list []mask, kind string) bool {
	for _, m := range list {
		if m.Type == kind {
			return true
		}
	}
	return false
}

func readMasks(q *query, raw json.RawMessage, readers map[string]maskReader) []mask {
	var layers []struct {
		Type     string                     `json:"type"`
		Settings map[string]json.RawMessage `json:"settings"`
	}
	if err := json.Unmarshal(raw, &layers); err != nil || len(layers) > maxMasks {
		q.fail(badParameter("fm", "is not a list of at most "+strconv.Itoa(maxMasks)+" masks"))
		return nil
	}
	var list []mask
	for _, layer := range layers {
		read, known := readers[layer.Type]
		if layer.Type == "xicmp" {
			q.fail(unsupportedParameter("fm", "asks for the mask xicmp, for which the core would need the rights of root; ask for a link without it"))
			return nil
		}
		if !known {
			q.leave("a mask (fm) that the core does not know; the server may work without")
			continue
		}
		if unknown := unknownSetting(layer.Settings, maskSettings[layer.Type]); unknown != "" {
			if !oneSided[layer.Type] {
				q.fail(unsupportedParameter("fm", "sets "+unknown+" for the mask "+layer.Type+", which the core does not have; ask for a link without it"))
				return nil
			}
			q.leave(unknown + " of the mask " + layer.Type + " (fm), which the core does not have; the server works without")
		}
		settings, ok := read(layer.Settings)
		switch {
		case ok:
			list = append(list, mask{settings, layer.Type})
		case oneSided[layer.Type]:
			q.leave("the mask " + layer.Type + " (fm), because the core does not have what it asks for; the server works without")
		default:
			q.fail(badParameter("fm", "has wrong settings for the mask "+layer.Type))
			return nil
		}
	}
	return list
}

// unknownSetting returns the name of a setting with a value that is not among the known ones, or
// "".
func unknownSetting(settings map[string]json.RawMessage, known []string) string {
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		switch {
		case isBlank(settings[name]) || slices.Contains(known, name):
		case len(name) > 32 || strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf || !isAlnum(byte(r)) && r != '_' }):
			return "a setting"
		default:
			return name
		}
	}
	return ""
}

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

// spanText is a span as text: a number, a range of two joined by a dash, or an object with from and
// to.
func spanText(raw json.RawMessage) string {
	var ends struct{ From, To *json.Number }
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) && json.Unmarshal(raw, &ends) == nil && ends.From != nil && ends.To != nil {
		if *ends.From == *ends.To {
			return ends.From.String()
		}
		return ends.From.String() + "-" + ends.To.String()
	}
	s := strings.ReplaceAll(unquote(raw), " ", "")
	if s == "null" {
		return ""
	}
	return s
}

// spanOf returns the ends of a span, and whether s is one.
func spanOf(s string) (low, high int, ok bool) {
	if !spanPattern.MatchString(s) {
		return 0, 0, false
	}
	low, high = bounds(s)
	return low, high, true
}
