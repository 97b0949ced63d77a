package subscription

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/xrat-tray/xrat/runtime/link"
)

// clashURI writes a proxy of a Clash configuration as a link.
func clashURI(o *object) (*uri, *link.Error) {
	u := &uri{name: o.text("name"), host: o.text("server"), port: o.text("port")}
	kind := strings.ToLower(o.text("type"))
	if o.text("dialer-proxy") != "" {
		return u, chained("dialer-proxy")
	}
	if smux, ok := o.fields["smux"].(map[string]any); ok {
		if enabled, _ := scalar(smux["enabled"]); !isYes(enabled) {
			o.ignore("smux")
		}
	}
	// These concern this machine or the behaviour of Clash itself.
	o.ignore("udp", "tfo", "fast-open", "mptcp", "ip-version", "xudp", "remote-dns-resolve", "dns", "test-url", "benchmark-url", "benchmark-timeout", "benchmark-disabled")

	switch kind {
	case "direct", "reject", "dns", "pass", "rematch":
		return nil, nil
	case "ss":
		return u, u.clashShadowsocks(o)
	case "vless":
		u.scheme, u.user = "vless", escape(o.text("uuid"))
		u.set("flow", o.text("flow"))
		u.set("encryption", o.text("encryption"))
		u.set("packetEncoding", o.text("packet-encoding"))
	case "vmess":
		u.scheme, u.user = "vmess", escape(o.text("uuid"))
		u.set("encryption", o.text("cipher"))
		u.set("packetEncoding", o.text("packet-encoding"))
		o.ignore("alterId", "alter-id", "global-padding", "authenticated-length")
	case "trojan":
		u.scheme, u.user = "trojan", escape(o.text("password"))
		u.set("flow", o.text("flow"))
		if o.object("ss-opts").flag("enabled") {
			return u, reject(link.CodeUnsupportedParameter, "the entry puts Shadowsocks inside Trojan (ss-opts), which the core does not have; ask the provider for one without")
		}
		o.fields["tls"] = true // Trojan without TLS does not occur
	case "socks5":
		u.scheme = "socks"
		u.clashLogin(o)
	case "http":
		u.scheme = "http"
		u.clashLogin(o)
		secured := o.flag("tls")
		if secured {
			u.scheme = "https"
		}
		o.fields["tls"] = secured
	case "hysteria2", "hy2":
		return u, u.clashHysteria2(o)
	case "wireguard":
		return u, u.clashWireGuard(o)
	case "":
		return u, reject(CodeNotAnEntry, "the entry names no type of server")
	case "ssr", "snell", "hysteria", "tuic", "ssh", "mieru", "anytls", "sudoku", "masque", "trusttunnel":
		return u, reject(link.CodeUnsupportedProtocol, "the core does not speak "+kind+"; ask the provider for a VLESS, VMess, Trojan or Shadowsocks server")
	default:
		return u, reject(link.CodeUnsupportedProtocol, "the type of the entry is not one of ss, vmess, vless, trojan, socks5, http, hysteria2 and wireguard")
	}
	u.clashDownload(o)
	if err := u.clashTLS(o); err != nil {
		return u, err
	}
	err := u.clashTransport(o)
	// Clash does not look at what belongs to servers of another type.
	o.ignore("password", "uuid", "cipher", "alterId", "alter-id", "username", "flow", "protocol", "protocol-param", "obfs-param")
	return u, err
}

// clashLogin reads user and password. Without a user Clash does not log in, whatever the password.
func (u *uri) clashLogin(o *object) {
	user, password := o.text("username"), o.text("password")
	if user != "" {
		u.userPassword(user, password)
	}
}

func (u *uri) clashTLS(o *object) *link.Error {
	secured := o.flag("tls")
	reality := o.object("reality-opts")
	ech := o.object("ech-opts")
	switch {
	case secured && reality != nil:
		u.set("security", "reality")
	case secured:
		u.set("security", "tls")
	default:
		u.set("security", "none")
	}
	if err := u.clashCertificates(o); err != nil {
		return err
	}
	if secured {
		u.set("sni", cmp.Or(o.text("servername", "sni"), u.clashServerName(o)))
		u.set("alpn", o.text("alpn"))
		u.set("fp", o.text("client-fingerprint"))
		u.flag("allowInsecure", o.flag("skip-cert-verify"))
		u.set("pbk", reality.text("public-key"))
		u.set("sid", reality.text("short-id"))
		u.set("spx", reality.text("spider-x"))
		reality.ignore("support-x25519mlkem768")
		if ech.flag("enable") {
			// Clash can ask its own resolvers. Of a link that does not say whom to ask, ECH is left
			// out and named.
			u.set("ech", cmp.Or(ech.text("config"), "?"))
		}
		ech.ignore("config", "query-server-name")
	}
	// Without TLS these mean nothing.
	o.ignore("servername", "sni", "alpn", "client-fingerprint", "skip-cert-verify")
	return nil
}

// clashServerName returns what Clash sends as the server name if the entry has none: over WebSocket
// the site in the Host header, otherwise the server. It is empty where that goes without saying.
func (u *uri) clashServerName(o *object) string {
	network, _ := scalar(o.fields["network"])
	switch network = strings.ToLower(network); network {
	case "ws":
		return cmp.Or(hostIn(o.fields, "ws-opts", "headers"), hostIn(o.fields, "ws-headers"))
	case "http", "xhttp":
		if cmp.Or(hostIn(o.fields, network+"-opts", "headers"), hostIn(o.fields, network+"-opts")) != "" {
			return u.host
		}
	}
	return ""
}

// hostIn returns the host that mappings within others name, in any case.
func hostIn(fields map[string]any, path ...string) string {
	for _, key := range path {
		fields, _ = fields[key].(map[string]any)
	}
	for key, value := range fields {
		if many, ok := value.([]any); ok && len(many) > 0 {
			value = many[0]
		}
		if text, ok := scalar(value); ok && strings.EqualFold(key, "Host") {
			return text
		}
	}
	return ""
}

// clashCertificates reads the pinned certificate, which Clash calls a fingerprint, and rejects
// entries with certificates of their own.
func (u *uri) clashCertificates(o *object) *link.Error {
	u.set("pcs", o.text("fingerprint"))
	for _, field := range []string{"ca", "ca-str", "certificate"} {
		if o.text(field) != "" {
			return reject(link.CodeUnsupportedParameter, "the entry brings certificates or names files with them ("+field+"), which xrat does not support; ask the provider for one that works without")
		}
	}
	return nil
}

func (u *uri) clashTransport(o *object) *link.Error {
	network := strings.ToLower(o.text("network"))
	switch network {
	case "", "tcp":
		u.set("type", "tcp")
	case "ws":
		u.clashWebSocket(o)
	case "httpupgrade":
		t := o.object("http-upgrade-opts", "httpupgrade-opts", "ws-opts")
		u.set("type", "httpupgrade")
		u.set("host", cmp.Or(t.object("headers").header("Host"), t.text("host")))
		u.set("path", t.text("path"))
	case "grpc":
		t := o.object("grpc-opts")
		u.set("type", "grpc")
		u.set("serviceName", t.text("grpc-service-name"))
		u.set("mode", t.text("grpc-mode"))
		t.ignore("grpc-user-agent", "ping-interval", "max-connections", "min-streams", "max-streams")
	case "http":
		t := o.object("http-opts")
		headers := t.object("headers")
		u.http1(headers.list("Host"), t.list("path"))
		t.ignore("method")
		headers.ignore("Connection", "User-Agent", "Accept-Encoding", "Pragma")
	case "xhttp":
		return u.clashXHTTP(o.object("xhttp-opts"))
	default:
		u.set("type", network) // runtime/link says why not
	}
	// The settings of transports that were not chosen change nothing.
	o.ignore("ws-opts", "ws-path", "ws-headers", "grpc-opts", "http-opts", "h2-opts", "xhttp-opts")
	return nil
}

func (u *uri) clashWebSocket(o *object) {
	t := o.object("ws-opts")
	headers := t.object("headers")
	older := o.object("ws-headers")
	network := "ws"
	if t.flag("v2ray-http-upgrade") {
		network = "httpupgrade"
	}
	u.set("type", network)
	u.set("host", cmp.Or(headers.header("Host"), older.header("Host")))
	u.set("path", cmp.Or(t.text("path"), o.text("ws-path")))
	u.set("ed", t.text("max-early-data"))
	u.set("eh", t.text("early-data-header-name"))
	t.ignore("v2ray-http-upgrade-fast-open")
}

func (u *uri) clashShadowsocks(o *object) *link.Error {
	u.scheme = "ss"
	u.userPassword(o.text("cipher"), o.text("password"))
	plugin := o.text("plugin")
	options := o.object("plugin-opts")
	if plugin == "obfs" {
		plugin = "obfs-local" // as links call it
	}
	if plugin == "v2ray-plugin" {
		plugin += v2rayPlugin(options)
	}
	o.ignore("client-fingerprint")
	return u.plugin(plugin)
}

// pluginEscapes are those of SIP003.
var pluginEscapes = strings.NewReplacer(`\`, `\\`, ";", `\;`, "=", `\=`)

// v2rayPlugin returns the options of the plugin as they follow its name in links (SIP003), with the
// defaults of Clash.
func v2rayPlugin(options *object) string {
	mode, mux := cmp.Or(options.text("mode"), "websocket"), "1"
	if options.flag("v2ray-http-upgrade") {
		mode = "httpupgrade" // runtime/link says why not
	}
	if text := options.text("mux"); text == "false" || text == "0" {
		mux = "0"
	}
	written := ";mode=" + mode + ";mux=" + mux + ";host=" + pluginEscapes.Replace(cmp.Or(options.text("host"), "bing.com")) +
		";path=" + pluginEscapes.Replace(cmp.Or(options.text("path"), "/"))
	if options.flag("tls") {
		written += ";tls"
	}
	options.ignore("skip-cert-verify")
	return written
}

func (u *uri) clashHysteria2(o *object) *link.Error {
	u.scheme, u.user = "hysteria2", escape(o.text("password", "auth"))
	ports := strings.NewReplacer(" ", "", "/", ",").Replace(o.text("ports"))
	if u.port == "" {
		// With ports to hop between, the port may be missing: the first of them serves.
		u.port = ports[:len(ports)-len(strings.TrimLeft(ports, "0123456789"))]
	}
	u.set("mport", ports)
	u.set("hop-interval", o.text("hop-interval"))
	u.set("obfs", o.text("obfs"))
	u.set("obfs-password", o.text("obfs-password"))
	u.set("up", bandwidth(o, "up"))
	u.set("down", bandwidth(o, "down"))
	u.set("sni", o.text("sni", "servername"))
	u.set("alpn", o.text("alpn"))
	u.flag("insecure", o.flag("skip-cert-verify"))
	o.ignore("client-fingerprint", "tls", "cwnd", "udp-mtu", "initial-stream-receive-window", "max-stream-receive-window",
		"initial-connection-receive-window", "max-connection-receive-window")
	return u.clashCertificates(o)
}

func (u *uri) clashWireGuard(o *object) *link.Error {
	u.scheme = "wireguard"
	peer := o
	switch peers := o.objects("peers"); len(peers) {
	case 0:
	case 1:
		peer = peers[0]
		u.host, u.port = cmp.Or(peer.text("server"), u.host), cmp.Or(peer.text("port"), u.port)
	default:
		return reject(link.CodeUnsupportedParameter, "the tunnel has "+strconv.Itoa(len(peers))+" peers, of which xrat supports one; make an entry of each")
	}
	if options := o.take("amnezia-wg-option"); !isEmpty(options) {
		return reject(link.CodeUnsupportedParameter, "the entry disguises WireGuard (amnezia-wg-option) in a way that the core does not have; ask the provider for one without")
	}
	u.user = escape(o.text("private-key"))
	u.set("address", strings.Trim(o.text("ip")+","+o.text("ipv6"), ","))
	u.set("mtu", o.text("mtu"))
	u.set("publickey", peer.text("public-key"))
	u.set("presharedkey", peer.text("pre-shared-key", "preshared-key"))
	u.set("reserved", cmp.Or(peer.text("reserved"), o.text("reserved")))
	u.set("allowedips", asPrefixes(peer.text("allowed-ips")))
	u.set("keepalive", o.text("persistent-keepalive"))
	o.ignore("workers", "refresh-server-ip-interval")
	return nil
}
