package subscription

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/xrat-tray/xrat/runtime/link"
)

// isSingBox reports whether an outbound is one of sing-box: those of the core have a protocol.
func isSingBox(o *object) bool { return o.fields["type"] != nil && o.fields["protocol"] == nil }

// directTags returns the tags of the outbounds of sing-box that lead straight to the destination.
func directTags(lists ...[]byte) map[string]bool {
	direct := map[string]bool{"direct": true} // where a list of servers leaves out the usual one
	entries := 0
	for _, list := range lists {
		each(list, func(entry []byte) {
			var e struct {
				Type, Tag, Detour string
				Override          string `json:"override_address"`
			}
			if entries++; entries > maxPositions || len(entry) > maxEntry || !bytes.Contains(entry, []byte(`"direct"`)) {
				return // most entries need no decoding
			}
			if json.Unmarshal(entry, &e) == nil && e.Tag != "" {
				direct[e.Tag] = e.Type == "direct" && e.Detour == "" && e.Override == ""
			}
		})
	}
	return direct
}

// foreign are the protocols that the core does not speak, by the names that sing-box and its
// relatives give them.
var foreign = map[string]string{
	"anytls": "AnyTLS", "awg": "AmneziaWG", "dnstt": "DNSTT", "hysteria": "version 1 of Hysteria", "juicity": "Juicity", "masque": "MASQUE", "mieru": "Mieru",
	"naive": "NaiveProxy", "psiphon": "Psiphon", "shadowsocksr": "ShadowsocksR", "shadowtls": "ShadowTLS", "snell": "Snell", "ssh": "SSH", "sudoku": "Sudoku",
	"tailscale": "Tailscale", "tor": "Tor", "trusttunnel": "TrustTunnel", "tuic": "TUIC", "warp": "WARP without its keys",
}

func notSpoken(protocol string) *link.Error {
	return reject(link.CodeUnsupportedProtocol, "the core does not speak "+protocol+"; ask the provider for a VLESS, VMess, Trojan or Shadowsocks server")
}

// singBoxURI writes an outbound or an endpoint of sing-box as a link. direct reports whether the
// outbound of a tag leads straight to the destination.
func singBoxURI(o *object, direct func(tag string) bool) (*uri, *link.Error) {
	u := &uri{name: o.text("tag"), host: o.text("server"), port: o.text("server_port")}
	kind := strings.ToLower(o.text("type"))
	switch kind {
	case "direct", "block", "dns", "selector", "urltest", "balancer", "fallback", "loadbalance", "bridge":
		return nil, nil
	}
	if what, known := foreign[kind]; known {
		return u, notSpoken(what)
	}
	if detour := o.text("detour"); detour != "" && !direct(detour) {
		return u, chained("detour")
	}
	// These concern this machine, or what the client offers to others.
	o.ignore("connect_timeout", "reuse_addr", "tcp_fast_open", "tcp_multi_path", "udp_fragment", "disable_tcp_keep_alive", "tcp_keep_alive", "tcp_keep_alive_interval",
		"tcp_keep_alive_count", "bind_address_no_port", "domain_resolver", "domain_strategy", "network_strategy", "network_type", "fallback_network_type", "fallback_delay", "network")
	if o.enabled("multiplex") != nil {
		o.leave("multiplex") // the core has another one; servers take connections without
	}
	if o.enabled("udp_over_tcp") != nil {
		o.leave("udp_over_tcp")
	}

	switch kind {
	case "vless":
		u.scheme, u.user = "vless", escape(o.text("uuid"))
		u.set("flow", o.text("flow"))
		u.set("encryption", o.text("encryption"))
		u.set("packetEncoding", o.text("packet_encoding"))
	case "vmess":
		u.scheme, u.user = "vmess", escape(o.text("uuid"))
		u.set("encryption", o.text("security"))
		u.set("packetEncoding", o.text("packet_encoding"))
		o.ignore("alter_id", "global_padding", "authenticated_length")
	case "trojan":
		u.scheme, u.user = "trojan", escape(o.text("password"))
	case "shadowsocks":
		u.scheme = "ss"
		u.userPassword(o.text("method"), o.text("password"))
		return u, u.sip003(o.text("plugin"), o.text("plugin_opts"))
	case "socks":
		if version := o.text("version"); version != "" && version != "5" {
			return u, notSpoken("version 4 of SOCKS")
		}
		u.scheme = "socks"
		u.userPassword(o.text("username"), o.text("password"))
		return u, nil
	case "http":
		u.scheme = "http"
		u.userPassword(o.text("username"), o.text("password"))
	case "hysteria2":
		u.singBoxHysteria2(o)
	case "wireguard":
		return u, u.singBoxWireGuard(o)
	case "":
		return u, reject(CodeNotAnEntry, "the entry names no type of server")
	default:
		return u, reject(link.CodeUnsupportedProtocol, "the type of the entry is not one of vless, vmess, trojan, shadowsocks, socks, http, hysteria2 and wireguard")
	}
	return u, u.singBoxStream(kind, o)
}

// enabled returns a mapping that can be switched off, or nil if it is: then nothing in it counts.
func (o *object) enabled(key string) *object {
	child := o.object(key)
	if child != nil && !child.flag("enabled") {
		clear(child.fields)
		return nil
	}
	return child
}

// leave has a field named as one that was left out, with all that is below it.
func (o *object) leave(key string) {
	path := o.path + key + "."
	for _, child := range o.nested {
		if child.path == path {
			clear(child.fields)
			child.nested = nil
		}
	}
	o.fields[key] = true
}

// singBoxStream reads transport and security.
func (u *uri) singBoxStream(kind string, o *object) *link.Error {
	security := "none"
	t := o.enabled("tls")
	reality := t.enabled("reality")
	switch {
	case reality != nil:
		security = "reality"
	case t != nil:
		security = "tls"
	}
	if kind == "http" && t != nil {
		u.scheme = "https"
	}
	u.set("security", security)
	host, err := u.singBoxTransport(kind, o.object("transport"), t != nil)
	if err != nil || t == nil {
		return err
	}
	for _, field := range []string{"certificate", "certificate_path", "client_certificate", "client_certificate_path", "client_key", "client_key_path"} {
		if !isEmpty(t.take(field)) {
			return reject(link.CodeUnsupportedParameter, "the entry brings certificates or names files with them (tls."+field+"), which xrat does not support; ask the provider for one that works without")
		}
	}
	name := t.text("server_name")
	if name == "" && host != "" {
		name = u.host // sing-box has no other source; links would take the Host header
	}
	u.set("sni", name)
	u.set("alpn", t.text("alpn"))
	u.flag("allowInsecure", t.flag("insecure"))
	if fingerprint := t.enabled("utls").text("fingerprint"); strings.HasPrefix(fingerprint, "chrome") {
		u.set("fp", "chrome") // the variants of Chrome are history in sing-box, too
	} else {
		u.set("fp", fingerprint)
	}
	u.set("pbk", reality.text("public_key"))
	u.set("sid", reality.text("short_id"))
	u.singBoxECH(t)
	u.singBoxFragment(kind, o, t)
	t.ignore("engine", "min_version", "max_version", "cipher_suites", "curve_preferences", "kernel_tx", "kernel_rx", "handshake_timeout", "fragment_fallback_delay")
	return nil
}

// singBoxFragment reads the splitting of the first bytes. sing-box cuts within the name of the
// server, at places of its own choice; pieces of this size cut there, too.
func (u *uri) singBoxFragment(kind string, o, t *object) {
	packets, records := t.flag("fragment"), t.flag("record_fragment")
	relative := o.enabled("tls_fragment") // Hiddify's, with the numbers
	length, delay := cmp.Or(relative.text("size"), "10-20"), "0"
	switch {
	case relative != nil:
		delay = relative.text("sleep")
	case packets:
		delay = "2-4" // what is sent at once stays together
	case !records:
		return
	}
	if kind != "hysteria2" { // which sends no stream
		u.set("fragment", length+","+cmp.Or(delay, "0")+",tlshello")
	}
}

// singBoxECH takes the configurations out of their PEM block. Where there are none they would be
// looked up by whatever resolver sing-box has. An entry does not say which, and a link that does
// not is read without them, which is named.
func (u *uri) singBoxECH(t *object) {
	ech := t.enabled("ech")
	if ech == nil {
		return
	}
	var config strings.Builder
	for _, text := range ech.list("config") {
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") {
				config.WriteString(line)
			}
		}
	}
	if config.Len() == 0 {
		config.WriteByte('?')
	}
	u.set("ech", config.String())
	ech.ignore("config_path", "query_server_name", "pq_signature_schemes_enabled", "dynamic_record_sizing_disabled")
}

// singBoxTransport returns the Host header, if the entry sets one.
func (u *uri) singBoxTransport(kind string, t *object, secured bool) (host string, err *link.Error) {
	if kind == "http" || kind == "hysteria2" {
		return "", nil // what they have under this name is not a transport
	}
	headers := t.object("headers")
	headers.ignore("User-Agent")
	hosts := t.list("host")
	if len(hosts) == 0 {
		if header := headers.header("Host"); header != "" {
			hosts = []string{header}
		}
	}
	host = strings.Join(hosts, ",")
	network := strings.ToLower(t.text("type"))
	if network == "http" && !secured {
		u.http1(hosts, t.list("path"))
		t.ignore("method", "idle_timeout", "ping_timeout")
		return host, nil
	}
	if network == "xhttp" || network == "splithttp" {
		return host, u.singBoxXHTTP(host, t, headers)
	}
	u.set("type", cmp.Or(network, "tcp"))
	u.set("host", host)
	switch network {
	case "ws":
		u.set("path", t.text("path"))
		length, header := t.text("max_early_data"), t.text("early_data_header_name")
		switch {
		case length == "" || length == "0":
		case strings.EqualFold(header, "Sec-WebSocket-Protocol"):
			u.set("ed", length)
		default:
			t.leave("max_early_data") // in the path or another header, where the core puts none
		}
	case "httpupgrade":
		u.set("path", t.text("path"))
	case "grpc":
		u.set("serviceName", t.text("service_name"))
		t.ignore("idle_timeout", "ping_timeout", "permit_without_stream")
	}
	return host, nil
}

// singBoxXHTTP reads the transport that relatives of sing-box have taken over from the core, with
// names in their style.
func (u *uri) singBoxXHTTP(host string, t, headers *object) *link.Error {
	if !isEmpty(t.take("download")) {
		return reject(link.CodeUnsupportedParameter, "the entry receives through a second server (transport.download), which xrat does not read in this format; ask the provider for Xray JSON")
	}
	extra := camel(t.fields).(map[string]any)
	extra["host"] = host
	delete(extra, "domainStrategy")
	if headers != nil && len(headers.fields) > 0 {
		extra["headers"] = maps.Clone(headers.fields)
		clear(headers.fields)
	}
	clear(t.fields)
	return u.xhttp(&object{fields: extra})
}

// camel translates names like x_padding_bytes and no_grpc_header into the core's style.
func camel(value any) any {
	fields, ok := value.(map[string]any)
	if !ok {
		return value
	}
	translated := make(map[string]any, len(fields))
	for key, value := range fields {
		words := strings.Split(key, "_")
		for i, word := range words[1:] {
			switch word {
			case "grpc", "sse", "http":
				words[i+1] = strings.ToUpper(word)
			case "":
			default:
				words[i+1] = strings.ToUpper(word[:1]) + word[1:]
			}
		}
		translated[strings.Join(words, "")] = camel(value)
	}
	return translated
}

func (u *uri) singBoxHysteria2(o *object) {
	u.scheme, u.user = "hysteria2", escape(o.text("password"))
	var ports []string
	for _, item := range o.list("server_ports") {
		if from, to, isRange := strings.Cut(item, ":"); isRange {
			item = cmp.Or(from, "1") + "-" + cmp.Or(to, "65535")
		}
		ports = append(ports, item)
	}
	if len(ports) > 0 {
		u.set("mport", strings.Join(ports, ","))
		if u.port == "" || u.port == "0" {
			u.port, _, _ = strings.Cut(ports[0], "-") // the first of them serves
		}
	}
	interval := seconds(o.text("hop_interval"))
	if longest := o.text("hop_interval_max"); longest != "" && interval != "" {
		interval += "-" + seconds(longest)
	}
	u.set("hop-interval", interval)
	obfs := o.object("obfs")
	if kind := obfs.text("type"); kind != "" {
		u.set("obfs", kind)
		u.set("obfs-password", obfs.text("password"))
	}
	obfs.ignore("password")
	u.set("up", bandwidth(o, "up_mbps"))
	u.set("down", bandwidth(o, "down_mbps"))
	o.ignore("brutal_debug", "bbr_profile", "disable_mtu_discovery", "recv_window", "recv_window_conn", "initial_packet_size")
}

// seconds turns a duration like 1m30s into a number of seconds. What is not one is returned as it
// is, for runtime/link to judge.
func seconds(text string) string {
	d, err := time.ParseDuration(text)
	if err != nil {
		return text
	}
	return strconv.Itoa(int(d / time.Second))
}

// singBoxWireGuard reads the endpoint, and the outbound that came before it, which has the single
// server beside the keys.
func (u *uri) singBoxWireGuard(o *object) *link.Error {
	u.scheme = "wireguard"
	for _, field := range []string{"amnezia", "awg"} {
		if !isEmpty(o.take(field)) {
			return reject(link.CodeUnsupportedParameter, "the entry disguises WireGuard ("+field+") in a way that the core does not have; ask the provider for one without")
		}
	}
	peer, err := mainPeer(o)
	if err != nil {
		return err
	}
	u.set("address", o.text("local_address"))
	if peer != o {
		u.host, u.port = cmp.Or(peer.text("address", "server"), u.host), cmp.Or(peer.text("port", "server_port"), u.port)
		u.set("address", o.text("address"))
	}
	u.user = escape(o.text("private_key"))
	u.set("publickey", peer.text("public_key", "peer_public_key"))
	u.set("presharedkey", peer.text("pre_shared_key"))
	u.set("reserved", cmp.Or(peer.text("reserved"), o.text("reserved")))
	u.set("allowedips", peer.text("allowed_ips"))
	u.set("keepalive", peer.text("persistent_keepalive_interval"))
	u.set("mtu", o.text("mtu"))
	o.ignore("system", "system_interface", "gso", "name", "interface_name", "listen_port", "udp_timeout", "workers", "fake_packets_size", "fake_packets_delay", "fake_packets_mode")
	return nil
}

// mainPeer returns the server of a WireGuard entry: the only one, or the only one through which
// everything may go, and the others are named; o itself if there is no list.
func mainPeer(o *object) (*object, *link.Error) {
	peers := o.objects("peers")
	switch len(peers) {
	case 0:
		return o, nil
	case 1:
		return peers[0], nil
	}
	var main *object
	for _, peer := range peers {
		allowed, _ := peer.fields["allowed_ips"].([]any)
		for _, prefix := range allowed {
			if text, _ := scalar(prefix); (text == "0.0.0.0/0" || text == "::/0") && main != peer {
				if main != nil {
					return nil, reject(CodeNotAnEntry, "several servers of the WireGuard entry are for all destinations, of which one can be; ask the provider for one entry each")
				}
				main = peer
			}
		}
	}
	if main == nil {
		return nil, reject(CodeNotAnEntry, "the WireGuard entry has several servers and none for all destinations; ask the provider for an entry with one")
	}
	for _, peer := range peers {
		if peer != main {
			clear(peer.fields)
		}
	}
	o.fields["peers"] = true // has the others named
	return main, nil
}
