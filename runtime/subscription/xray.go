package subscription

import (
	"encoding/json"
	"maps"
	"strings"

	"github.com/xrat-tray/xrat/runtime/link"
)

// xrayURI writes an outbound of the core's configuration, that stands alone, as a link.
func xrayURI(o *object) (*uri, *link.Error) { return ways(nil).xrayURI(o) }

// xrayURI writes an outbound of the core's configuration as a link; ways are the others of that.
func (ways ways) xrayURI(o *object) (*uri, *link.Error) {
	u := &uri{name: o.text("tag", "ps", "remarks")}
	protocol := strings.ToLower(o.text("protocol"))
	settings := o.object("settings")
	o.ignore("targetStrategy", "domainStrategy")
	switch protocol {
	case "freedom", "direct", "blackhole", "block", "dns", "loopback":
		return nil, nil
	}
	stream := o.object("streamSettings")
	if err := ways.mask(u, o, stream); err != nil {
		return u, err
	}

	var err *link.Error
	switch protocol {
	case "vless", "vmess":
		err = u.xrayUser(protocol, settings)
	case "trojan", "shadowsocks", "socks", "http":
		err = u.xrayServer(protocol, settings)
	case "hysteria", "hysteria2":
		return u, u.xrayHysteria(o, settings, stream)
	case "wireguard":
		ignoreTransports(stream)
		stream.ignore("network", "security")
		return u, u.xrayWireGuard(settings)
	case "":
		return u, reject(CodeNotAnEntry, "the entry names no protocol")
	default:
		return u, reject(link.CodeUnsupportedProtocol, "the core does not speak the protocol of the entry; ask the provider for a VLESS, VMess, Trojan or Shadowsocks server")
	}
	if err != nil {
		return u, err
	}
	u.xrayMux(o.object("mux"))
	return u, u.xrayStream(protocol, stream)
}

// one returns the single element of a list of servers or users, or o itself if there is no list:
// newer configurations have the fields there.
func one(o *object, key string) (*object, *link.Error) {
	switch many := o.objects(key); len(many) {
	case 0:
		return o, nil
	case 1:
		return many[0], nil
	default:
		return nil, reject(CodeNotAnEntry, "the entry lists several servers or users, where the core takes one; ask the provider for one entry each")
	}
}

func (u *uri) xrayUser(protocol string, settings *object) *link.Error {
	server, err := one(settings, "vnext")
	if err != nil {
		return err
	}
	u.scheme, u.host, u.port = protocol, server.text("address"), server.text("port")
	user, err := one(server, "users")
	if err != nil {
		return err
	}
	u.user = escape(user.text("id"))
	u.set("flow", user.text("flow"))
	if protocol == "vmess" {
		u.set("encryption", user.text("security"))
		user.ignore("alterId", "experiments")
	} else {
		u.set("encryption", user.text("encryption"))
		user.ignore("security", "alterId", "seed", "testpre", "testseed")
	}
	settings.ignore("level", "email")
	user.ignore("level", "email")
	return nil
}

func (u *uri) xrayServer(protocol string, settings *object) *link.Error {
	server, err := one(settings, "servers")
	if err != nil {
		return err
	}
	u.scheme, u.host, u.port = protocol, server.text("address"), server.text("port")
	password := server.text("password")
	switch protocol {
	case "trojan":
		u.user = escape(password)
		u.set("flow", server.text("flow"))
	case "shadowsocks":
		u.scheme = "ss"
		u.userPassword(server.text("method"), password)
		server.ignore("ivCheck", "ota")
	default:
		user, err := one(server, "users")
		if err != nil {
			return err
		}
		u.userPassword(user.text("user"), user.text("pass"))
		user.ignore("level", "email")
	}
	settings.ignore("level", "email")
	server.ignore("level", "email")
	return nil
}

func (u *uri) xrayMux(mux *object) {
	enabled, concurrency := mux.flag("enabled"), mux.text("concurrency")
	switch {
	case !enabled || strings.HasPrefix(concurrency, "-"):
	case concurrency == "" || concurrency == "0":
		u.set("mux", "true")
	default:
		u.set("mux", concurrency)
	}
	mux.ignore("xudpConcurrency", "xudpProxyUDP443")
}

func (u *uri) xrayStream(protocol string, stream *object) *link.Error {
	named, err := u.xraySecurity(protocol, stream)
	if err != nil {
		return err
	}
	network := strings.ToLower(stream.text("network"))
	switch network {
	case "", "tcp", "raw":
		u.xrayRaw(stream.object("rawSettings", "tcpSettings"))
	case "ws", "websocket", "httpupgrade":
		key := "wsSettings"
		if network == "httpupgrade" {
			key = "httpupgradeSettings"
		}
		t := stream.object(key)
		u.set("type", network)
		headers := t.object("headers")
		host := headers.header("Host")
		if own := t.text("host"); own != "" {
			host = own
		}
		u.set("host", host)
		u.set("path", t.text("path"))
		u.set("ed", t.text("maxEarlyData"))
		u.set("eh", t.text("earlyDataHeaderName"))
		t.ignore("acceptProxyProtocol", "heartbeatPeriod", "useBrowserForwarding")
	case "grpc", "gun":
		t := stream.object("grpcSettings")
		u.set("type", "grpc")
		u.set("serviceName", t.text("serviceName"))
		u.set("authority", t.text("authority"))
		if t.flag("multiMode") {
			u.set("mode", "multi")
		}
		t.ignore("idle_timeout", "health_check_timeout", "permit_without_stream", "initial_windows_size")
	case "xhttp", "splithttp":
		err = u.xhttp(stream.object("xhttpSettings", "splithttpSettings"))
	case "kcp", "mkcp":
		t := stream.object("kcpSettings")
		u.set("type", "kcp")
		u.set("seed", t.text("seed"))
		header := t.object("header")
		u.set("headerType", header.text("type"))
		u.set("host", header.text("domain"))
		u.set("mtu", t.text("mtu"))
		u.set("tti", t.text("tti"))
		t.ignore("uplinkCapacity", "downlinkCapacity", "congestion", "readBufferSize", "writeBufferSize")
	default:
		u.set("type", network) // runtime/link says why not
	}
	if params := "&" + u.params.String(); !named && (strings.Contains(params, "&host=") || strings.Contains(params, "&extra=")) {
		// Where a link names no server, other programs take the one of the Host header. The core
		// does not.
		u.set("sni", strings.Trim(u.host, "[]"))
	}
	ignoreTransports(stream)
	return err
}

// ignoreTransports removes the settings of transports and securities that were not chosen: they
// change nothing.
func ignoreTransports(stream *object) {
	stream.ignore("tlsSettings", "realitySettings", "xtlsSettings", "rawSettings", "tcpSettings", "wsSettings", "httpupgradeSettings", "grpcSettings", "gunSettings",
		"xhttpSettings", "splithttpSettings", "kcpSettings", "httpSettings", "quicSettings", "dsSettings", "hysteriaSettings")
}

func (u *uri) xrayRaw(t *object) {
	header := t.object("header")
	t.ignore("acceptProxyProtocol")
	switch kind := header.text("type"); kind {
	case "", "none":
		u.set("type", "tcp")
	case "http":
		request := header.object("request")
		headers := request.object("headers")
		u.http1(headers.list("Host"), request.list("path"))
		// The rest is decoration that the server does not look at.
		request.ignore("version", "method")
		header.ignore("response")
		headers.ignore("User-Agent", "Accept-Encoding", "Connection", "Pragma", "Accept", "Accept-Language", "Cache-Control")
	default:
		u.set("type", "tcp")
		u.set("headerType", kind)
	}
}

// xhttp passes the settings on as the JSON that links carry. runtime/link checks them one by one.
func (u *uri) xhttp(t *object) *link.Error {
	u.set("type", "xhttp")
	u.set("host", t.text("host"))
	u.set("path", t.text("path"))
	u.set("mode", t.text("mode"))
	if t == nil {
		return nil
	}
	extra := map[string]any{}
	if nested, given := t.fields["extra"]; !given {
		maps.Copy(extra, t.fields)
		maps.DeleteFunc(extra, func(_ string, value any) bool { return isEmpty(value) })
	} else if settings, ok := nested.(map[string]any); ok {
		maps.Copy(extra, settings) // the core reads nothing else then
	} else if text, ok := nested.(string); ok {
		u.set("extra", text)
	} else if nested != nil {
		return reject(link.CodeBadParameter, "the settings of xhttp (extra) are not a mapping; ask the provider for a correct entry")
	}
	for _, outside := range []string{"host", "path", "mode"} {
		delete(extra, outside) // the core does not read them there
	}
	clear(t.fields)
	if len(extra) == 0 {
		return nil
	}
	text, err := json.Marshal(extra)
	if err != nil {
		return reject(link.CodeBadParameter, "the settings of xhttp cannot be written as JSON")
	}
	u.set("extra", string(text))
	return nil
}

// ignoreSocket removes the settings of this machine's sockets that are not the provider's business.
func ignoreSocket(socket *object) {
	socket.ignore("tcpFastOpen", "tcpKeepAliveInterval", "tcpKeepAliveIdle", "tcpUserTimeout", "tcpMptcp", "tcpNoDelay", "tcpcongestion", "tcpCongestion",
		"tcpMaxSeg", "tcpWindowClamp", "domainStrategy", "happyEyeballs", "V6Only", "v6only", "penetrate")
}

// xraySecurity reports whether there is no name of the server to be missed.
func (u *uri) xraySecurity(protocol string, stream *object) (named bool, err *link.Error) {
	security := strings.ToLower(stream.text("security"))
	if security == "" {
		security = "none" // also for Trojan, unlike in links
	}
	if protocol == "http" && security != "none" {
		u.scheme = "https"
	}
	u.set("security", security)
	if security != "tls" && security != "reality" {
		return true, nil
	}
	t := stream.object(security + "Settings")
	if err := tlsFiles(t); err != nil {
		return false, err
	}
	name := t.text("serverName")
	u.set("sni", name)
	u.set("fp", t.text("fingerprint"))
	t.ignore("show")
	if security == "reality" {
		u.set("pbk", t.text("publicKey", "password"))
		u.set("sid", t.text("shortId"))
		u.set("spx", t.text("spiderX"))
		u.set("pqv", t.text("mldsa65Verify"))
		return name != "", nil
	}
	u.set("alpn", t.text("alpn"))
	u.set("pcs", t.text("pinnedPeerCertSha256"))
	u.set("vcn", t.text("verifyPeerCertByName", "verifyPeerCertInNames"))
	u.set("ech", t.text("echConfigList"))
	u.set("echForceQuery", t.text("echForceQuery"))
	u.set("pinnedPeerCertificateChainSha256", t.text("pinnedPeerCertificateChainSha256"))
	u.flag("allowInsecure", t.flag("allowInsecure"))
	t.ignore("enableSessionResumption", "disableSessionResumption", "rejectUnknownSni", "minVersion", "maxVersion", "cipherSuites", "curvePreferences")
	return name != "", nil
}

// tlsFiles rejects entries with certificates, of the server or of the client: without them the
// server would not work.
func tlsFiles(t *object) *link.Error {
	if certificates := t.take("certificates"); !isEmpty(certificates) {
		return reject(link.CodeUnsupportedParameter, "the entry brings certificates or names files with them, which xrat does not support; ask the provider for one that works without")
	}
	return nil
}
