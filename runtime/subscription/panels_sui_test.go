package subscription_test

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
)

// sui writes what s-ui does, a panel of sing-box: links of its protocols with bandwidths and ports,
// VMess in JSON with numbers, lists and flags, configurations of sing-box, and entries of mihomo.
func sui() []format {
	d := newDice(5)
	var links []item
	xray := slices.Concat(servers(d, "vless"), servers(d, "vmess"), servers(d, "trojan"))
	for _, s := range xray {
		// What sing-box has is what its format has.
		if _, ok := singBoxOutbound(s); !ok || s.transport.early > 0 {
			continue
		}
		if s.protocol == "vmess" {
			links = append(links, item{text: suiVMess(s), want: s})
		} else {
			links = append(links, item{text: suiLink(s), want: s})
		}
	}
	plain := shadowsocksServers(d)
	for _, s := range plain {
		user := base64.StdEncoding.EncodeToString([]byte(s.method + ":" + s.secret))
		links = append(links, item{text: "ss://" + user + "@" + hostPort(s) + fragment(s.remark), want: s})
	}
	hysteria := hysteriaServers(d)
	for i, s := range hysteria {
		q := url.Values{"sni": {s.security.sni}, "alpn": {"h3"}, "fastopen": {"0"}}
		set := func(key, value string) {
			if value != "" {
				q.Set(key, value)
			}
		}
		set("upmbps", number(s.quic.up))
		set("downmbps", number(s.quic.down))
		// The list of ports has had several names and separators.
		set(pick(d, "mport", "mports"), s.quic.ports)
		if i%2 == 0 && q.Has("mport") {
			q.Set("mport", strings.ReplaceAll(s.quic.ports, "-", ":"))
		}
		if s.quic.salamander != "" {
			q.Set("obfs", "salamander")
			q.Set("obfs-password", s.quic.salamander)
		}
		if s.security.insecure {
			q.Set("insecure", "1")
		}
		set("pinSHA256", s.security.pins)
		s.quic.interval = ""
		links = append(links, item{text: "hysteria2://" + url.PathEscape(s.secret) + "@" + hostPort(s) + "?" + q.Encode() + fragment(s.remark), want: s})
	}
	for i, scheme := range []string{"socks5", "http", "https"} {
		s := server{
			protocol: strings.TrimRight(scheme, "s5"), remark: remarks[i], host: hosts[i], port: 1080 + i, user: "us/er@x", secret: "p#a?s/s:w", transport: transport{kind: "tcp"}, security: security{kind: "none"},
		}
		if scheme == "socks5" {
			s.protocol = "socks"
		}
		if scheme == "https" {
			s.security = security{kind: "tls"}
		}
		links = append(links, item{text: scheme + "://" + url.UserPassword(s.user, s.secret).String() + "@" + hostPort(s) + fragment(s.remark), want: s})
	}
	all := slices.Concat(xray, plain, hysteria, tunnelServers(d))
	style := yamlStyle{plain: careful, quote: doubleQuoted, indent: true}
	return []format{
		{name: "s-ui/links", frame: lines, borrow: fromLink, items: links},
		{name: "s-ui/base64", frame: encoded, borrow: fromLink, items: links, packed: true},
		{name: "s-ui/sing-box", frame: singBoxConfig, borrow: fromJSON, items: itemsOf(all, singBoxItem)},
		{name: "s-ui/Clash", frame: clashConfig(style), borrow: fromClash, items: itemsOf(all, clashItem)},
		{name: "s-ui/what the core lacks", frame: lines, borrow: fromLink, items: suiForeign(d)},
	}
}

func suiLink(s server) string {
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
		}
		set("host", t.host)
		set("path", t.path)
	case "ws", "httpupgrade":
		set("host", t.host)
		set("path", t.path)
	case "grpc":
		set("serviceName", t.service)
		q.Set("mode", "gun")
	}
	set("sni", x.sni)
	set("fp", x.fp)
	set("alpn", strings.Join(x.alpn, ","))
	set("pbk", x.publicKey)
	set("sid", x.shortID)
	set("ech", x.ech)
	set("flow", s.flow)
	if x.insecure {
		q.Set("allowInsecure", "1")
	}
	return s.protocol + "://" + url.PathEscape(s.secret) + "@" + hostPort(s) + "?" + q.Encode() + fragment(s.remark)
}

func suiVMess(s server) string {
	t, x := s.transport, s.security
	o := object{"v": 2, "ps": s.remark, "add": s.host, "port": s.port, "id": s.secret, "aid": 0, "scy": s.method, "net": t.kind, "type": "none", "tls": "none"}
	switch t.kind {
	case "grpc":
		o["path"] = t.service
	default:
		o["host"], o["path"] = t.host, t.path
		if t.disguised {
			o["type"], o["host"], o["path"] = "http", []any{t.host}, []any{t.path}
		}
	}
	if x.kind != "none" {
		o["tls"], o["sni"], o["fp"], o["allowInsecure"] = x.kind, x.sni, x.fp, x.insecure
		if x.alpn != nil {
			o["alpn"] = x.alpn
		}
		if x.ech != "" {
			o["ech"] = x.ech
		}
	}
	if x.kind == "reality" {
		o["pbk"], o["sid"] = x.publicKey, x.shortID
	}
	return "vmess://" + base64.StdEncoding.EncodeToString([]byte(jsonText(o)))
}

// suiForeign are the protocols of sing-box that the core does not speak.
func suiForeign(d dice) []item {
	id := d.uuid()
	return []item{
		{text: "tuic://" + id + ":pw@de1.a.org:443?sni=de1.a.org&congestion_control=bbr#t", code: "unsupported_protocol", reason: "tuic"},
		{text: "anytls://pw@de1.a.org:443?sni=de1.a.org#a", code: "unsupported_protocol", reason: "anytls"},
		{text: "naive+https://user:pw@de1.a.org:443?padding=1#n", code: "unsupported_protocol", reason: "naive"},
		{text: "hysteria://de1.a.org:443?protocol=udp&auth=x&peer=de1.a.org&upmbps=50&downmbps=50#h", code: "unsupported_protocol", reason: "hysteria"},
		{text: "vless://" + id + "@de1.a.org:443?type=http&security=tls&host=de1.a.org&path=%2F#h2", code: "unsupported_transport", reason: "http"},
	}
}
