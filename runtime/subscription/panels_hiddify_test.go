package subscription_test

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
)

// hiddifyHead are the lines with which Hiddify Manager describes the subscription.
const hiddifyHead = "#profile-title: base64:TXkgUHJvZmlsZSDwn5qA\n#profile-update-interval: 1\n" +
	"#subscription-userinfo: upload=0; download=1073741824; total=10737418240; expire=1893456000\n" +
	"#support-url: https://t.me/somebody\n#profile-web-page-url: https://panel.a.org/x/\n#connection-test-url: http://cp.cloudflare.com\n\n"

// hiddify writes what Hiddify Manager does: head lines and comments among the links, parameters
// that are not escaped, words in the style of Python, and what its users set for splitting packets.
func hiddify() []format {
	d := newDice(4)
	var links []item
	xray := slices.Concat(servers(d, "vless"), servers(d, "vmess"), servers(d, "trojan"))
	for i, s := range xray {
		x, t := s.security, s.transport
		if x.names != "" || x.pins != "" || x.ech != "" || x.postQuanta != "" || strings.ContainsAny(t.path+x.spiderX+t.service, " +?#&=🚀|") || t.kind == "kcp" || t.authority != "" {
			continue
		}
		s.encryption = strings.NewReplacer("mlkem", "none").Replace(s.encryption)[:min(4, len(s.encryption))]
		fragment := ""
		if i%3 == 0 && x.kind == "tls" {
			fragment, s.masks = "10-20,2-4,tlshello", split("tlshello", "10-20", "2-4")
		}
		if s.protocol == "vmess" {
			links = append(links, item{text: hiddifyVMess(s, fragment), want: s})
			continue
		}
		it := item{text: hiddifyLink(s, fragment), want: s}
		if i%11 == 0 && s.flow == "" {
			// The multiplexer of sing-box, which servers do not insist on.
			name := strings.IndexByte(it.text, '#')
			it.text = it.text[:name] + "&muxtype=smux&muxmaxc=4&mux=4&muxsmax=0&muxpad=False" + it.text[name:]
			it.left = "mux"
		}
		links = append(links, it)
	}
	for _, s := range hysteriaServers(d) {
		if s.quic.ports != "" || s.quic.up > 0 || s.quic.down > 0 || s.security.pins != "" {
			continue
		}
		text := "hysteria2://" + encodeComponent(s.secret) + "@" + hostPort(s) + "?hiddify=1"
		if s.quic.salamander != "" {
			text += "&obfs=salamander&obfs-password=" + encodeComponent(s.quic.salamander)
		}
		text += "&sni=" + s.security.sni + "&alpn=h3"
		if s.security.insecure {
			text += "&insecure=1"
		}
		links = append(links, item{text: text + "#" + encodeComponent(s.remark), want: s})
	}
	for i, s := range tunnelServers(d) {
		s.tunnel.addresses, s.tunnel.mtu, s.tunnel.keepAlive, s.tunnel.reserved, s.tunnel.preShared = "10.90.0.2", 1380, 0, "", d.key(32)
		name := "#" + encodeComponent(s.remark)
		// It writes one of three forms, by the client that asks.
		switch i {
		case 0, 3:
			text := "wg://" + hostPort(s) + "/?pk=" + s.secret + "&local_address=10.90.0.2/32&peer_pk=" + s.tunnel.publicKey + "&pre_shared_key=" + s.tunnel.preShared +
				"&workers=4&mtu=1380&reserved=0,0,0&ifp="
			if i == 3 {
				links = append(links, item{text: text + "40-80" + name, want: s, left: "ifp"})
				continue
			}
			links = append(links, item{text: text + name, want: s})
		case 1:
			s.tunnel.mtu, s.tunnel.addresses = 0, ""
			links = append(links, item{text: "wireguard://" + hostPort(s) + "?private_key=" + s.secret + "&peer_public_key=" + s.tunnel.publicKey + "&pre_shared_key=" + s.tunnel.preShared + "&reserved=0,0,0" + name, want: s})
		case 2:
			s.tunnel.keepAlive, s.tunnel.addresses = 30, "10.0.0.1"
			links = append(links, item{text: "wg://" + hostPort(s) + "?publicKey=" + s.tunnel.publicKey + "&privateKey=" + s.secret + "&presharedKey=" + s.tunnel.preShared + "&ip=10.0.0.1&mtu=1380&keepalive=30&udp=1&reserved=0,0,0" + name, want: s})
		}
	}
	all := slices.Concat(xray, hysteriaServers(d), tunnelServers(d))
	return []format{
		{name: "Hiddify/links", frame: hiddifyList, borrow: fromLink, items: links},
		{name: "Hiddify/base64", frame: func(e []string) string { return base64.StdEncoding.EncodeToString([]byte(hiddifyList(e))) }, borrow: fromLink, items: links, packed: true},
		{name: "Hiddify/base64 behind head lines", frame: func(e []string) string { return hiddifyHead + encoded(e) }, borrow: fromLink, items: links, packed: true},
		{name: "Hiddify/sing-box", frame: singBoxConfig, borrow: fromJSON, items: itemsOf(all, singBoxItem)},
		{name: "Hiddify/what the core lacks", frame: hiddifyList, borrow: fromLink, items: hiddifyForeign(d)},
	}
}

func hiddifyList(entries []string) string {
	return hiddifyHead + "# ⚡️ de1.a.org\n" + strings.Join(entries, "\n\n") + "\n\n// the end\n"
}

func hiddifyLink(s server, fragment string) string {
	t, x := s.transport, s.security
	text := s.protocol + "://" + encodeComponent(s.secret) + "@" + hostPort(s) + "?hiddify=1&sni=" + x.sni + "&type=" + t.kind
	if x.alpn != nil {
		text += "&alpn=" + strings.Join(x.alpn, ",")
	}
	switch t.kind {
	case "grpc":
		text += "&path=" + t.service + "&serviceName=" + t.service + "&mode=" + map[bool]string{true: "multi", false: "gun"}[t.multi]
	case "xhttp":
		text += "&path=" + t.path + "&host=" + t.host + "&mode=" + t.mode
		if t.extra != nil {
			text += "&extra=" + encodeComponent(jsonText(t.extra))
		}
	default:
		text += "&path=" + marzbanPath(s) + "&host=" + t.host
	}
	if s.protocol == "vless" {
		text += "&encryption=none"
	}
	if s.flow != "" {
		text += "&flow=" + s.flow
	}
	if x.fp != "" {
		text += "&fp=" + x.fp
	}
	text += "&headerType=" + map[bool]string{true: "http", false: "None"}[t.disguised]
	if fragment != "" {
		text += "&fragment=" + fragment
	}
	text += "&security=" + x.kind
	switch x.kind {
	case "tls":
		if x.insecure {
			text += "&allowInsecure=true"
		}
	case "reality":
		text += "&pbk=" + x.publicKey + "&sid=" + x.shortID
		if x.spiderX != "" {
			text += "&spx=" + x.spiderX
		}
	}
	return text + "#" + encodeComponent(s.remark)
}

func hiddifyVMess(s server, fragment string) string {
	t, x := s.transport, s.security
	o := object{
		"v": "2", "ps": s.remark, "add": s.host, "port": s.port, "id": s.secret, "aid": 0, "scy": s.method, "net": t.kind, "type": "none",
		"host": t.host, "path": marzbanPath(s), "tls": "", "sni": x.sni, "fp": x.fp, "alpn": strings.Join(x.alpn, ","),
	}
	switch {
	case t.disguised:
		o["type"] = "http"
	case t.kind == "grpc":
		o["path"], o["host"] = t.service, ""
		if t.multi {
			o["type"] = "multi"
		}
	case t.kind == "xhttp":
		o["mode"] = t.mode
		if t.extra != nil {
			o["extra"] = jsonText(t.extra)
		}
	}
	if x.kind != "none" {
		o["tls"] = x.kind
	}
	if x.insecure {
		o["allowInsecure"] = "true"
	}
	if x.kind == "reality" {
		o["pbk"], o["sid"], o["spx"] = x.publicKey, x.shortID, x.spiderX
	}
	if fragment != "" {
		o["fragment"] = fragment
	}
	return "vmess://" + base64.StdEncoding.EncodeToString([]byte(jsonText(o)))
}

// hiddifyForeign are the protocols of the panel that the core does not speak.
func hiddifyForeign(d dice) []item {
	id := d.uuid()
	user := base64.StdEncoding.EncodeToString([]byte("chacha20-ietf-poly1305:" + id))
	return []item{
		{text: "tuic://" + id + ":" + id + "@de1.a.org:443?hiddify=1&congestion_control=cubic&udp_relay_mode=native&sni=de1.a.org&alpn=h3#tuic", code: "unsupported_protocol", reason: "tuic"},
		{text: "ssh://user:pw@de1.a.org:22/?hiddify=1&file=ssh&pk=x&hk=y#ssh", code: "unsupported_protocol", reason: "ssh"},
		{text: "hysteria://de1.a.org:443?hiddify=1&auth=x&peer=de1.a.org&upmbps=50&downmbps=100#old", code: "unsupported_protocol", reason: "hysteria"},
		{text: "warp://auto?ifp=10-20#WARP", code: "unsupported_protocol", reason: "warp"},
		{text: "ss://" + user + "@de1.a.org:443?hiddify=1&plugin=obfs-local%3Bobfs%3Dtls%3Bobfs-host%3Dwww.b.org#faketls", code: "unsupported_plugin", reason: "obfs-local"},
		{text: "ss://" + user + "@de1.a.org:443?hiddify=1&plugin=shadow-tls%3Bversion%3D3%3Bhost%3Dwww.b.org%3Bpassword%3Dx#shadowtls", code: "unsupported_plugin", reason: "shadow-tls"},
		{text: "ss://" + user + "@de1.a.org:443?hiddify=1&plugin=v2ray-plugin%3Bmode%3Dwebsocket%3Bpath%3D%2Fx%3Bhost%3Dde1.a.org%3Btls#v2ray", code: "unsupported_plugin", reason: "mux"},
		{text: "vless://" + id + "@de1.a.org:443?hiddify=1&sni=de1.a.org&type=h2&path=/x&host=de1.a.org&security=tls#h2", code: "unsupported_transport", reason: "h2"},
		{text: "vless://" + id + "@de1.a.org:443?hiddify=1&sni=de1.a.org&type=quic&security=tls#" + url.PathEscape("quic 🚀"), code: "unsupported_transport", reason: "quic"},
	}
}
