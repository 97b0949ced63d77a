package subscription_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// pairs are parameters in the order in which a panel writes them.
type pairs [][2]string

func (p *pairs) add(key, value string) { *p = append(*p, [2]string{key, value}) }

// form writes parameters as a form, in which a space is a plus.
func (p pairs) form() string {
	var parts []string
	for _, kv := range p {
		parts = append(parts, kv[0]+"="+url.QueryEscape(kv[1]))
	}
	return strings.Join(parts, "&")
}

// dumps writes JSON as Python does, with spaces.
func dumps(value any) string {
	switch value := value.(type) {
	case map[string]any:
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(value)) {
			parts = append(parts, jsonText(key)+": "+dumps(value[key]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		var parts []string
		for _, item := range value {
			parts = append(parts, dumps(item))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return jsonText(value)
}

// marzban writes what Marzban and its descendants do: parameters without a value, JSON with spaces,
// the fragment as Streisand wants it, configurations of Xray, and entries of mihomo and sing-box.
func marzban() []format {
	d := newDice(2)
	var links, configs []item
	xray := slices.Concat(servers(d, "vless"), servers(d, "vmess"), servers(d, "trojan"))
	for i, s := range xray {
		l := s
		fragment := ""
		if i%5 == 0 && s.security.kind != "none" {
			fragment, l.masks = "10-100,100-200,tlshello", split("tlshello", "10-100", "100-200")
		}
		if s.security.names == "" && s.security.ech == "" && s.security.postQuanta == "" {
			if s.protocol == "vmess" {
				links = append(links, item{text: marzbanVMess(l, fragment), want: l})
			} else {
				links = append(links, item{text: marzbanLink(l, fragment), want: l})
			}
		}

		c := s
		if i%3 == 0 && c.flow == "" {
			c.mux = 8
		}
		var splitting object
		masks := object{}
		if i%4 == 0 {
			splitting = object{"fragment": object{"packets": "tlshello", "length": "10-100", "interval": "100-200"}}
			maps.Copy(masks, split("tlshello", "10-100", "100-200"))
		}
		if i%8 == 0 && s.transport.kind != "kcp" {
			splitting["noises"] = []any{object{"type": "rand", "packet": "10-20", "delay": "10-16"}, object{"type": "base64", "packet": "7nQBAAABAAAAAAAABnQtcmluZwZtc2VkZ2UDbmV0AAABAAE=", "delay": 10}}
			masks["udp"] = []any{object{"type": "noise", "settings": object{"noise": []any{
				object{"rand": "10-20", "delay": "10-16"}, object{"type": "base64", "packet": "7nQBAAABAAAAAAAABnQtcmluZwZtc2VkZ2UDbmV0AAABAAE=", "delay": "10"},
			}}}}
		}
		text := jsonText(xrayConfig(c, xrayStyle{hostBelow: i%2 == 0}, splitting, "fragment_out"))
		if splitting != nil {
			c.masks = masks
		}
		configs = append(configs, item{text: text, want: c})
	}
	plain := shadowsocksServers(d)
	for _, s := range plain {
		links = append(links, item{text: "ss://" + base64.StdEncoding.EncodeToString([]byte(s.method+":"+s.secret)) + "@" + hostPort(s) + "#" + url.PathEscape(s.remark), want: s})
		configs = append(configs, item{text: jsonText(xrayConfig(s, xrayStyle{}, nil, "")), want: s})
	}
	all := append(xray, plain...)
	return []format{
		{name: "Marzban/base64", frame: encoded, borrow: fromLink, items: links},
		{name: "Marzban/v2ray-json", frame: inArray, borrow: fromJSON, items: configs},
		{name: "Marzban/clash-meta", frame: clashConfig(yamlStyle{plain: python, quote: singleQuoted}), borrow: fromClash, items: itemsOf(all, clashItem)},
		{name: "Marzban/sing-box", frame: singBoxConfig, borrow: fromJSON, items: itemsOf(all, singBoxItem)},
	}
}

func marzbanLink(s server, fragment string) string {
	t, x := s.transport, s.security
	p := pairs{{"security", x.kind}, {"type", t.kind}}
	header := ""
	if t.disguised {
		header = "http"
	}
	switch t.kind {
	case "grpc":
		p.add("headerType", "")
		p.add("serviceName", t.service)
		p.add("authority", t.authority)
		p.add("mode", map[bool]string{true: "multi", false: "gun"}[t.multi])
	case "xhttp":
		p.add("headerType", "")
		p.add("path", t.path)
		p.add("host", t.host)
		p.add("mode", t.mode)
		extra := object{"scMaxConcurrentPosts": 100, "keepAlivePeriod": 0}
		maps.Copy(extra, t.extra)
		p.add("extra", dumps(extra))
	case "kcp":
		p.add("headerType", orNone(t.header))
		p.add("seed", t.seed)
		p.add("host", t.domain)
	default:
		p.add("headerType", header)
		p.add("path", marzbanPath(s))
		p.add("host", t.host)
	}
	switch x.kind {
	case "tls":
		p.add("sni", x.sni)
		p.add("fp", x.fp)
		if x.alpn != nil {
			p.add("alpn", strings.Join(x.alpn, ","))
		}
		if fragment != "" {
			p.add("fragment", fragment)
		}
		if x.insecure {
			p.add("allowInsecure", "1")
		}
	case "reality":
		p.add("sni", x.sni)
		p.add("fp", x.fp)
		p.add("pbk", x.publicKey)
		p.add("sid", x.shortID)
		if x.spiderX != "" {
			p.add("spx", x.spiderX)
		}
		if fragment != "" {
			p.add("fragment", fragment)
		}
	}
	if s.flow != "" {
		p.add("flow", s.flow)
	}
	if s.protocol == "vless" {
		p.add("encryption", s.encryption)
	}
	if x.pins != "" {
		p.add("pcs", x.pins)
	}
	return s.protocol + "://" + strings.ReplaceAll(url.QueryEscape(s.secret), "+", "%20") + "@" + hostPort(s) + "?" + p.form() + "#" + url.PathEscape(s.remark)
}

func marzbanPath(s server) string {
	switch s.transport.kind {
	case "ws", "httpupgrade":
		return s.fields(fromLink)["path"]
	}
	return s.transport.path
}

// marzbanVMess has the mode of xhttp and of grpc where the header type is, and extra as an object.
func marzbanVMess(s server, fragment string) string {
	t, x := s.transport, s.security
	o := object{"add": s.host, "aid": "0", "host": t.host, "id": s.secret, "net": t.kind, "path": marzbanPath(s), "port": s.port, "ps": s.remark, "scy": s.method, "tls": x.kind, "type": "", "v": "2"}
	switch t.kind {
	case "tcp":
		if t.disguised {
			o["type"] = "http"
		}
	case "grpc":
		o["path"], o["host"], o["authority"] = t.service, t.authority, t.authority
		o["type"] = map[bool]string{true: "multi", false: "gun"}[t.multi]
	case "xhttp":
		extra := object{"scMaxConcurrentPosts": 100}
		maps.Copy(extra, t.extra)
		o["type"], o["extra"] = t.mode, extra
	case "kcp":
		o["type"], o["path"], o["host"] = t.header, t.seed, t.domain
	}
	switch x.kind {
	case "none":
		o["tls"] = ""
	case "tls":
		o["sni"], o["fp"] = x.sni, x.fp
		if x.alpn != nil {
			o["alpn"] = strings.Join(x.alpn, ",")
		}
		if x.insecure {
			o["allowInsecure"] = 1
		}
		if x.pins != "" {
			o["pcs"] = x.pins
		}
	case "reality":
		o["sni"], o["fp"], o["pbk"], o["sid"] = x.sni, x.fp, x.publicKey, x.shortID
		if x.spiderX != "" {
			o["spx"] = x.spiderX
		}
	}
	if fragment != "" {
		o["fragment"] = fragment
	}
	if s.port%2 == 0 { // some of its descendants
		o["port"] = fmt.Sprint(s.port)
		o["aid"] = 0
	}
	return "vmess://" + base64.StdEncoding.EncodeToString([]byte(dumps(o)))
}
