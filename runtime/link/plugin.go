package link

import "strings"

// plugins are the names of plugins that a message may repeat.
var plugins = map[string]bool{
	"obfs-local": true, "simple-obfs": true, "obfs": true, "v2ray-plugin": true, "xray-plugin": true, "shadow-tls": true, "kcptun": true,
	"gost-plugin": true, "cloak": true, "ck-client": true, "qtun": true, "restls": true, "kcptun-client": true, "gun": true,
}

// readPlugin replaces the parameter plugin of a Shadowsocks link (SIP003: name;key=value;flag) by
// the transport that means the same to the core, if there is one: v2ray-plugin over WebSocket
// without its multiplexer is Shadowsocks over WebSocket. The plugin's multiplexer works below
// Shadowsocks, the core's above it.
func readPlugin(q *query) *Error {
	text := q.get("plugin")
	name, rest, _ := cutPlain(text, ';')
	name = word(name)
	if name == "" || name == "none" {
		q.drop("plugin")
		return nil
	}
	reject := func(why string) *Error {
		if !plugins[name] {
			name = "of the link"
		}
		return reject(CodeUnsupportedPlugin, "the Shadowsocks plugin "+name+" "+why)
	}
	if name != "v2ray-plugin" && name != "xray-plugin" {
		return reject("is not part of the core; ask for a link without a plugin")
	}
	options := map[string]string{"mode": "websocket", "mux": "1", "path": "/"}
	for rest != "" {
		var part string
		part, rest, _ = cutPlain(rest, ';')
		key, value, found := cutPlain(part, '=')
		switch key = strings.TrimSpace(unslash(key)); {
		case found:
			options[key] = unslash(value)
		case key != "":
			options[key] = "true"
		}
	}
	for key := range options {
		switch key {
		case "mode", "mux", "path", "host", "tls", "loglevel", "fast-open", "fastOpen":
		case "cert", "certRaw", "key":
			return reject("brings a certificate of its own, which xrat does not support; ask for a link with pcs")
		default:
			return reject("has an option that the core does not know; ask for a link without a plugin")
		}
	}
	switch {
	case options["mode"] != "websocket":
		return reject("is used with a mode that the core does not have; it can be websocket")
	case options["mux"] != "0":
		return reject("is used with its multiplexer, which the core does not have; the server has to switch it off (mux=0)")
	case q.get("type") != "" && q.word("type") != "tcp" || q.get("security") != "" && q.word("security") != "none":
		return reject("is given together with another transport; ask for a link with one of them")
	}
	q.drop("plugin", "type", "security", "host", "path")
	q.params = append(q.params, param{"type", "ws"}, param{"host", options["host"]}, param{"path", options["path"]})
	if _, ok := options["tls"]; ok {
		q.params = append(q.params, param{"security", "tls"})
	}
	return nil
}

// cutPlain is strings.Cut at a character that no backslash precedes, as SIP003 escapes those in
// keys and values.
func cutPlain(s string, at byte) (before, after string, found bool) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case at:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// unslash takes off the backslashes.
func unslash(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// drop removes parameters.
func (q *query) drop(keys ...string) {
	kept := q.params[:0]
	for _, kv := range q.params {
		if !matches(kv.key, keys) {
			kept = append(kept, kv)
		}
	}
	q.params = kept
}
