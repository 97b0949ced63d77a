package subscription

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/xrat-tray/xrat/runtime/link"
)

// Surge, Loon and Quantumult X name a server in a line:
//
//	name = trojan, example.org, 443, password=…, sni=…
//	name = VLESS, example.org, 443, "uuid", transport=ws, over-tls=true
//	vless=example.org:443, method=none, password=uuid, obfs=wss, tag=name
//
// The first is of Surge, the second of Loon, and the third of Quantumult X. Their settings have
// different names for the same things, so that one reader understands them all.

const surgeKinds = `custom|ss|shadowsocks|shadowsocksr|ssr|vmess|vless|trojan|https?|socks5(?:-tls)?|snell|tuic(?:-v5)?|hysteria2?|wireguard|anytls|ssh`

var (
	surgeSection = regexp.MustCompile(`(?im)^[ \t]*\[(?:proxy|server_local|remote proxy|server_remote)\][ \t]*\r?$`)
	surgeLine    = regexp.MustCompile(`(?im)^[^=\n#;]*=[ \t]*(?:` + surgeKinds + `)[ \t]*,[^,\n]+,[ \t]*\d+[ \t]*(?:,|\r?$)`)
	quantumult   = regexp.MustCompile(`(?im)^[ \t]*(?:shadowsocks|vmess|vless|trojan|http|socks5|anytls|hysteria2)[ \t]*=[^,=\n]+:\d+[ \t]*,`)
)

func isSurge(data []byte) bool {
	head := data[:min(len(data), maxRecognition)]
	return surgeSection.Match(head) || surgeLine.Match(head) || quantumult.Match(head)
}

// readSurge reads the lines of servers, which are in a section of a configuration, or all that
// there are.
func (c *collector) readSurge(data []byte) {
	c.body.Lines = true
	sections := wireGuardSections(data)
	sectioned := surgeSection.Match(data)
	var addresses []string
	section, number := "", 0
	for line := range bytes.Lines(data) {
		number++
		text := string(bytes.TrimSpace(bytes.TrimPrefix(line, []byte("\uFEFF"))))
		switch {
		case text == "" || strings.HasPrefix(text, "#") || strings.HasPrefix(text, ";") || strings.HasPrefix(text, "//"):
			continue
		case text[0] == '[' && text[len(text)-1] == ']':
			section = strings.ToLower(text)
			continue
		case section == "[remote proxy]" || section == "[server_remote]":
			if address := surgeAddress(text); address != "" {
				addresses = append(addresses, address)
			}
			continue
		case sectioned && section != "[proxy]" && section != "[server_local]":
			continue
		}
		position := number
		if _, ok := c.next(); !ok {
			return
		}
		if len(text) > maxEntry {
			c.problem(Problem{Position: position, Code: link.CodeTooLong, Message: "the line is longer than 64 KiB; no server needs that"})
			continue
		}
		if startsAsLink([]byte(text)) {
			_, name, _ := strings.Cut(text, "#")
			l, leftOut, err := parseLink(text)
			c.parsed(position, l, leftOut, err, name)
			continue
		}
		fields, ok := surgeFields(text)
		if !ok {
			c.problem(Problem{Position: position, Code: CodeNotAnEntry, Message: "the line names no server as Surge, Loon and Quantumult X do"})
			continue
		}
		if name, ok := fields["section-name"].(string); ok && sections[name] != nil {
			for key, value := range sections[name] {
				fields[key] = value
			}
			delete(fields, "section-name")
		}
		c.entryAt(position, fields, "", surgeURI)
	}
	c.elsewhere(addresses)
}

// surgeAddress returns the address of a list, which stands before its settings, or behind its name.
func surgeAddress(text string) string {
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '=' || r == ' ' }) {
		if isPage(part) {
			return part
		}
	}
	return ""
}

// wireGuardSections returns the settings of the WireGuard tunnels that Surge keeps in sections of
// their own, by their names.
func wireGuardSections(data []byte) map[string]map[string]any {
	const head, most = "[wireguard ", 1000
	sections := make(map[string]map[string]any)
	var fields map[string]any
	for line := range bytes.Lines(data) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || len(line) > maxEntry {
			continue
		}
		if line[0] == '[' && line[len(line)-1] == ']' {
			fields = nil
			if len(line) > len(head) && bytes.EqualFold(line[:len(head)], []byte(head)) && len(sections) < most {
				fields = map[string]any{}
				sections[string(bytes.TrimSpace(line[len(head):len(line)-1]))] = fields
			}
			continue
		}
		if key, value, found := strings.Cut(string(line), "="); found && len(fields) < maxSettings && fields != nil {
			fields[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
		}
	}
	return sections
}

var (
	surgeKey       = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)
	quantumultKind = wordSet("shadowsocks vmess vless trojan http socks5 anytls hysteria2")
)

// surgeFields takes a line apart. What stands there without a name is "kind", "server", "port" and
// the list "more".
func surgeFields(text string) (map[string]any, bool) {
	name, rest, found := strings.Cut(text, "=")
	parts := splitOutsideQuotes(rest)
	if !found || len(parts) < 1 {
		return nil, false
	}
	fields := map[string]any{}
	named := parts[1:]
	if kind := strings.ToLower(strings.TrimSpace(name)); quantumultKind[kind] && strings.Contains(parts[0], ":") {
		i := strings.LastIndexByte(parts[0], ':')
		fields["kind"], fields["server"], fields["port"] = kind, parts[0][:i], parts[0][i+1:]
	} else {
		fields["kind"], fields["name"] = strings.ToLower(parts[0]), unquoted(strings.TrimSpace(name))
		if len(parts) >= 3 && !strings.Contains(parts[1], "=") {
			fields["server"], fields["port"], named = unquoted(parts[1]), parts[2], parts[3:]
		}
	}
	var more []any
	for _, part := range named {
		key, value, found := strings.Cut(part, "=")
		key = strings.TrimSpace(key)
		if !found || strings.Trim(value, "= ") == "" && value != "" || !surgeKey.MatchString(key) {
			more = append(more, unquoted(part))
			continue
		}
		value = strings.TrimSpace(value)
		if before, glued := strings.CutSuffix(value, "tls=true"); glued && key == "ws-headers" {
			// A converter in use forgets the comma. No host has an equals sign.
			value, fields["tls"] = before, "true"
		}
		fields[strings.ToLower(key)] = unquoted(value)
	}
	if more != nil {
		fields["more"] = more
	}
	return fields, true
}

// splitOutsideQuotes cuts a text at the commas that are in no quotes and brackets.
func splitOutsideQuotes(text string) []string {
	var parts []string
	start, depth, quoted := 0, 0, false
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '(' || c == '[' || c == '{':
			depth++
		case c == ')' || c == ']' || c == '}':
			depth--
		case c == ',' && depth <= 0:
			parts = append(parts, strings.TrimSpace(text[start:i]))
			start = i + 1
		}
	}
	return append(parts, strings.TrimSpace(text[start:]))
}

func unquoted(text string) string {
	text = strings.TrimSpace(text)
	if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
		return text[1 : len(text)-1]
	}
	return text
}

// surgeURI writes a line as a link.
func surgeURI(o *object) (*uri, *link.Error) {
	u := &uri{name: o.text("name"), host: o.text("server"), port: o.text("port")}
	if tag := o.text("tag"); tag != "" {
		u.name = tag
	}
	kind := o.text("kind")
	more := o.list("more")
	if o.text("underlying-proxy") != "" {
		return u, chained("underlying-proxy")
	}
	for _, key := range []string{"shadow-tls-password", "shadow-tls-version", "shadow-tls-sni"} {
		if o.text(key) != "" {
			return u, reject(link.CodeUnsupportedPlugin, "the plugin shadow-tls is not part of the core; ask the provider for a server without a plugin")
		}
	}
	// These concern this machine or the behaviour of the other client.
	o.ignore("udp-relay", "udp", "tfo", "fast-open", "test-url", "test-udp", "test-timeout", "ecn", "block-quic", "ip-mode", "hybrid", "no-error-alert",
		"interface", "allow-other-interface", "tos", "group", "img-url", "server_check_url", "always-use-connect", "aead", "vmess-aead", "alterid", "tls13",
		"tls-no-session-ticket", "tls-no-session-reuse", "tls-alpn", "udp-port", "disabled")

	switch kind {
	case "direct", "reject", "reject-tinygif", "reject-drop", "reject-no-drop", "reject-dict", "reject-array", "reject-img", "dns", "cellular", "wifi":
		return nil, nil
	case "ss", "shadowsocks", "custom":
		return u, u.surgeShadowsocks(o, more)
	case "vmess":
		u.scheme, u.user = "vmess", escape(surgeValue(o, more, 1, "username", "uuid", "password"))
		method := surgeValue(o, more, 0, "encrypt-method", "method")
		u.set("encryption", strings.Replace(method, "-ietf-", "-", 1))
	case "vless":
		u.scheme, u.user = "vless", escape(surgeValue(o, more, 0, "username", "uuid", "password"))
		u.set("flow", o.text("flow", "vless-flow"))
		u.set("encryption", o.text("encryption"))
		o.ignore("method")
	case "trojan":
		u.scheme, u.user = "trojan", escape(surgeValue(o, more, 0, "password"))
		o.fields["tls"] = "true" // Trojan without TLS does not occur
	case "http", "https", "socks5", "socks5-tls":
		if user := surgeValue(o, more, 0, "username"); user != "" {
			u.userPassword(user, surgeValue(o, more, 1, "password"))
		}
		u.scheme = kind
		if before, secured := strings.CutSuffix(kind, "-tls"); secured || kind == "https" {
			u.scheme, o.fields["tls"] = before, "true"
		}
		if u.scheme == "http" && (isSet(o, "tls") || isSet(o, "over-tls")) {
			u.scheme = "https"
		}
	case "hysteria2":
		return u, u.surgeHysteria2(o, more)
	case "wireguard":
		return u, u.surgeWireGuard(o)
	case "shadowsocksr", "ssr", "snell", "tuic", "tuic-v5", "hysteria", "anytls", "ssh", "external", "trust-tunnel":
		return u, reject(link.CodeUnsupportedProtocol, "the core does not speak "+kind+"; ask the provider for a VLESS, VMess, Trojan or Shadowsocks server")
	default:
		return u, reject(link.CodeUnsupportedProtocol, "the line is for a kind of server that the core does not have; ask the provider for a VLESS, VMess, Trojan or Shadowsocks server")
	}
	return u, u.surgeStream(o)
}

// surgeValue returns a setting that has one of the names, or stands without one at a place.
func surgeValue(o *object, more []string, place int, names ...string) string {
	if value := o.text(names...); value != "" || place >= len(more) {
		return value
	}
	return more[place]
}

func isSet(o *object, key string) bool {
	text, _ := scalar(o.fields[key])
	return strings.EqualFold(text, "true") || text == "1"
}

// surgeStream reads transport and security.
func (u *uri) surgeStream(o *object) *link.Error {
	obfs, transport := strings.ToLower(o.text("obfs")), strings.ToLower(o.text("transport"))
	secured := o.flag("tls", "over-tls") || obfs == "wss" || obfs == "over-tls"
	key := o.text("public-key", "reality-base64-pubkey")
	if key != "" {
		u.set("security", "reality")
		u.set("pbk", key)
		u.set("sid", o.text("short-id", "reality-hex-shortid"))
	} else if secured {
		u.set("security", "tls")
	} else {
		u.set("security", "none")
	}
	insecure := o.flag("skip-cert-verify")
	if verify := o.text("tls-verification"); verify != "" && strings.EqualFold(verify, "false") {
		insecure = true
	}
	headers, host := surgeHeaders(o.text("ws-headers")), o.text("obfs-host", "host")
	sni, alpn, pinned := o.text("sni", "tls-name", "tls-host"), o.text("alpn"), o.text("server-cert-fingerprint-sha256", "tls-cert-sha256")
	if sni == "" && (obfs == "wss" || obfs == "over-tls") {
		sni = host
	}
	if key != "" || secured {
		if !strings.EqualFold(sni, "off") {
			u.set("sni", sni)
		}
		u.set("alpn", strings.Replace(alpn, "http1.1", "http/1.1", 1))
		u.set("pcs", pinned)
		u.flag("allowInsecure", insecure)
	}
	if headers["host"] != "" {
		host = headers["host"]
	}
	delete(headers, "host")
	if len(headers) > 0 {
		o.fields["ws-headers"] = "others" // is named
	}
	path := o.text("ws-path", "obfs-uri", "path")
	ws := o.flag("ws")
	switch {
	case ws || obfs == "ws" || obfs == "wss" || transport == "ws":
		u.set("type", "ws")
		u.set("host", host)
		u.set("path", path)
	case obfs == "http" || transport == "http":
		var hosts, paths []string
		if host != "" {
			hosts = []string{host}
		}
		if path != "" {
			paths = []string{path}
		}
		u.http1(hosts, paths)
	case transport == "grpc":
		u.set("type", "grpc")
		u.set("serviceName", o.text("grpc-service-name", "servicename", "service-name"))
	case obfs == "" || obfs == "over-tls" || obfs == "none":
		u.set("type", transport) // runtime/link says why not
	default:
		return reject(link.CodeUnsupportedTransport, "the disguise of the line (obfs) is not one of the core; ask the provider for a server without")
	}
	return nil
}

// surgeHeaders reads "Host:example.org|X-Other:y". Names are in lower case.
func surgeHeaders(text string) map[string]string {
	headers := make(map[string]string)
	for header := range strings.SplitSeq(text, "|") {
		name, value, found := strings.Cut(header, ":")
		if !found {
			continue
		}
		headers[strings.ToLower(strings.TrimSpace(name))] = unquoted(value)
	}
	return headers
}

func (u *uri) surgeShadowsocks(o *object, more []string) *link.Error {
	u.scheme = "ss"
	u.userPassword(surgeValue(o, more, 0, "encrypt-method", "method"), surgeValue(o, more, 1, "password"))
	if o.text("ssr-protocol") != "" {
		return reject(link.CodeUnsupportedProtocol, "the core does not speak ssr; ask the provider for a VLESS, VMess, Trojan or Shadowsocks server")
	}
	if o.flag("udp-over-tcp") {
		u.set("uot", "1") // runtime/link says why not
	}
	obfs, _ := scalar(o.fields["obfs"])
	if name := o.text("obfs-name"); name != "" || obfs == "http" || obfs == "tls" {
		return u.plugin("obfs-local") // runtime/link says why not
	}
	if obfs == "" {
		o.ignore("obfs", "obfs-host", "obfs-uri", "skip-cert-verify", "tls-verification", "sni")
		return nil
	}
	return u.surgeStream(o) // which is what the V2Ray plugin does
}

func (u *uri) surgeHysteria2(o *object, more []string) *link.Error {
	u.scheme, u.user = "hysteria2", escape(surgeValue(o, more, 0, "password", "auth"))
	u.set("mport", strings.ReplaceAll(o.text("port-hopping", "server-ports"), ";", ","))
	u.set("hop-interval", o.text("port-hopping-interval", "hop-interval"))
	if password := o.text("salamander-password"); password != "" {
		u.set("obfs", "salamander")
		u.set("obfs-password", password)
	}
	u.set("up", bandwidth(o, "upload-bandwidth"))
	u.set("down", bandwidth(o, "download-bandwidth"))
	if sni := o.text("sni", "tls-name", "tls-host"); !strings.EqualFold(sni, "off") {
		u.set("sni", sni)
	}
	u.set("alpn", o.text("alpn"))
	u.set("pcs", o.text("server-cert-fingerprint-sha256", "tls-cert-sha256"))
	u.flag("insecure", o.flag("skip-cert-verify"))
	return nil
}

// surgeWireGuard reads what Surge has in a section, and Loon in the line itself.
func (u *uri) surgeWireGuard(o *object) *link.Error {
	u.scheme = "wireguard"
	peers := splitOutsideQuotes(strings.Trim(o.text("peers", "peer"), "[]"))
	if len(peers) != 1 || peers[0] == "" {
		return reject(link.CodeUnsupportedParameter, "the tunnel has several peers or none, where xrat supports one; make a line of each")
	}
	peer := map[string]string{}
	for _, part := range splitOutsideQuotes(strings.Trim(peers[0], "(){} ")) {
		if key, value, found := strings.Cut(part, "="); found {
			peer[strings.ToLower(strings.TrimSpace(key))] = unquoted(value)
		}
	}
	u.hostPort(peer["endpoint"])
	u.user = escape(o.text("private-key"))
	address := o.text("self-ip", "interface-ip")
	if six := o.text("self-ip-v6", "interface-ipv6"); six != "" {
		address += "," + six
	}
	u.set("address", strings.Trim(address, ","))
	u.set("dns", onlyAddresses(o.text("dns-server", "dns")+","+o.text("dnsv6")))
	u.set("mtu", o.text("mtu"))
	u.set("publickey", peer["public-key"])
	u.set("presharedkey", peer["preshared-key"])
	u.set("allowedips", asPrefixes(peer["allowed-ips"]))
	u.set("reserved", strings.ReplaceAll(strings.Trim(peer["reserved"]+peer["client-id"], "[]"), "/", ","))
	keep := o.text("keepalive")
	if own := peer["keepalive"]; own != "" {
		keep = own
	}
	u.set("keepalive", keep)
	o.ignore("prefer-ipv6")
	return nil
}
