package link

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
)

// VMess is an account of a VMess server.
type VMess struct {
	UUID   Secret
	Cipher string // "auto", "aes-128-gcm", "chacha20-poly1305", "none" or "zero"

	// AlterID is kept for printing and changes nothing: the core speaks the AEAD form of VMess only, as for 0. Servers
	// that are told another number accept it too, unless they are older than 2022.
	AlterID uint16
}

func (VMess) protocol() Protocol { return ProtocolVMess }

func (a VMess) wire() Account {
	a.AlterID = 0
	return a
}

// vmessKeys translates our names of parameters to the keys that v2rayN's JSON uses. Others have the same name in both.
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

func parseVMess(body, name string) (Link, *Error) {
	encoded, _, _ := strings.Cut(body, "?")
	if strings.Contains(encoded, "@") {
		return parseVMessURI(body, name)
	}
	raw, ok := decodeBase64(base64Text(unescape(encoded)))
	if !ok {
		return Link{}, reject(CodeBadEncoding, "the VMess link is not valid base64; it may have been cut off when it was copied")
	}
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] != '{' {
		return Link{}, reject(CodeBadEncoding, "the VMess link does not contain JSON; ask for it in the format of v2rayN")
	}
	var object map[string]scalar
	if err := json.Unmarshal(raw, &object); err != nil {
		return Link{}, reject(CodeBadEncoding, "the VMess link contains JSON with errors; it may have been cut off when it was copied")
	}
	if ps := object["ps"]; ps != "" {
		name = string(ps)
	}
	return parseVMessObject(object, name)
}

// base64Text cuts off what collectors glue to the end of base64. Whether something is missing shows when the JSON inside is read.
func base64Text(s string) string {
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte("+/-_ \t\r\n", s[i]) < 0 {
			return s[:i]
		}
	}
	return s
}

// scalar is a JSON value as text, for exporters that do not agree on types. Objects and arrays are kept as JSON.
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
	default:
		*s = scalar(raw)
	}
	return nil
}

func parseVMessObject(object map[string]scalar, name string) (Link, *Error) {
	q := &query{params: make(params, 0, len(object)+4)}
	get := func(key string) string { return strings.TrimSpace(string(object[key])) }
	for key, value := range object {
		switch key {
		case "type", "net", "tls", "security", "path", "host", "serviceName", "authority", "mode", "headerType":
		default:
			q.params = append(q.params, param{key, strings.TrimSpace(string(value))})
		}
	}
	network := get("net")
	q.params = append(q.params, param{"type", network}, param{"security", get("tls")})
	switch word(network) {
	case "grpc", "gun":
		q.params = append(q.params,
			param{"serviceName", firstOf(get("serviceName"), get("path"))},
			param{"authority", firstOf(get("authority"), get("host"))},
			param{"mode", firstOf(get("mode"), get("type"))})
	case "kcp", "mkcp":
		q.params = append(q.params, param{"headerType", firstOf(get("type"), get("headerType"))}, param{"host", get("host")})
		if path := get("path"); get("seed") == "" && path != "/" { // the path of exporters that give one to every transport
			q.params = append(q.params, param{"seed", path})
		}
	case "xhttp", "splithttp":
		q.params = append(q.params, param{"host", get("host")}, param{"path", get("path")}, param{"mode", firstOf(get("mode"), xhttpMode(get("type")))})
	default:
		q.params = append(q.params, param{"host", get("host")}, param{"path", get("path")}, param{"headerType", firstOf(get("type"), get("headerType"))})
	}

	host, err := parseHost(get("add"))
	if err != nil {
		return Link{}, err
	}
	port, err := parsePort(get("port"))
	if err != nil {
		return Link{}, err
	}
	l := Link{Protocol: ProtocolVMess, Name: cleanName(name), Host: host, Port: port}
	var a VMess
	if a.UUID, err = parseUUID(get("id")); err != nil {
		return Link{}, err
	}
	a.Cipher = parseVMessCipher(q, firstOf(get("scy"), get("security")))
	if text := get("aid"); text != "" {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			q.fail(badParameter("aid", "is not a number from 0 to 65535"))
		}
		a.AlterID = uint16(n)
	}
	if err := l.parseStream(q, "none"); err != nil {
		return Link{}, err
	}
	l.Account = a
	return l, nil
}

// xhttpMode returns the mode that older exporters put into the field of the header type, which otherwise means nothing for xhttp.
func xhttpMode(headerType string) string {
	switch headerType {
	case "packet-up", "stream-up", "stream-one":
		return headerType
	}
	return ""
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func parseVMessURI(body, name string) (Link, *Error) {
	g, err := split(body, 0)
	if err == nil {
		err = g.requireUser("user ID")
	}
	if err != nil {
		return Link{}, err
	}
	var a VMess
	if a.UUID, err = parseUUID(unescape(g.user)); err != nil {
		return Link{}, err
	}
	a.Cipher = parseVMessCipher(&g.query, g.query.get("encryption"))
	l := Link{Protocol: ProtocolVMess, Name: cleanName(name), Host: g.host, Port: g.port}
	if err := l.parseStream(&g.query, "none"); err != nil {
		return Link{}, err
	}
	l.Account = a
	return l, nil
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
