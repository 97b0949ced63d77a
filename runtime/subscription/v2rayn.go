package subscription

import (
	"cmp"
	"strings"

	"github.com/xrat-tray/xrat/runtime/link"
)

// v2rayNURI writes a server of v2rayN's own configuration as a link. Its versions write the same
// names in different cases; newer ones keep what belongs to one protocol or transport as JSON in a
// text.
func v2rayNURI(o *object) (*uri, *link.Error) {
	lower(o.fields)
	account, transport := o.embedded("protoextra"), o.embedded("transportextra")
	u := &uri{name: o.text("remarks"), host: o.text("address"), port: o.text("port")}
	secret := o.text("password", "id")
	method := o.text("security") // whatever the protocol calls so
	o.ignore("indexid", "configversion", "coretype", "subid", "issub", "presocksport", "displaylog", "testresult", "sort", "groupid", "alterid")
	account.ignore("alterid")

	switch kind := strings.ToLower(o.text("configtype")); kind {
	case "1", "vmess":
		u.scheme, u.user = "vmess", escape(secret)
		u.set("encryption", cmp.Or(account.text("vmesssecurity"), method))
	case "3", "shadowsocks":
		u.scheme = "ss"
		u.userPassword(cmp.Or(account.text("ssmethod"), method), secret)
	case "4", "socks":
		u.scheme = "socks"
		u.userPassword(cmp.Or(o.text("username"), method), secret)
	case "5", "vless":
		u.scheme, u.user = "vless", escape(secret)
		u.set("encryption", cmp.Or(account.text("vlessencryption"), method))
		u.set("flow", cmp.Or(account.text("flow"), o.text("flow")))
	case "6", "trojan":
		u.scheme, u.user = "trojan", escape(secret)
		u.set("flow", cmp.Or(account.text("flow"), o.text("flow")))
	case "7", "hysteria2":
		u.v2rayNHysteria2(o, account, secret)
		return u, u.v2rayNSecurity(o)
	case "9", "wireguard":
		u.v2rayNWireGuard(o, account, secret)
		return u, nil
	case "10", "http":
		u.scheme = "http"
		if o.fields["streamsecurity"] == "tls" {
			u.scheme = "https"
		}
		u.userPassword(cmp.Or(o.text("username"), method), secret)
	case "101", "policygroup":
		return nil, nil
	case "102", "proxychain":
		return u, chained("ConfigType")
	case "2", "custom", "13", "customoutbound":
		return u, reject(CodeNotAnEntry, "the entry stands for a file of its own, which is not in this one; import that file")
	case "8", "tuic":
		return u, notSpoken("TUIC")
	case "11", "anytls":
		return u, notSpoken("AnyTLS")
	case "12", "naive":
		return u, notSpoken("NaiveProxy")
	default:
		return u, reject(link.CodeUnsupportedProtocol, "the type of the entry (ConfigType) is none that xrat knows; ask the provider for links")
	}
	u.v2rayNTransport(o, transport)
	return u, u.v2rayNSecurity(o)
}

// lower makes all names lower-case.
func lower(fields map[string]any) {
	for key, value := range fields {
		if small := strings.ToLower(key); small != key {
			delete(fields, key)
			if _, twice := fields[small]; !twice {
				fields[small] = value
			}
		}
	}
}

// embedded returns the mapping that a field holds as JSON in a text, with lower-case names, or nil.
func (o *object) embedded(key string) *object {
	if text, ok := o.fields[key].(string); ok {
		if fields, ok := valueOf([]byte(text)).(map[string]any); ok {
			o.fields[key] = fields
		}
	}
	child := o.object(key)
	if child != nil {
		lower(child.fields)
	}
	return child
}

// v2rayNTransport reads the transport. Three fields mean another thing for each.
func (u *uri) v2rayNTransport(o, t *object) {
	header, host, path := o.text("headertype"), cmp.Or(t.text("host"), o.text("requesthost")), cmp.Or(t.text("path"), o.text("path"))
	extra := cmp.Or(t.text("xhttpextra"), o.text("extra"))
	network := strings.ToLower(o.text("network"))
	u.set("type", network)
	switch network {
	case "", "tcp", "raw":
		u.set("headerType", cmp.Or(t.text("rawheadertype"), header))
		u.set("host", host)
		u.set("path", path)
	case "kcp", "mkcp":
		u.set("headerType", cmp.Or(t.text("kcpheadertype"), header))
		u.set("seed", cmp.Or(t.text("kcpseed"), path))
		u.set("mtu", t.text("kcpmtu"))
		u.set("host", host)
	case "grpc":
		u.set("mode", cmp.Or(t.text("grpcmode"), header))
		u.set("authority", cmp.Or(t.text("grpcauthority"), host))
		u.set("serviceName", cmp.Or(t.text("grpcservicename"), path))
	case "xhttp", "splithttp":
		u.set("mode", cmp.Or(t.text("xhttpmode"), header))
		u.set("extra", extra)
		u.set("host", host)
		u.set("path", path)
	default:
		u.set("host", host)
		u.set("path", path)
	}
	if t != nil {
		clear(t.fields) // those of transports that were not chosen change nothing
	}
}

func (u *uri) v2rayNSecurity(o *object) *link.Error {
	if o.text("cert") != "" {
		return reject(link.CodeUnsupportedParameter, "the entry brings a certificate (Cert), which xrat does not support; ask the provider for one that works without")
	}
	security := strings.ToLower(o.text("streamsecurity"))
	if u.scheme == "hysteria2" {
		security = "tls"
	}
	u.set("security", cmp.Or(security, "none"))
	u.flag("allowInsecure", o.flag("allowinsecure"))
	u.set("sni", o.text("sni"))
	u.set("alpn", o.text("alpn"))
	u.set("fp", o.text("fingerprint"))
	u.set("pcs", o.text("certsha"))
	u.set("vcn", o.text("verifypeercertbyname"))
	u.set("ech", o.text("echconfiglist"))
	u.set("pbk", o.text("publickey"))
	u.set("sid", o.text("shortid"))
	u.set("spx", o.text("spiderx"))
	u.set("pqv", o.text("mldsa65verify"))
	u.set("fm", o.text("finalmask"))
	o.ignore("ciphersuites", "echforcequery")
	return nil
}

func (u *uri) v2rayNHysteria2(o, account *object, secret string) {
	u.scheme, u.user = "hysteria2", escape(secret)
	if obfs := cmp.Or(account.text("salamanderpass"), o.text("path")); obfs != "" {
		u.set("obfs", "salamander")
		u.set("obfs-password", obfs)
	}
	u.set("mport", strings.ReplaceAll(cmp.Or(account.text("ports"), o.text("ports")), ":", "-"))
	u.set("hop-interval", account.text("hopinterval"))
	u.set("up", account.text("upmbps"))
	u.set("down", account.text("downmbps"))
	o.ignore("network", "headertype", "requesthost")
}

// v2rayNWireGuard reads the keys from where older versions put them: into fields for other things.
func (u *uri) v2rayNWireGuard(o, account *object, secret string) {
	u.scheme, u.user = "wireguard", escape(secret)
	u.set("publickey", cmp.Or(account.text("wgpublickey"), o.text("publickey")))
	u.set("presharedkey", account.text("wgpresharedkey"))
	u.set("address", cmp.Or(account.text("wginterfaceaddress"), o.text("requesthost")))
	u.set("reserved", cmp.Or(account.text("wgreserved"), o.text("path")))
	u.set("mtu", cmp.Or(account.text("wgmtu"), o.text("shortid")))
	o.ignore("network", "headertype", "streamsecurity", "allowinsecure")
}
