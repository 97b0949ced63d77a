package link

import (
	"bytes"
	"encoding/json"
	"maps"
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
	return slices.ContainsFunc(list, func(m mask) bool { return m.Type == kind })
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
