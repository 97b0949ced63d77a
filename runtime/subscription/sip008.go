package subscription

import "github.com/xrat-tray/xrat/runtime/link"

// sip008URI writes a server of a SIP008 document, which is also the configuration file of Shadowsocks, as a link.
func sip008URI(o *object) (*uri, *link.Error) {
	u := &uri{scheme: "ss", host: o.text("server", "address"), port: o.text("server_port", "port"), name: o.text("remarks", "tag")}
	u.userPassword(o.text("method"), o.text("password"))
	plugin, options := o.text("plugin"), o.text("plugin_opts", "plugin_options")
	if plugin != "" && options != "" {
		plugin += ";" + options // as in the links of SIP002
	}
	u.set("plugin", plugin)
	o.ignore("id", "group", "owner", "timeout", "mode", "fast_open", "local_address", "local_port", "plugin_args", "mux", "udp_relay", "ratelimit", "country", "no_delay")
	return u, nil
}
