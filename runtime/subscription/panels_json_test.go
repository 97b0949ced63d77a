package subscription_test

import (
	"encoding/json"
	"maps"
	"strings"
)

// What several panels write in the same way, because it is the format of a core: outbounds of Xray
// and of sing-box, and entries of mihomo.

type object = map[string]any

func jsonText(value any) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(b.String())
}

// xrayStyle is how a panel writes outbounds of Xray.
type xrayStyle struct {
	flat      bool // the server beside its user, as newer cores have it
	asServer  bool // with all that the inbound has
	hostBelow bool // the host of WebSocket among the headers
	newNames  bool // raw for tcp, and the public key of REALITY as its password
}

// xrayOutbound is an outbound with the tag proxy.
func xrayOutbound(s server, style xrayStyle) object {
	o := object{"tag": "proxy", "protocol": s.protocol}
	switch s.protocol {
	case "vless", "vmess":
		user := object{"id": s.secret, "level": 8}
		if s.protocol == "vmess" {
			user["security"], user["alterId"], user["email"] = s.method, 0, "t@t.tt"
		} else {
			user["encryption"], user["flow"] = s.encryption, s.flow
		}
		if style.flat && s.protocol == "vless" {
			user["address"], user["port"] = s.host, s.port
			o["settings"] = user
		} else {
			o["settings"] = object{"vnext": []any{object{"address": s.host, "port": s.port, "users": []any{user}}}}
		}
	case "trojan":
		o["settings"] = object{"servers": []any{object{"address": s.host, "port": s.port, "password": s.secret, "level": 8, "email": "t@t.tt"}}}
	case "shadowsocks":
		o["settings"] = object{"servers": []any{object{"address": s.host, "port": s.port, "method": s.method, "password": s.secret, "level": 8, "uot": false}}}
	case "hysteria2":
		o["protocol"] = "hysteria"
		o["settings"] = object{"version": 2, "address": s.host, "port": s.port}
	case "wireguard":
		peer := object{"endpoint": hostPort(s), "publicKey": s.tunnel.publicKey, "allowedIPs": []any{"0.0.0.0/0", "::/0"}}
		if s.tunnel.preShared != "" {
			peer["preSharedKey"] = s.tunnel.preShared
		}
		if s.tunnel.keepAlive > 0 {
			peer["keepAlive"] = s.tunnel.keepAlive
		}
		settings := object{"secretKey": s.secret, "address": prefixed(s.tunnel.addresses), "peers": []any{peer}, "noKernelTun": false}
		if s.tunnel.mtu > 0 {
			settings["mtu"] = s.tunnel.mtu
		}
		if s.tunnel.reserved != "" {
			settings["reserved"] = json.RawMessage("[" + s.tunnel.reserved + "]")
		}
		o["settings"] = settings
		return o
	}
	if s.mux > 0 {
		o["mux"] = object{"enabled": true, "concurrency": s.mux, "xudpConcurrency": 16, "xudpProxyUDP443": "reject"}
	} else if style.asServer {
		o["mux"] = object{"enabled": false, "concurrency": -1}
	}
	o["streamSettings"] = xrayStream(s, style)
	return o
}

func xrayStream(s server, style xrayStyle) object {
	t := s.transport
	stream := object{"network": t.kind, "security": s.security.kind}
	switch t.kind {
	case "tcp":
		header := object{"type": "none"}
		if t.disguised {
			header = object{"type": "http", "request": object{
				"version": "1.1", "method": "GET", "path": []any{t.path},
				"headers": object{"Host": []any{t.host}, "User-Agent": []any{userAgent}, "Accept-Encoding": []any{"gzip, deflate"}, "Connection": []any{"keep-alive"}, "Pragma": "no-cache"},
			}}
			if style.asServer {
				header["response"] = object{"version": "1.1", "status": "200", "reason": "OK", "headers": object{}}
			}
		}
		if style.newNames {
			stream["network"], stream["rawSettings"] = "raw", object{"header": header}
		} else {
			stream["tcpSettings"] = object{"acceptProxyProtocol": false, "header": header}
		}
	case "ws", "httpupgrade":
		settings := object{"path": s.fields(fromJSON)["path"], "acceptProxyProtocol": false}
		if style.hostBelow {
			settings["headers"] = object{"Host": t.host}
		} else {
			settings["host"], settings["headers"] = t.host, object{}
		}
		if t.kind == "ws" {
			settings["heartbeatPeriod"] = 0
		}
		stream[t.kind+"Settings"] = settings
	case "grpc":
		settings := object{"serviceName": t.service, "multiMode": t.multi, "authority": t.authority}
		if !style.asServer {
			settings["idle_timeout"], settings["health_check_timeout"], settings["permit_without_stream"], settings["initial_windows_size"] = 60, 20, false, 35538
		}
		stream["grpcSettings"] = settings
	case "xhttp":
		settings := object{"path": t.path, "host": t.host, "mode": t.mode}
		if style.asServer {
			settings["headers"], settings["noSSEHeader"] = object{}, false
			maps.Copy(settings, t.extra)
		} else if t.extra != nil {
			settings["extra"] = t.extra
		}
		stream["xhttpSettings"] = settings
	case "kcp":
		header := object{"type": t.header, "domain": t.domain}
		if t.header == "" {
			header["type"] = "none"
		}
		stream["kcpSettings"] = object{
			"uplinkCapacity": 5, "downlinkCapacity": 20, "congestion": false, "readBufferSize": 2, "writeBufferSize": 2, "header": header, "seed": t.seed,
		}
	case "hysteria":
		stream["hysteriaSettings"] = object{"version": 2, "auth": s.secret, "udpIdleTimeout": 60}
		mask := object{}
		if s.quic.salamander != "" {
			mask["udp"] = []any{object{"type": "salamander", "settings": object{"password": s.quic.salamander}}}
		}
		parameters := object{}
		if s.quic.ports != "" {
			parameters["udpHop"] = object{"ports": s.quic.ports, "interval": s.quic.interval}
		}
		if s.quic.up > 0 {
			parameters["brutalUp"] = number(s.quic.up) + " mbps"
		}
		if s.quic.down > 0 {
			parameters["brutalDown"] = number(s.quic.down) + " mbps"
		}
		if len(parameters) > 0 {
			mask["quicParams"] = parameters
		}
		if len(mask) > 0 {
			stream["finalmask"] = mask
		}
	}
	if s.masks != nil {
		stream["finalmask"] = s.masks
	}
	switch x := s.security; x.kind {
	case "tls":
		settings := object{"serverName": x.sni, "allowInsecure": x.insecure}
		if x.fp != "" {
			settings["fingerprint"] = x.fp
		}
		if x.alpn != nil {
			settings["alpn"] = x.alpn
		}
		if x.ech != "" {
			settings["echConfigList"] = x.ech
		}
		if x.pins != "" {
			settings["pinnedPeerCertSha256"], settings["verifyPeerCertByName"] = x.pins, x.names
		}
		stream["tlsSettings"] = settings
	case "reality":
		settings := object{"show": false, "serverName": x.sni, "fingerprint": x.fp, "publicKey": x.publicKey, "shortId": x.shortID, "spiderX": x.spiderX}
		if x.postQuanta != "" {
			settings["mldsa65Verify"] = x.postQuanta
		}
		if style.newNames {
			settings["password"] = x.publicKey
			delete(settings, "publicKey")
		}
		stream["realitySettings"] = settings
	}
	return stream
}

func prefixed(addresses string) []any {
	var list []any
	for address := range strings.SplitSeq(addresses, ",") {
		list = append(list, address+map[bool]string{true: "/128", false: "/32"}[strings.Contains(address, ":")])
	}
	return list
}

// others are the outbounds beside the server in every configuration of Xray.
func others() []any {
	return []any{
		object{"tag": "direct", "protocol": "freedom", "settings": object{"domainStrategy": "UseIP"}},
		object{"tag": "block", "protocol": "blackhole", "settings": object{"response": object{"type": "http"}}},
	}
}

// xrayConfig is a whole configuration with the server and, if splitting is not nil, an outbound
// that splits packets through which it goes.
func xrayConfig(s server, style xrayStyle, splitting object, tag string) object {
	proxy := xrayOutbound(s, style)
	list := []any{proxy}
	if splitting != nil {
		proxy["streamSettings"].(object)["sockopt"] = object{"dialerProxy": tag, "tcpKeepAliveIdle": 100, "tcpNoDelay": true}
		list = append(list, object{
			"tag": tag, "protocol": "freedom", "settings": splitting, "streamSettings": object{"sockopt": object{"tcpNoDelay": true, "tcpKeepAliveIdle": 100, "mark": 255}},
		})
	}
	return object{
		"remarks": s.remark, "log": object{"loglevel": "warning"},
		"dns":       object{"servers": []any{"1.1.1.1", "8.8.8.8"}, "queryStrategy": "UseIP"},
		"inbounds":  []any{object{"tag": "socks", "port": 10808, "protocol": "socks", "settings": object{"auth": "noauth", "udp": true}}},
		"outbounds": append(list, others()...),
		"routing":   object{"domainStrategy": "AsIs", "rules": []any{object{"type": "field", "network": "tcp,udp", "outboundTag": "proxy"}}},
		"policy":    object{"levels": object{"8": object{"connIdle": 300}}}, "stats": object{},
	}
}

// inArray is a list of configurations or outbounds.
func inArray(entries []string) string { return "[" + strings.Join(entries, ",\n") + "]\n" }

// clashEntry is an entry of mihomo; ok is false for what mihomo does not have.
func clashEntry(s server) (entry object, ok bool) {
	t, x := s.transport, s.security
	e := object{"name": s.remark, "server": s.host, "port": s.port, "type": s.protocol, "udp": true}
	switch s.protocol {
	case "vless":
		e["uuid"], e["flow"], e["packet-encoding"], e["encryption"] = s.secret, s.flow, "xudp", s.encryption
	case "vmess":
		e["uuid"], e["alterId"], e["cipher"] = s.secret, 0, s.method
	case "trojan":
		e["password"] = s.secret
	case "shadowsocks":
		e["type"], e["cipher"], e["password"] = "ss", s.method, s.secret
		return e, true
	case "hysteria2":
		e["password"], e["sni"], e["skip-cert-verify"], e["alpn"] = s.secret, x.sni, x.insecure, x.alpn
		if x.pins != "" {
			e["fingerprint"] = x.pins
		}
		if s.quic.salamander != "" {
			e["obfs"], e["obfs-password"] = "salamander", s.quic.salamander
		}
		if s.quic.ports != "" {
			e["ports"] = s.quic.ports
			if s.quic.interval != "" {
				e["hop-interval"] = 30
			}
		}
		if s.quic.up > 0 {
			e["up"] = number(s.quic.up) + " Mbps"
		}
		if s.quic.down > 0 {
			e["down"] = s.quic.down
		}
		return e, true
	case "wireguard":
		e["private-key"], e["public-key"], e["allowed-ips"] = s.secret, s.tunnel.publicKey, []any{"0.0.0.0/0", "::/0"}
		for address := range strings.SplitSeq(s.tunnel.addresses, ",") {
			if strings.Contains(address, ":") {
				e["ipv6"] = address
			} else {
				e["ip"] = address
			}
		}
		if s.tunnel.preShared != "" {
			e["pre-shared-key"] = s.tunnel.preShared
		}
		if s.tunnel.reserved != "" {
			e["reserved"] = json.RawMessage("[" + s.tunnel.reserved + "]")
		}
		if s.tunnel.mtu > 0 {
			e["mtu"] = s.tunnel.mtu
		}
		if s.tunnel.keepAlive > 0 {
			e["persistent-keepalive"] = s.tunnel.keepAlive
		}
		return e, true
	}
	e["network"] = t.kind
	switch t.kind {
	case "tcp":
		if t.disguised {
			e["network"], e["http-opts"] = "http", object{"method": "GET", "path": []any{t.path}, "headers": object{"Host": []any{t.host}, "Connection": []any{"keep-alive"}}}
		}
		ok = !t.disguised || s.protocol == "vmess" || s.protocol == "vless"
	case "ws", "httpupgrade":
		options := object{"path": t.path, "headers": object{"Host": t.host}}
		e["network"], ok = "ws", true
		if t.kind == "httpupgrade" {
			options["v2ray-http-upgrade"] = true
			ok = t.early == 0
		} else if t.early > 0 {
			options["max-early-data"], options["early-data-header-name"] = t.early, "Sec-WebSocket-Protocol"
		}
		e["ws-opts"] = options
	case "grpc":
		e["grpc-opts"] = object{"grpc-service-name": t.service}
		if t.multi {
			e["grpc-opts"].(object)["grpc-mode"] = "multi"
		}
		ok = t.authority == ""
	case "xhttp":
		options := object{"path": t.path, "host": t.host, "mode": t.mode}
		for name, value := range t.extra {
			switch name {
			case "xmux":
				reuse := object{}
				for name, value := range value.(object) {
					reuse[dashed(name)] = value
				}
				options["reuse-settings"] = reuse
			case "downloadSettings":
				return nil, false
			default:
				options[dashed(name)] = value
			}
		}
		e["xhttp-opts"] = options
		ok = s.protocol == "vless"
	}
	switch x.kind {
	case "tls", "reality":
		if s.protocol == "trojan" {
			e["sni"] = x.sni
		} else {
			e["tls"], e["servername"] = true, x.sni
		}
		e["skip-cert-verify"] = x.insecure
		if x.fp != "" {
			e["client-fingerprint"] = x.fp
		}
		if x.alpn != nil {
			e["alpn"] = x.alpn
		}
		if x.kind == "reality" {
			e["reality-opts"] = object{"public-key": x.publicKey, "short-id": x.shortID}
		}
		if x.ech != "" && !strings.Contains(x.ech, "://") {
			e["ech-opts"] = object{"enable": true, "config": x.ech}
		}
		ok = ok && x.names == "" && !strings.Contains(x.ech, "://") && (x.spiderX == "" || x.spiderX == "/") && x.postQuanta == ""
	case "none":
		ok = ok && s.protocol != "trojan"
	}
	return e, ok
}

// dashed is the name that mihomo gives to a setting of xhttp.
func dashed(name string) string {
	name = strings.NewReplacer("GRPC", "Grpc", "SSE", "Sse", "HTTP", "Http").Replace(name)
	var b strings.Builder
	for i, r := range name {
		if 'A' <= r && r <= 'Z' {
			if i > 0 {
				b.WriteByte('-')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// singBoxOutbound is an outbound of sing-box; ok is false for what sing-box does not have.
func singBoxOutbound(s server) (o object, ok bool) {
	t, x := s.transport, s.security
	o = object{"type": s.protocol, "tag": s.remark, "server": s.host, "server_port": s.port}
	ok = true
	switch s.protocol {
	case "vless":
		o["uuid"], o["flow"], o["packet_encoding"] = s.secret, s.flow, "xudp"
		ok = s.encryption == "none" && s.flow != "xtls-rprx-vision-udp443"
	case "vmess":
		o["uuid"], o["security"], o["alter_id"] = s.secret, s.method, 0
	case "trojan":
		o["password"] = s.secret
	case "shadowsocks":
		o["method"], o["password"] = s.method, s.secret
		return o, true
	case "hysteria2":
		o["password"] = s.secret
		if s.quic.salamander != "" {
			o["obfs"] = object{"type": "salamander", "password": s.quic.salamander}
		}
		if s.quic.ports != "" {
			var ports []any
			for item := range strings.SplitSeq(s.quic.ports, ",") {
				from, to, isRange := strings.Cut(item, "-")
				if !isRange {
					to = from
				}
				ports = append(ports, from+":"+to)
			}
			o["server_ports"] = ports
			if s.quic.interval != "" {
				o["hop_interval"] = s.quic.interval + "s"
			}
		}
		if s.quic.up > 0 {
			o["up_mbps"] = s.quic.up
		}
		if s.quic.down > 0 {
			o["down_mbps"] = s.quic.down
		}
		ok = x.pins == ""
	case "wireguard":
		peer := object{"address": s.host, "port": s.port, "public_key": s.tunnel.publicKey, "allowed_ips": []any{"0.0.0.0/0", "::/0"}}
		if s.tunnel.preShared != "" {
			peer["pre_shared_key"] = s.tunnel.preShared
		}
		if s.tunnel.keepAlive > 0 {
			peer["persistent_keepalive_interval"] = s.tunnel.keepAlive
		}
		if s.tunnel.reserved != "" {
			peer["reserved"] = json.RawMessage("[" + s.tunnel.reserved + "]")
		}
		o = object{"type": "wireguard", "tag": s.remark, "private_key": s.secret, "address": prefixed(s.tunnel.addresses), "peers": []any{peer}}
		if s.tunnel.mtu > 0 {
			o["mtu"] = s.tunnel.mtu
		}
		return o, true
	}
	switch t.kind {
	case "tcp":
		if t.disguised {
			o["transport"] = object{"type": "http", "method": "GET", "path": t.path, "host": []any{t.host}, "headers": object{"User-Agent": userAgent}}
			ok = ok && x.kind == "none"
		}
	case "ws":
		o["transport"] = object{"type": "ws", "path": t.path, "headers": object{"Host": t.host}}
		if t.early > 0 {
			o["transport"].(object)["max_early_data"], o["transport"].(object)["early_data_header_name"] = t.early, "Sec-WebSocket-Protocol"
		}
	case "httpupgrade":
		o["transport"] = object{"type": "httpupgrade", "path": t.path, "host": t.host}
		ok = ok && t.early == 0
	case "grpc":
		o["transport"] = object{"type": "grpc", "service_name": t.service, "idle_timeout": "15s", "ping_timeout": "15s"}
		ok = ok && !t.multi && t.authority == ""
	case "xhttp", "kcp":
		return nil, false
	}
	if x.kind == "none" {
		return o, ok
	}
	tls := object{"enabled": true, "server_name": x.sni, "insecure": x.insecure}
	if x.alpn != nil {
		tls["alpn"] = x.alpn
	}
	if x.fp != "" {
		tls["utls"] = object{"enabled": true, "fingerprint": x.fp}
	}
	if x.kind == "reality" {
		tls["reality"] = object{"enabled": true, "public_key": x.publicKey, "short_id": x.shortID}
	}
	if x.ech != "" {
		tls["ech"] = object{"enabled": true, "config": []any{"-----BEGIN ECH CONFIGS-----", x.ech, "-----END ECH CONFIGS-----"}}
	}
	o["tls"] = tls
	return o, ok && x.names == "" && !strings.Contains(x.ech, "://") && (x.spiderX == "" || x.spiderX == "/") && x.postQuanta == ""
}

// singBoxConfig is a configuration with a selector, as panels write it. WireGuard is an endpoint.
func singBoxConfig(entries []string) string {
	var outbounds, endpoints, tags []string
	for _, entry := range entries {
		var e struct{ Type, Tag string }
		if json.Unmarshal([]byte(entry), &e) != nil {
			return ""
		}
		tags = append(tags, jsonText(e.Tag))
		if e.Type == "wireguard" {
			endpoints = append(endpoints, entry)
		} else {
			outbounds = append(outbounds, entry)
		}
	}
	outbounds = append(outbounds, `{"type":"direct","tag":"direct"}`, `{"type":"block","tag":"block"}`, `{"type":"dns","tag":"dns-out"}`)
	group := strings.Join(append([]string{`"Best Latency"`}, tags...), ",")
	return `{"log":{"level":"warn"},"dns":{"servers":[{"tag":"dns-remote","address":"1.1.1.1","detour":"select"}]},` +
		`"inbounds":[{"type":"tun","tag":"tun-in","address":["172.19.0.1/30"]}],"outbounds":[{"type":"selector","tag":"select","outbounds":[` + group + `]},` +
		`{"type":"urltest","tag":"Best Latency","outbounds":[` + strings.Join(tags, ",") + `],"url":"https://www.gstatic.com/generate_204"},` +
		strings.Join(outbounds, ",") + `],"endpoints":[` + strings.Join(endpoints, ",") + `],"route":{"rules":[{"protocol":"dns","outbound":"dns-out"}]},"experimental":{}}`
}

// itemsOf makes items of what write can write.
func itemsOf(list []server, write func(server) (string, server, bool)) []item {
	var items []item
	for _, s := range list {
		if text, want, ok := write(s); ok {
			items = append(items, item{text: text, want: want})
		}
	}
	return items
}

func clashItem(s server) (string, server, bool) {
	entry, ok := clashEntry(s)
	return jsonText(entry), s, ok
}

func singBoxItem(s server) (string, server, bool) {
	o, ok := singBoxOutbound(s)
	return jsonText(o), s, ok
}
