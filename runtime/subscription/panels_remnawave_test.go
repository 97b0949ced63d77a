package subscription_test

import (
	"encoding/base64"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// remnawave writes what Remnawave does: links, some with a description behind the name, an array of
// configurations of Xray, and entries of mihomo and sing-box. It has no VMess.
func remnawave() []format {
	d := newDice(3)
	var links, configs []item
	xray := slices.Concat(servers(d, "vless"), servers(d, "trojan"))
	for i, s := range xray {
		s.masks = nil
		if i%6 == 0 {
			s.masks = split("1-3", "100-200", "10-20")
		}
		text := remnawaveLink(s)
		if i%7 == 0 {
			text += "?serverDescription=" + base64.StdEncoding.EncodeToString([]byte("fast; for films"))
		}
		links = append(links, item{text: text, want: s})

		config := xrayConfig(s, xrayStyle{newNames: i%2 == 0, flat: i%4 == 0}, nil, "")
		if i%7 == 0 {
			config["meta"] = object{"serverDescription": "fast; for films"}
		}
		if settings, ok := config["outbounds"].([]any)[0].(object)["streamSettings"].(object); ok && i%3 == 0 {
			settings["sockopt"] = object{"domainStrategy": "UseIP", "happyEyeballs": object{"tryDelayMs": 250}, "tcpFastOpen": true}
		}
		configs = append(configs, item{text: jsonText(config), want: s})
	}
	// With extra, the core does not look at the settings beside it, except these three.
	beside := server{
		protocol: "vless", remark: "beside extra", host: "de1.a.org", port: 443, secret: d.uuid(), encryption: "none",
		transport: transport{kind: "xhttp", path: "/x", host: "cdn.a.org", mode: "packet-up", extra: object{"scMaxEachPostBytes": "1000-2000"}}, security: security{kind: "tls", sni: "de1.a.org"},
	}
	config := xrayConfig(beside, xrayStyle{}, nil, "")
	settings := config["outbounds"].([]any)[0].(object)["streamSettings"].(object)["xhttpSettings"].(object)
	settings["xPaddingBytes"], settings["noGRPCHeader"] = "1-2", true
	configs = append(configs, item{text: jsonText(config), want: beside})
	plain := shadowsocksServers(d)
	for _, s := range plain {
		links = append(links, item{text: "ss://" + base64.RawURLEncoding.EncodeToString([]byte(s.method+":"+s.secret)) + "@" + hostPort(s) + "#" + encodeComponent(s.remark), want: s})
		configs = append(configs, item{text: jsonText(xrayConfig(s, xrayStyle{}, nil, "")), want: s})
	}
	hysteria := hysteriaServers(d)
	for _, s := range hysteria {
		p := pairs{{"sni", s.security.sni}, {"alpn", "h3"}}
		if s.quic.salamander != "" {
			p.add("obfs", "salamander")
			p.add("obfs-password", s.quic.salamander)
		}
		p.add("insecure", map[bool]string{true: "1", false: "0"}[s.security.insecure])
		if s.security.pins != "" {
			p.add("pinSHA256", s.security.pins)
		}
		fm := object{}
		parameters := object{}
		if s.quic.ports != "" {
			parameters["udpHop"] = object{"ports": s.quic.ports, "interval": s.quic.interval}
		}
		if s.quic.up > 0 {
			parameters["brutalUp"] = number(s.quic.up) + "mbps"
		}
		if s.quic.down > 0 {
			parameters["brutalDown"] = number(s.quic.down) + "mbps"
		}
		if len(parameters) > 0 {
			fm["quicParams"] = parameters
			p.add("fm", jsonText(fm))
		}
		links = append(links, item{text: "hysteria2://" + encodeComponent(s.secret) + "@" + hostPort(s) + "?" + p.form() + "#" + encodeComponent(s.remark), want: s})
		configs = append(configs, item{text: jsonText(xrayConfig(s, xrayStyle{}, nil, "")), want: s})
	}
	all := slices.Concat(xray, plain, hysteria)
	return []format{
		{name: "Remnawave/base64", frame: encoded, borrow: fromLink, items: links},
		{name: "Remnawave/Xray JSON", frame: inArray, borrow: fromJSON, items: configs},
		{name: "Remnawave/mihomo", frame: clashConfig(yamlStyle{plain: careful, quote: singleQuoted, indent: true}), borrow: fromClash, items: itemsOf(all, clashItem)},
		{name: "Remnawave/sing-box", frame: singBoxConfig, borrow: fromJSON, items: itemsOf(all, singBoxItem)},
	}
}

// encodeComponent escapes as browsers do.
func encodeComponent(s string) string {
	s = strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
	return strings.NewReplacer("%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*").Replace(s)
}

func remnawaveLink(s server) string {
	t, x := s.transport, s.security
	p := pairs{}
	if s.protocol == "vless" {
		p.add("encryption", s.encryption)
	}
	p.add("type", t.kind)
	set := func(key, value string) {
		if value != "" {
			p.add(key, value)
		}
	}
	switch t.kind {
	case "tcp":
		if t.disguised {
			p.add("headerType", "http")
			p.add("host", t.host)
			p.add("path", t.path)
		}
	case "ws", "httpupgrade":
		p.add("path", s.fields(fromLink)["path"])
		set("host", t.host)
	case "grpc":
		p.add("serviceName", t.service)
		set("authority", t.authority)
		p.add("mode", map[bool]string{true: "multi", false: "gun"}[t.multi])
	case "xhttp":
		p.add("path", t.path)
		set("host", t.host)
		set("mode", t.mode)
		if t.extra != nil {
			p.add("extra", jsonText(t.extra))
		}
	case "kcp":
		p.add("headerType", orNone(t.header))
		set("host", t.domain)
		set("seed", t.seed)
	}
	p.add("security", x.kind)
	set("sni", x.sni)
	set("fp", x.fp)
	set("alpn", strings.Join(x.alpn, ","))
	set("pbk", x.publicKey)
	set("sid", x.shortID)
	set("spx", x.spiderX)
	set("pqv", x.postQuanta)
	set("ech", x.ech)
	set("pcs", x.pins)
	set("vcn", x.names)
	if x.insecure {
		p.add("allowInsecure", "1")
	}
	set("flow", s.flow)
	if s.masks != nil {
		p.add("fm", jsonText(maps.Clone(s.masks)))
	}
	return s.protocol + "://" + encodeComponent(s.secret) + "@" + hostPort(s) + "?" + p.form() + "#" + encodeComponent(s.remark)
}
