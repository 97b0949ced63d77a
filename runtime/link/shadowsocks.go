package link

import (
	"encoding/base64"
	"strings"
)

// Shadowsocks is an account of a Shadowsocks server.
type Shadowsocks struct {
	Method   string // in the spelling of the core
	Password Secret // for the 2022 methods: keys in base64, separated by colons
}

func (Shadowsocks) protocol() Protocol { return ProtocolShadowsocks }

func (a Shadowsocks) uri(l Link) string {
	user := a.Method + ":" + escape(a.Password.Reveal(), "")
	if !strings.HasPrefix(a.Method, "2022-") {
		// SIP002 wants base64 for the older methods and plain text for the newer ones.
		user = base64.RawURLEncoding.EncodeToString([]byte(a.Method + ":" + a.Password.Reveal()))
	}
	return printGeneric("ss", user, l, l.streamParamsIfAny())
}

func (r *reader) parseShadowsocks(body, name string) (Link, *Error) {
	body, name = looseUser(body, name)
	encoded, rest, _ := strings.Cut(body, "?")
	if !strings.Contains(encoded, "@") {
		// The legacy form: method:password@host:port in base64.
		raw, ok := decodeBase64(unescape(strings.TrimSuffix(encoded, "/")))
		if !ok || !strings.Contains(string(raw), "@") || strings.HasPrefix(string(raw), "{") {
			return Link{}, reject(CodeBadEncoding, "the Shadowsocks link has no host; it may have been cut off when it was copied")
		}
		// What was inside base64 is not escaped.
		i := strings.LastIndexByte(string(raw), '@')
		body = escape(string(raw[:i]), ":") + string(raw[i:]) + "?" + rest
	}
	g, err := r.split(body, 0, "method and password")
	if err != nil {
		return Link{}, err
	}
	method, password, err := parseShadowsocksUser(g.user)
	if err != nil {
		return Link{}, err
	}
	var a Shadowsocks
	if a.Method, err = parseShadowsocksMethod(method); err != nil {
		return Link{}, err
	}
	if strings.HasPrefix(a.Method, "2022-") {
		if password, err = parseShadowsocksKeys(a.Method, password); err != nil {
			return Link{}, err
		}
	}
	if a.Password, err = credential(password); err != nil {
		return Link{}, err
	}
	if password == "" {
		return Link{}, reject(CodeMissingCredentials, "the Shadowsocks link has no password; ask for a complete link")
	}
	if err := readPlugin(&g.query); err != nil {
		return Link{}, err
	}
	return g.link(a, name, "none")
}

// parseShadowsocksUser decodes method:password, in plain text or in base64. Some collectors encode
// it a second time, with "ss://" in front.
func parseShadowsocksUser(user string) (method, password string, err *Error) {
	if m, p, ok := strings.Cut(user, ":"); ok {
		return unescape(m), unescape(p), nil
	}
	user = unescape(user)
	for range 2 {
		if strings.Contains(user, ":") {
			break
		}
		raw, ok := decodeBase64(user)
		if !ok {
			return "", "", reject(CodeBadEncoding, "the method and password of the Shadowsocks link are not valid base64; ask for the link again")
		}
		user = strings.TrimPrefix(string(raw), "ss://")
	}
	m, p, ok := strings.Cut(user, ":")
	if !ok {
		return "", "", reject(CodeMissingCredentials, "the Shadowsocks link has no password; ask for a complete link")
	}
	return m, p, nil
}

func parseShadowsocksMethod(s string) (string, *Error) {
	switch s = strings.ToLower(strings.TrimSpace(s)); s {
	case "aes-128-gcm", "aes-256-gcm", "chacha20-ietf-poly1305", "xchacha20-ietf-poly1305", "none",
		"2022-blake3-aes-128-gcm", "2022-blake3-aes-256-gcm", "2022-blake3-chacha20-poly1305":
		return s, nil
	case "plain":
		return "none", nil
	case "aead_aes_128_gcm":
		return "aes-128-gcm", nil
	case "aead_aes_256_gcm":
		return "aes-256-gcm", nil
	case "chacha20-poly1305", "aead_chacha20_poly1305":
		return "chacha20-ietf-poly1305", nil
	case "xchacha20-poly1305", "aead_xchacha20_poly1305":
		return "xchacha20-ietf-poly1305", nil
	case "aes-128-cfb", "aes-192-cfb", "aes-256-cfb", "aes-128-ctr", "aes-192-ctr", "aes-256-ctr", "aes-192-gcm",
		"rc4", "rc4-md5", "chacha20", "chacha20-ietf", "xchacha20", "salsa20", "bf-cfb", "camellia-128-cfb", "camellia-192-cfb",
		"camellia-256-cfb", "des-cfb", "table", "2022-blake3-chacha8-poly1305":
		return "", reject(CodeUnsupportedCipher, "the Shadowsocks method "+s+" is not part of the core; ask the provider for aes-256-gcm or newer")
	}
	return "", reject(CodeUnsupportedCipher, "the Shadowsocks method is not known; it can be aes-128-gcm, aes-256-gcm, chacha20-ietf-poly1305, xchacha20-ietf-poly1305 or a 2022-blake3 one")
}

// parseShadowsocksKeys checks the keys of a 2022 method (SIP022) and returns them in padded
// standard base64, as the core wants them.
func parseShadowsocksKeys(method, password string) (string, *Error) {
	size := 32
	if method == "2022-blake3-aes-128-gcm" {
		size = 16
	}
	keys := strings.Split(password, ":")
	if len(keys) > 1 && method == "2022-blake3-chacha20-poly1305" {
		return "", reject(CodeBadKey, "the method 2022-blake3-chacha20-poly1305 takes one key, the link has several; ask for a complete link")
	}
	for i, key := range keys {
		raw, ok := decodeBase64(key)
		if !ok || len(raw) < size {
			return "", reject(CodeBadKey, "a key of the Shadowsocks link is too short for its method or not base64; ask for a complete link")
		}
		keys[i] = base64.StdEncoding.EncodeToString(raw)
	}
	return strings.Join(keys, ":"), nil
}
