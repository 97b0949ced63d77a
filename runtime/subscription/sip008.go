package subscription

import (
	"strings"

	"github.com/xrat-tray/xrat/runtime/link"
)

// sip008URI writes a server of a SIP008 document as a link. The configuration files of Shadowsocks
// and of its clients have the same fields, and more.
func sip008URI(o *object) (*uri, *link.Error) {
	u := &uri{scheme: "ss", host: o.text("server", "address"), port: o.text("server_port", "port"), name: o.text("remarks", "tag", "name")}
	u.userPassword(o.text("method"), o.text("password"))
	// ShadowsocksR writes the same, unless the entry asks for what only it has.
	protocol, obfs := o.text("protocol"), o.text("obfs")
	if strings.HasPrefix(protocol, "auth_") || strings.HasPrefix(protocol, "verify_") || obfs != "" && obfs != "plain" {
		return u, notSpoken("ShadowsocksR")
	}
	u.set("prefix", o.text("prefix"))
	o.ignore("id", "group", "owner", "timeout", "mode", "fast_open", "local_address", "local_port", "plugin_args", "mux", "udp_relay", "ratelimit", "country", "no_delay",
		"enable", "route", "remote_dns", "ipv6", "metered", "proxy_apps", "udpdns", "warnLegacyUrl", "protocolparam", "obfsparam", "remarks_base64", "server_udp_port",
		"use_syslog", "ipv6_first", "reuse_port", "workers", "nameserver", "nofile", "keep_alive")
	return u, u.sip003(o.text("plugin"), o.text("plugin_opts", "plugin_options"))
}

// sip003 sets the plugin of a Shadowsocks link, whose options are a text like "mode=websocket;tls".
func (u *uri) sip003(name, options string) *link.Error {
	if name != "" && options != "" {
		name += ";" + options // as in the links of SIP002
	}
	return u.plugin(name)
}

// plugin sets the plugin of a Shadowsocks link: its name, and options after semicolons.
func (u *uri) plugin(text string) *link.Error {
	if name, _, _ := strings.Cut(text, ";"); text != "" && !isPlain(name) {
		// A path, for example, which runtime/link would take for no plugin at all.
		return reject(link.CodeUnsupportedPlugin, "the Shadowsocks plugin of the entry is not part of the core; ask the provider for one without a plugin")
	}
	u.set("plugin", text)
	return nil
}
