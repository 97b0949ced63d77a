package link

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
)

// VMess is an account of a VMess server.
type VMess struct {
	UUID   Secret
	Cipher string // "auto", "aes-128-gcm", "chacha20-poly1305", "none" or "zero"

	// AlterID is kept for printing and changes nothing: the core always speaks the AEAD form of
	// VMess, as for 0. Servers that are set to another number accept it too, unless they are older
	// than 2022.
	AlterID uint16
}

func (VMess) protocol() Protocol { return ProtocolVMess }

// vmessKeys translates parameters of URIs into the keys of v2rayN's JSON, where they differ.
var vmessKeys = map[string]string{"type": "net", "headerType": "type", "mode": "type", "security": "tls", "serviceName": "path", "authority": "host"}

func (a VMess) uri(l Link) string {
	object := map[string]string{
		"v": "2", "ps": l.Name, "add": l.Host, "port": strconv.Itoa(int(l.Port)),
		"id": a.UUID.Reveal(), "aid": strconv.Itoa(int(a.AlterID)), "scy": a.Cipher,
	}
	for _, kv := range l.streamParams() {
		if kv.value == "" || kv.key == "security" && kv.value == "none" {
			continue
		}
		key, translated := vmessKeys[kv.key]
		if !translated {
			key = kv.key
		}
		object[key] = kv.value
	}
	if seed := object["seed"]; seed != "" {
		object["path"] = seed // where v2rayN looks for it
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(object); err != nil {
		return "" // a map of strings always encodes
	}
	return "vmess://" + base64.StdEncoding.EncodeToString(bytes.TrimSpace(b.Bytes()))
}

func (r *reader) parseVMess(body, name string) (Link, *Error) {
	encoded, _, _ := strings.Cut(body, "?")
	if strings.Contains(encoded, "@") && encoded[0] != '{' {
		return r.parseVMessURI(body, name)
	}
	raw := []byte(unescape(body))
	for times := range 2 { // once, as a rule
		if len(raw) > 0 && raw[0] == '{' {
			break
		}
		decoded, ok := decodeBase64(base64Text(string(raw)))
		if !ok && times > 0 {
			break
		} else if !ok {
			return Link{}, reject(CodeBadEncoding, "the VMess link is not valid base64; it may have been cut off when it was copied")
		}
		raw = bytes.TrimSpace(bytes.TrimPrefix(decoded, []byte("\uFEFF")))
	}
	if len(raw) == 0 || raw[0] != '{' {
		return Link{}, reject(CodeBadEncoding, "the VMess link does not contain JSON; ask for it in the format of v2rayN")
	}
	// Values that span lines are not JSON, but occur.
	for i, c := range raw {
		if c < ' ' {
			raw[i] = ' '
		}
	}
	var object map[string]scalar
	if err := json.Unmarshal(raw, &object); err != nil {
		return Link{}, reject(CodeBadEncoding, "the VMess link contains JSON with errors; it may have been cut off when it was copied")
	}
	if ps := object["ps"]; ps != "" {
		name = string(ps)
	}
	return r.parseVMessObject(object, name)
}

// base64Text cuts off what collectors append to base64. If it cuts off too much, the JSON inside
// does not parse.
func base64Text(s string) string {
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte("+/-_ \t\r\n", s[i]) < 0 {
			return s[:i]
		}
	}
	return s
}

// scalar is a JSON value as text, because exporters do not agree on types. Elements of an array are
// joined by commas. Objects, and arrays of them, are kept as JSON.
type scalar string

func (s *scalar) UnmarshalJSON(raw []byte) error {
	switch {
	case string(raw) == "null":
		*s = ""
	case raw[0] == '"':
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
		*s = scalar(text)
	case raw[0] == '[':
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return err
		}
		texts := make([]string, len(list))
		for i, item := range list {
			if item[0] == '{' || item[0] == '[' {
				*s = scalar(raw)
				return nil
			}
			texts[i] = unquote(item)
		}
		*s = scalar(strings.Join(texts, ","))
	default:
		*s = scalar(raw)
	}
	return nil
}

// raw returns the value as JSON: what is no object or list becomes a text, which every setting may
// be.
func (s scalar) raw() json.RawMessage {
	if text := strings.TrimSpace(string(s)); strings.HasPrefix(text, "{") && json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	text, _ := json.Marshal(string(s)) // a string always encodes
	return text
}

func (r *reader) parseVMessObject(object map[string]scalar, name string) (Link, *Error) {
	g := generic{query: query{reader: r, params: make(params, 0, len(object)+4)}}
	q := &g.query
	get := func(key string) string { return given(string(object[key])) }
	flat := map[string]json.RawMessage{} // settings of xhttp that some panels put beside the others
	for key, value := range object {
		if isExtra(key) {
			flat[key] = value.raw()
			continue
		}
		switch key {
		case "extra", "type", "net", "tls", "security", "path", "host", "serviceName", "authority", "mode", "headerType":
		default:
			q.params = append(q.params, param{key, strings.TrimSpace(string(value))})
		}
	}
	network := get("net")
	q.params = append(q.params, param{"type", network}, param{"security", get("tls")})
	switch word(network) {
	case "grpc", "gun":
		q.params = append(q.params,
			param{"serviceName", cmp.Or(get("serviceName"), get("path"))},
			param{"authority", cmp.Or(get("authority"), get("host"))},
			param{"mode", cmp.Or(get("mode"), get("type"))})
	case "kcp", "mkcp":
		q.params = append(q.params, param{"headerType", cmp.Or(get("type"), get("headerType"))}, param{"host", get("host")})
		// The path is the seed, but for exporters that give every transport the path "/".
		if path := get("path"); get("seed") == "" && path != "/" {
			q.params = append(q.params, param{"seed", path})
		}
	case "xhttp", "splithttp":
		q.params = append(q.params, param{"host", get("host")}, param{"path", get("path")}, param{"mode", cmp.Or(get("mode"), xhttpMode(get("type")))},
			param{"extra", flatExtra(q, get("extra"), flat)})
	default:
		q.params = append(q.params, param{"host", get("host")}, param{"path", get("path")}, param{"headerType", cmp.Or(get("type"), get("headerType"))})
	}

	var err *Error
	if g.host, err = parseHost(get("add")); err != nil {
		return Link{}, err
	}
	q.host = g.host
	if g.port, err = parsePort(strings.TrimSuffix(get("port"), ".0")); err != nil {
		return Link{}, err
	}
	var a VMess
	if a.UUID, err = parseUUID(get("id")); err != nil {
		return Link{}, err
	}
	a.Cipher = parseVMessCipher(q, cmp.Or(get("scy"), get("security")))
	if text := get("aid"); text != "" {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			q.fail(badParameter("aid", "is not a number from 0 to 65535"))
		}
		a.AlterID = uint16(n)
	}
	return g.link(a, name, "none")
}

// flatExtra returns the settings of xhttp, to which those of flat belong that it does not have
// itself.
func flatExtra(q *query, extra string, flat map[string]json.RawMessage) string {
	if len(flat) == 0 {
		return extra
	}
	if extra != "" {
		object, ok := decodeForm(extra)
		if !ok {
			q.fail(badParameter("extra", "is not a JSON object"))
			return ""
		}
		for name, value := range object {
			flat[name] = value
		}
	}
	text, err := json.Marshal(flat)
	if err != nil {
		q.fail(badParameter("extra", "cannot be printed as JSON"))
	}
	return string(text)
}

// xhttpMode returns the mode that older exporters write into the field of the header type, which
// means nothing else for xhttp.
func xhttpMode(headerType string) string {
	switch headerType {
	case "packet-up", "stream-up", "stream-one":
		return headerType
	}
	return ""
}

func (r *reader) parseVMessURI(body, name string) (Link, *Error) {
	g, err := r.split(body, 0, "user ID")
	if err != nil {
		return Link{}, err
	}
	var a VMess
	if a.UUID, err = parseUUID(unescape(g.user)); err != nil {
		return Link{}, err
	}
	a.Cipher = parseVMessCipher(&g.query, g.query.get("encryption"))
	return g.link(a, name, "none")
}

func parseVMessCipher(q *query, text string) string {
	switch cipher := word(text); cipher {
	case "":
		return "auto"
	case "auto", "aes-128-gcm", "chacha20-poly1305", "none", "zero":
		return cipher
	case "chacha20-ietf-poly1305":
		return "chacha20-poly1305"
	case "aes-128-cfb":
		q.fail(reject(CodeUnsupportedCipher, "the VMess cipher aes-128-cfb was removed from the core; ask the provider for auto"))
	default:
		q.fail(reject(CodeUnsupportedCipher, "the VMess cipher is not known; it can be auto, aes-128-gcm, chacha20-poly1305, none or zero"))
	}
	return ""
}
