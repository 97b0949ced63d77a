package link

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// The second way of xhttp: what the server sends comes over a connection of its own, with an
// address, a transport and a security of its own. The core calls it downloadSettings.

type download struct {
	Address string           `json:"address"`
	Port    uint16           `json:"port"`
	Network string           `json:"network"`
	Secured string           `json:"security,omitempty"`
	TLS     *downloadTLS     `json:"tlsSettings,omitempty"`
	REALITY *downloadREALITY `json:"realitySettings,omitempty"`
	XHTTP   downloadXHTTP    `json:"xhttpSettings"`
	Mask    json.RawMessage  `json:"finalmask,omitempty"`
}

type downloadTLS struct {
	ServerName  string   `json:"serverName,omitempty"`
	ALPN        []string `json:"alpn,omitempty"`
	Fingerprint string   `json:"fingerprint,omitempty"`
	PinnedCerts string   `json:"pinnedPeerCertSha256,omitempty"`
	VerifyNames string   `json:"verifyPeerCertByName,omitempty"`
	ECH         string   `json:"echConfigList,omitempty"`
	ECHQuery    string   `json:"echForceQuery,omitempty"`
}

type downloadREALITY struct {
	ServerName  string `json:"serverName,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"`
	PublicKey   string `json:"publicKey"`
	ShortID     string `json:"shortId,omitempty"`
	SpiderX     string `json:"spiderX,omitempty"`
	PostQuantum string `json:"mldsa65Verify,omitempty"`
}

type downloadXHTTP struct {
	Host  string          `json:"host,omitempty"`
	Path  string          `json:"path"`
	Mode  string          `json:"mode,omitempty"`
	Extra json.RawMessage `json:"extra,omitempty"`
}

// downloadKeys are the settings that are read, and of which object.
var downloadKeys = map[string]map[string]string{
	"tlsSettings": {
		"serverName": "sni", "alpn": "alpn", "fingerprint": "fp", "pinnedPeerCertSha256": "pcs", "verifyPeerCertByName": "vcn", "echConfigList": "ech",
		"echForceQuery": "echForceQuery", "allowInsecure": "allowInsecure",
	},
	"realitySettings": {
		"serverName": "sni", "fingerprint": "fp", "publicKey": "pbk", "password": "pbk", "shortId": "sid", "spiderX": "spx", "mldsa65Verify": "pqv",
	},
}

// parseDownload checks the settings by the rules for those of the link, and returns them in
// canonical form.
func parseDownload(q *query, raw json.RawMessage, mode string) Secret {
	if text := string(raw); text == "null" || text == "{}" || text == `""` {
		return Secret{}
	}
	reject := func(why string) Secret {
		q.fail(unsupportedParameter("extra", "has a second way for downloads (downloadSettings) "+why))
		return Secret{}
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(text)
	}
	object, ok := decodeObject(string(raw))
	if !ok {
		return reject("that is no object; ask for a link without it")
	}
	if mode == "stream-one" {
		return reject("in the mode stream-one, which has one connection for both directions; ask for a link without one of them")
	}
	host, err := parseHost(unquote(object["address"]))
	if err != nil {
		return reject("without the address of a server; ask for a complete link")
	}
	port, err := parsePort(unquote(object["port"]))
	if err != nil {
		return reject("without a port; ask for a complete link")
	}
	security := cmp.Or(word(unquote(object["security"])), "none")
	inner := query{reader: q.reader, host: host, params: params{{"security", security}}}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		switch raw := object[name]; name {
		case "address", "port", "security", "flow", "remark", "remarks":
		case "network":
			if network := word(unquote(raw)); network != "xhttp" && network != "splithttp" {
				return reject("over another transport than xhttp, which the core does not have; ask for a link without it")
			}
		case "sockopt":
			if socket, _ := decodeObject(string(raw)); unquote(socket["dialerProxy"]) != "" {
				return reject("through another server (dialerProxy), which xrat does not support; ask for a link without it")
			}
		case "tlsSettings", "realitySettings":
			settings, ok := decodeObject(string(raw))
			if strings.TrimSuffix(name, "Settings") != security || !ok {
				continue
			}
			for name, raw := range settings {
				if _, harmless := map[string]bool{"show": true, "enableSessionResumption": true, "settings": true}[name]; harmless || isBlank(raw) {
					continue
				}
				key, known := downloadKeys[security+"Settings"][name]
				if !known {
					return reject("with a setting of its security that xrat does not support; ask for a link without it")
				}
				inner.params = append(inner.params, param{key, joined(raw)})
			}
		case "xhttpSettings", "splithttpSettings":
			settings, ok := decodeObject(string(raw))
			if !ok {
				return reject("whose settings are no object; ask for a link without it")
			}
			extra, nested := settings["extra"]
			for _, key := range []string{"host", "path", "mode"} {
				inner.params = append(inner.params, param{key, strings.TrimSpace(unquote(settings[key]))})
				delete(settings, key)
			}
			delete(settings, "extra")
			if !nested { // with an extra, the core reads nothing else
				extra, _ = json.Marshal(settings)
			}
			inner.params = append(inner.params, param{"extra", joined(extra)})
		case "finalmask":
			inner.params = append(inner.params, param{"fm", string(raw)})
		default:
			if !isBlank(raw) {
				return reject("with a setting that the core does not know; ask for a link without it")
			}
		}
	}
	t, _ := parseXHTTP(&inner).(XHTTP)
	if t.Download != (Secret{}) {
		return reject("within another; ask for a link without it")
	}
	secure := parseSecurity(&inner, "none", Raw{}) // of which no name can be made up from a header
	way := Link{Host: host, Port: port, Transport: t, Secure: secure}
	way.applyMasks(&inner, parseMasks(&inner))
	if inner.err != nil {
		q.fail(inner.err)
		return Secret{}
	}
	canonical, jsonErr := json.Marshal(way.download(t))
	if jsonErr != nil {
		return reject("that cannot be printed as JSON; ask for a link without it")
	}
	return NewSecret(string(canonical))
}

// isBlank reports whether a value means the same as leaving the setting out.
func isBlank(raw json.RawMessage) bool {
	switch strings.Join(strings.Fields(string(raw)), "") {
	case "", "null", `""`, "{}", "[]", "false", "0":
		return true
	}
	return false
}

// joined returns a value as a parameter has it: the elements of a list joined by commas.
func joined(raw json.RawMessage) string {
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return strings.Join(list, ",")
	}
	return unquote(raw)
}

// download writes the way as the core's settings.
func (l Link) download(t XHTTP) download {
	d := download{
		Address: l.Host, Port: l.Port, Network: "xhttp",
		XHTTP: downloadXHTTP{Host: t.Host, Path: t.Path, Extra: json.RawMessage(t.Extra)},
		Mask:  json.RawMessage(l.Mask.Reveal()),
	}
	if t.Mode != "auto" {
		d.XHTTP.Mode = t.Mode
	}
	switch s := l.Secure.(type) {
	case TLS:
		d.Secured = "tls"
		d.TLS = &downloadTLS{ServerName: s.ServerName, Fingerprint: s.Fingerprint, PinnedCerts: s.PinnedCerts, VerifyNames: s.VerifyNames, ECH: s.ECH, ECHQuery: s.ECHQuery}
		if s.ALPN != "" {
			d.TLS.ALPN = strings.Split(s.ALPN, ",")
		}
	case REALITY:
		d.Secured = "reality"
		d.REALITY = &downloadREALITY{
			ServerName: s.ServerName, Fingerprint: cmp.Or(s.Fingerprint, "chrome"), PublicKey: s.PublicKey.Reveal(), ShortID: s.ShortID.Reveal(),
			SpiderX: s.SpiderX, PostQuantum: s.PostQuantum.Reveal(),
		}
	}
	return d
}

// ExtraWithDownload returns all further settings of the core as JSON: Extra, and Download as
// downloadSettings. It is a secret if there is a Download.
func (t XHTTP) ExtraWithDownload() string {
	second := t.Download.Reveal()
	if second == "" {
		return t.Extra
	}
	return `{"downloadSettings":` + second + strings.Replace(cmp.Or(t.Extra, "{}"), "{", separator(t.Extra), 1)
}

func separator(extra string) string {
	if extra == "" {
		return ""
	}
	return ","
}

// downloadHosts returns the hosts with which the core talks because of Download.
func (t XHTTP) downloadHosts() []string {
	text := t.Download.Reveal()
	if text == "" {
		return nil
	}
	var d download
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return nil // parseDownload has written it
	}
	hosts := []string{d.Address}
	if d.TLS != nil && lookupHost(d.TLS.ECH) != "" {
		hosts = append(hosts, lookupHost(d.TLS.ECH))
	}
	return hosts
}
