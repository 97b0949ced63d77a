package subscription

import (
	"bytes"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/xrat-tray/xrat/runtime/link"
)

const (
	maxRecognition = 64 << 10 // bytes of a body that are looked at to find out which format of lines it is
	maxSettings    = 200      // lines in a section of a file

	tooLong = "(too long)" // stands among the settings of a tunnel of which one is
)

var wireGuardHead = regexp.MustCompile(`(?im)^[ \t]*\[(?:interface|peer)\][ \t]*\r?$`)

func isWireGuardFile(data []byte) bool {
	return wireGuardHead.Match(data[:min(len(data), maxRecognition)])
}

// readWireGuardFile reads the configuration of a tunnel as wg-quick has it, or several one after
// the other.
func (c *collector) readWireGuardFile(data []byte) {
	var tunnel, section map[string]any
	opened := false // its [Interface] has come
	finish := func() {
		if tunnel != nil {
			c.entry(tunnel, "", wireGuardFileURI)
		}
	}
	peer := func() map[string]any {
		fields := map[string]any{}
		peers, _ := tunnel["peers"].([]any)
		if len(peers) == maxSettings {
			return peers[0].(map[string]any) // there are too many to be used in any case
		}
		tunnel["peers"] = append(peers, fields)
		return fields
	}
	for line := range bytes.Lines(data) {
		text, _, _ := strings.Cut(string(line), "#")
		text = strings.TrimSpace(text)
		key, value, found := strings.Cut(text, "=")
		key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
		switch {
		case strings.EqualFold(text, "[interface]"):
			if tunnel == nil || opened {
				finish()
				tunnel = map[string]any{}
			}
			section, opened = tunnel, true
		case strings.EqualFold(text, "[peer]"):
			if tunnel == nil {
				tunnel = map[string]any{}
			}
			section = peer()
		case !found || section == nil || value == "":
		case section[key] == nil:
			if len(section) < maxSettings {
				section[key] = value
			}
		default: // of an address each, say
			if earlier, ok := section[key].(string); ok && len(earlier) < maxEntry/4 {
				section[key] = earlier + "," + value
			} else {
				tunnel[tooLong] = "true"
			}
		}
		if c.cut {
			return
		}
	}
	finish()
}

// wireGuardFileURI writes a tunnel as a link.
func wireGuardFileURI(o *object) (*uri, *link.Error) {
	u := &uri{scheme: "wireguard"}
	if o.text(tooLong) != "" {
		return u, reject(link.CodeTooLong, "the tunnel has a setting that is longer than 16 KiB; no server needs that")
	}
	for key, plain := range map[string]string{
		"jc": "0", "jmin": "0", "jmax": "0", "s1": "0", "s2": "0", "s3": "0", "s4": "0", "h1": "1", "h2": "2", "h3": "3", "h4": "4",
		"i1": "", "i2": "", "i3": "", "i4": "", "i5": "", "j1": "", "j2": "", "j3": "", "itime": "0",
	} {
		if value := o.text(key); value != "" && value != plain {
			return u, reject(link.CodeUnsupportedParameter, "the file is for AmneziaWG, which disguises WireGuard in a way that the core does not have; ask the provider for one without")
		}
	}
	peers := o.objects("peers")
	switch len(peers) {
	case 0:
		return u, reject(link.CodeMissingCredentials, "the file names no [Peer], which would be the server; ask the provider for a complete one")
	case 1:
	default:
		return u, reject(link.CodeUnsupportedParameter, "the tunnel has "+strconv.Itoa(len(peers))+" peers, of which xrat supports one; make a file of each")
	}
	peer := peers[0]
	u.hostPort(peer.text("endpoint"))
	u.user = escape(o.text("privatekey"))
	u.set("publickey", peer.text("publickey"))
	u.set("presharedkey", peer.text("presharedkey"))
	u.set("address", o.text("address"))
	u.set("dns", onlyAddresses(o.text("dns")))
	u.set("mtu", o.text("mtu"))
	u.set("reserved", peer.text("reserved", "clientid"))
	u.set("reserved", o.text("reserved", "clientid"))
	u.set("allowedips", asPrefixes(peer.text("allowedips")))
	if keep := peer.text("persistentkeepalive"); !strings.EqualFold(keep, "off") {
		u.set("keepalive", keep)
	}
	o.ignore("listenport", "table", "fwmark", "preup", "postup", "predown", "postdown", "saveconfig")
	return u, nil
}

// hostPort takes an address like example.org:443 apart.
func (u *uri) hostPort(address string) {
	if i := strings.LastIndexByte(address, ':'); i >= 0 {
		u.host, u.port = address[:i], address[i+1:]
	} else {
		u.host = address
	}
}

// onlyAddresses leaves the domains out of a list for a resolver: they are those in which this
// machine would search.
func onlyAddresses(list string) string {
	var addresses []string
	for item := range strings.SplitSeq(list, ",") {
		if address, err := netip.ParseAddr(strings.TrimSpace(item)); err == nil {
			addresses = append(addresses, address.String())
		}
	}
	return strings.Join(addresses, ",")
}

// asPrefixes writes the single addresses in a list as prefixes, too.
func asPrefixes(list string) string {
	var all []string
	for item := range strings.SplitSeq(list, ",") {
		item = strings.TrimSpace(item)
		if address, err := netip.ParseAddr(item); err == nil {
			item = netip.PrefixFrom(address, address.BitLen()).String()
		}
		if item != "" {
			all = append(all, item)
		}
	}
	return strings.Join(all, ",")
}
