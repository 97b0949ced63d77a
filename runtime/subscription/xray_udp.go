package subscription

import (
	"strings"

	"github.com/xrat-tray/xrat/runtime/link"
)

func (u *uri) xrayHysteria(o, settings, stream *object) *link.Error {
	u.scheme, u.host, u.port = "hysteria2", settings.text("address"), settings.text("port")
	if version := settings.text("version"); version != "" && version != "2" {
		return reject(link.CodeUnsupportedProtocol, "the core speaks version 2 of Hysteria only; ask the provider for a Hysteria 2 server")
	}
	transport := stream.object("hysteriaSettings")
	u.user = escape(transport.text("auth"))
	u.set("up", bandwidth(transport, "up"))
	u.set("down", bandwidth(transport, "down"))
	hop := transport.object("udphop")
	u.set("mport", hop.text("port", "ports"))
	u.set("hop-interval", hop.text("interval"))
	transport.ignore("version", "congestion", "udpIdleTimeout")

	if _, err := u.xraySecurity("hysteria", stream); err != nil {
		return err
	}
	stream.ignore("network")
	ignoreTransports(stream)
	o.ignore("mux")
	return nil
}

// bandwidth takes a field that is a number of Mbit/s or Gbit/s. A field in another unit is left, so
// that it is named.
func bandwidth(o *object, key string) string {
	if o == nil {
		return ""
	}
	text, _ := scalar(o.fields[key])
	number, thousands := strings.ToLower(text), ""
	for _, unit := range []string{"mbps", "mb", "m", "gbps", "gb", "g"} {
		if before, ok := strings.CutSuffix(number, unit); ok {
			number = before
			if unit[0] == 'g' {
				thousands = "000"
			}
			break
		}
	}
	number = strings.TrimSpace(number)
	if number == "" || strings.Trim(number, "0123456789") != "" {
		return ""
	}
	o.ignore(key)
	return number + thousands
}

func (u *uri) xrayWireGuard(settings *object) *link.Error {
	peer, err := one(settings, "peers")
	if err != nil {
		return err
	}
	u.scheme = "wireguard"
	endpoint := peer.text("endpoint")
	if i := strings.LastIndexByte(endpoint, ':'); i >= 0 {
		u.host, u.port = endpoint[:i], endpoint[i+1:]
	}
	u.user = escape(settings.text("secretKey"))
	u.set("address", settings.text("address"))
	u.set("mtu", settings.text("mtu"))
	u.set("reserved", settings.text("reserved"))
	u.set("publickey", peer.text("publicKey"))
	u.set("presharedkey", peer.text("preSharedKey"))
	u.set("keepalive", peer.text("keepAlive"))
	u.set("allowedips", peer.text("allowedIPs"))
	settings.ignore("noKernelTun", "kernelMode", "workers", "domainStrategy")
	return nil
}
