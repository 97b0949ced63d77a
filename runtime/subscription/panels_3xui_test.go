package subscription_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"strings"
)

// threeXUI writes what 3x-ui does: links whose parameters are sorted and encoded as a form, VMess
// in JSON over several lines, the settings of xhttp twice (in extra, and flattened), configurations
// of Xray with what the inbound has, and entries of mihomo.
func threeXUI() []format {
	d := newDice(1)
	var links, configs, clash []item
	xray := append(append(servers(d, "vless"), servers(d, "vmess")...), servers(d, "trojan")...)
	for i, s := range xray {
		if s.protocol == "vmess" && s.security.kind == "reality" {
			continue // the panel does not offer it
		}
		if i%5 == 0 {
			s.masks = split("tlshello", "100-200", "10-20")
		}
		if s.protocol == "vmess" {
			links = append(links, item{text: xuiVMess(s, i), want: s})
		} else {
			links = append(links, item{text: xuiLink(s, i), want: s})
		}

		c := s
		c.masks = nil
		if i%3 == 0 {
			c.mux = 8
		}
		var splitting object
		if i%4 == 0 {
			splitting = object{"domainStrategy": "AsIs", "fragment": object{"packets": "tlshello", "length": "100-200", "interval": "10-20"}}
		}
		text := jsonText(xrayConfig(c, xrayStyle{flat: true, asServer: true}, splitting, "fragment"))
		if splitting != nil {
			c.masks = split("tlshello", "100-200", "10-20")
		}
		it := item{text: text, want: c}
		if c.flow != "" && c.mux > 0 {
			// The panel sets it for every server. The flow does not go with it: other clients leave
			// it out.
			it.want.mux, it.left = 0, "mux"
		}
		configs = append(configs, it)
	}
	for _, s := range shadowsocksServers(d) {
		user := base64.StdEncoding.EncodeToString([]byte(s.method + ":" + s.secret))
		links = append(links, item{text: "ss://" + user + "@" + hostPort(s) + "?type=tcp" + fragment(s.remark), want: s})
		configs = append(configs, item{text: jsonText(xrayConfig(s, xrayStyle{asServer: true}, nil, "")), want: s})
	}
	for i, s := range hysteriaServers(d) {
		// The panel writes what its own form has, and no bandwidth.
		s.quic.up, s.quic.down = 0, 0
		q := url.Values{"security": {"tls"}, "sni": {s.security.sni}, "alpn": {"h3"}, "fp": {"chrome"}}
		if s.security.insecure {
			q.Set("insecure", "1")
		}
		if s.security.pins != "" {
			q.Set("pinSHA256", s.security.pins)
		}
		if s.quic.salamander != "" {
			q.Set("obfs", "salamander")
			q.Set("obfs-password", s.quic.salamander)
			if i%2 == 0 { // before its version 3.6 also in the words of the core
				q.Set("fm", jsonText(object{"udp": []any{object{"type": "salamander", "settings": object{"password": s.quic.salamander}}}}))
			}
		}
		if s.quic.ports != "" {
			q.Set("mport", s.quic.ports)
		}
		bare := s
		bare.quic.interval, bare.security.fp = "", ""
		links = append(links, item{text: "hysteria2://" + url.PathEscape(s.secret) + "@" + hostPort(s) + "?" + q.Encode() + fragment(s.remark), want: bare})
		configs = append(configs, item{text: jsonText(xrayConfig(s, xrayStyle{asServer: true}, nil, "")), want: s})
	}
	for _, s := range tunnelServers(d) {
		q := url.Values{"publickey": {s.tunnel.publicKey}, "address": {list(prefixed(s.tunnel.addresses))}}
		set := func(key, value string) {
			if value != "" {
				q.Set(key, value)
			}
		}
		set("presharedkey", s.tunnel.preShared)
		set("mtu", number(s.tunnel.mtu))
		set("keepalive", number(s.tunnel.keepAlive))
		set("reserved", s.tunnel.reserved)
		links = append(links, item{text: "wireguard://" + url.QueryEscape(s.secret) + "@" + hostPort(s) + "?" + q.Encode() + fragment(s.remark), want: s})
		configs = append(configs, item{text: jsonText(xrayConfig(s, xrayStyle{asServer: true}, nil, "")), want: s})
	}
	clash = itemsOf(append(append(xray, shadowsocksServers(d)...), hysteriaServers(d)...), clashItem)
	style := yamlStyle{plain: careful, quote: doubleQuoted, indent: true}
	return []format{
		{name: "3x-ui/links", frame: lines, borrow: fromLink, items: links},
		{name: "3x-ui/base64", frame: encoded, borrow: fromLink, items: links, packed: true},
		{name: "3x-ui/Xray JSON", frame: xuiConfigs, borrow: fromJSON, items: configs},
		{name: "3x-ui/Clash", frame: clashConfig(style), borrow: fromClash, items: clash},
		{name: "3x-ui/what the core lacks", frame: lines, borrow: fromLink, items: xuiRefused(d)},
	}
}

// xuiConfigs is a single configuration, or an array of several.
func xuiConfigs(entries []string) string {
	if len(entries) == 1 {
		return entries[0]
	}
	return inArray(entries)
}

func fragment(name string) string { return "#" + (&url.URL{Fragment: name}).EscapedFragment() }

func list(values []any) string {
	var texts []string
	for _, value := range values {
		texts = append(texts, value.(string))
	}
	return strings.Join(texts, ",")
}

// xuiParams are the parameters that VLESS and Trojan have in common.
func xuiParams(s server, i int) url.Values {
	t, x := s.transport, s.security
	q := url.Values{"type": {t.kind}, "security": {x.kind}}
	set := func(key, value string) {
		if value != "" {
			q.Set(key, value)
		}
	}
	switch t.kind {
	case "tcp":
		if t.disguised {
			q.Set("headerType", "http")
			set("host", t.host)
			set("path", t.path)
		}
	case "ws", "httpupgrade":
		q.Set("path", s.fields(fromLink)["path"])
		set("host", t.host)
	case "grpc":
		q.Set("serviceName", t.service)
		q.Set("authority", t.authority)
		if t.multi {
			q.Set("mode", "multi")
		}
	case "xhttp":
		q.Set("path", t.path)
		q.Set("host", t.host)
		q.Set("mode", t.mode)
		if t.extra != nil {
			extra := maps.Clone(t.extra)
			if t.mode != "" {
				extra["mode"] = t.mode
			}
			q.Set("extra", jsonText(extra))
			if padding, ok := extra["xPaddingBytes"].(string); ok {
				q.Set("x_padding_bytes", padding)
			}
		}
	case "kcp":
		// Older versions have what mKCP itself had, newer ones the masks that came instead.
		if i%2 == 0 {
			q.Set("headerType", orNone(t.header))
			set("host", t.domain)
			set("seed", t.seed)
		} else {
			q.Set("fm", jsonText(kcpMasks(s)))
		}
	}
	if s.masks != nil && q.Get("fm") == "" {
		q.Set("fm", jsonText(s.masks))
	}
	switch x.kind {
	case "tls":
		set("sni", x.sni)
		set("fp", x.fp)
		set("alpn", strings.Join(x.alpn, ","))
		set("ech", x.ech)
		set("pcs", x.pins)
		set("vcn", x.names)
		if x.insecure {
			q.Set("allowInsecure", "1")
		}
	case "reality":
		set("sni", x.sni)
		set("fp", x.fp)
		set("pbk", x.publicKey)
		set("sid", x.shortID)
		set("spx", x.spiderX)
		set("pqv", x.postQuanta)
	}
	set("flow", s.flow)
	set("encryption", s.encryption)
	return q
}

func orNone(header string) string {
	if header == "" {
		return "none"
	}
	return header
}

// kcpMasks are the header and the encryption of mKCP as masks, and other masks of the server.
func kcpMasks(s server) object {
	var udp []any
	if header := s.transport.header; header != "" {
		layer := object{"type": "header-" + strings.TrimSuffix(header, "-video")}
		if s.transport.domain != "" {
			layer["settings"] = object{"domain": s.transport.domain}
		}
		udp = append(udp, layer)
	}
	if seed := s.transport.seed; seed != "" {
		udp = append(udp, object{"type": "mkcp-aes128gcm", "settings": object{"password": seed}})
	} else {
		udp = append(udp, object{"type": "mkcp-original"})
	}
	masks := object{"udp": udp}
	maps.Copy(masks, s.masks)
	return masks
}

func xuiLink(s server, i int) string {
	return s.protocol + "://" + url.PathEscape(s.secret) + "@" + hostPort(s) + "?" + xuiParams(s, i).Encode() + fragment(s.remark)
}

// xuiVMess is JSON with indented lines. The settings of xhttp stand beside the others.
func xuiVMess(s server, i int) string {
	t, x := s.transport, s.security
	o := object{"v": "2", "ps": s.remark, "add": s.host, "port": s.port, "id": s.secret, "scy": s.method, "net": t.kind, "type": "none", "tls": x.kind}
	switch t.kind {
	case "tcp":
		if t.disguised {
			o["type"], o["path"], o["host"] = "http", t.path, t.host
		}
	case "ws", "httpupgrade":
		o["path"], o["host"] = s.fields(fromLink)["path"], t.host
	case "grpc":
		o["path"], o["authority"] = t.service, t.authority
		if t.multi {
			o["type"] = "multi"
		}
	case "xhttp":
		o["path"], o["host"], o["mode"] = t.path, t.host, t.mode
		maps.Copy(o, t.extra)
		if padding, ok := t.extra["xPaddingBytes"]; ok {
			o["x_padding_bytes"] = padding
		}
	case "kcp":
		o["type"], o["path"] = orNone(t.header), t.seed
		if t.domain != "" {
			o["host"] = t.domain
		}
	}
	if s.masks != nil {
		o["fm"] = any(s.masks)
		if i%2 == 0 {
			o["fm"] = jsonText(s.masks)
		}
	}
	if x.kind == "tls" {
		o["sni"], o["fp"], o["alpn"] = x.sni, x.fp, strings.Join(x.alpn, ",")
		if x.insecure {
			o["allowInsecure"] = true
		}
		if x.ech != "" {
			o["ech"] = x.ech
		}
		if x.pins != "" {
			o["pcs"], o["vcn"] = x.pins, x.names
		}
	}
	text, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return err.Error()
	}
	return "vmess://" + base64.StdEncoding.EncodeToString(text)
}

// xuiRefused is what the panel offers and the core does not have.
func xuiRefused(d dice) []item {
	id, key := d.uuid(), d.rawKey(32)
	return []item{
		{text: "vless://" + id + "@de1.a.org:443?type=http&security=tls&path=%2F#h2", code: "unsupported_transport", reason: "http"},
		{text: "vless://" + id + "@de1.a.org:443?type=quic&security=none&headerType=none&quicSecurity=none&key=#quic", code: "unsupported_transport", reason: "quic"},
		{text: "vless://" + id + "@de1.a.org:443?type=tcp&security=xtls#xtls", code: "unsupported_security", reason: "xtls"},
		{text: "vless://" + id + "@de1.a.org:443?type=ws&security=reality&pbk=" + key + "&sni=b.org#ws with reality", code: "unsupported_security", reason: "ws"},
		{text: "vless://" + id + "@de1.a.org:443?type=tcp&security=reality&sni=b.org&sid=ab#no key", code: "bad_key", reason: "pbk"},
		{text: "vless://" + id + "@de1.a.org:443?type=tcp&encryption=mlkem768x25519plus.native.0rtt.short#cut off", code: "bad_key", reason: "encryption"},
		{text: "vless://" + id + "@de1.a.org:443?type=tcp&encryption=mlkem768x25519plus.native.0rtt." + strings.Repeat("_", 1579) + "#no key", code: "bad_key", reason: "encryption"},
		{text: "hysteria2://x@de1.a.org:443?security=tls&sni=de1.a.org&obfs=salamander&obfs-password=y&fm=" + url.QueryEscape(jsonText(object{"udp": []any{
			object{"type": "salamander", "settings": object{"password": "y", "packetSize": "512-1200"}},
		}})) + "#gecko", code: "unsupported_parameter", reason: "packetSize"},
		{text: "ss://" + base64.StdEncoding.EncodeToString([]byte("aes-256-cfb:x")) + "@de1.a.org:443#old", code: "unsupported_cipher", reason: "aes-256-cfb"},
		{text: "vless://@de1.a.org:443?type=tcp#no user", code: "missing_credentials", reason: "user"},
	}
}
