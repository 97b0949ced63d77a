package subscription

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/xrat-tray/xrat/runtime/link"
)

// clashXHTTP translates the settings of xhttp, which Clash has flat and with dashes in their names.
func (u *uri) clashXHTTP(t *object) *link.Error {
	if t == nil {
		return u.xhttp(nil)
	}
	u.xhttpExplicitHost(t)
	t.fields = coreXHTTP(t.fields)
	return u.xhttp(t)
}

// xhttpExplicitHost makes a Host header the host of the requests, as Clash does.
func (u *uri) xhttpExplicitHost(t *object) {
	headers, _ := t.fields["headers"].(map[string]any)
	for key, value := range headers {
		if !strings.EqualFold(key, "Host") {
			continue
		}
		delete(headers, key)
		if host, _ := scalar(t.fields["host"]); host == "" {
			t.fields["host"] = value
		}
	}
}

// coreXHTTP returns settings of xhttp under the names of the core.
func coreXHTTP(fields map[string]any) map[string]any {
	core := make(map[string]any, len(fields))
	for key, value := range fields {
		if key == "reuse-settings" {
			key = "xmux"
			if nested, ok := value.(map[string]any); ok {
				value = coreXHTTP(nested)
			}
		}
		core[coreName(key)] = value
	}
	return core
}

// coreName turns a name like no-grpc-header into the core's noGRPCHeader.
func coreName(dashed string) string {
	first, rest, _ := strings.Cut(dashed, "-")
	name := first
	for word := range strings.SplitSeq(rest, "-") {
		switch word {
		case "":
		case "grpc", "sse", "http":
			name += strings.ToUpper(word)
		default:
			name += strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return name
}

// clashDownload writes the server for downloads that xhttp may have in the core's form. What it
// does not say is as in the rest of the entry, which therefore is still to be read.
func (u *uri) clashDownload(o *object) {
	options, _ := o.fields["xhttp-opts"].(map[string]any)
	own, ok := options["download-settings"].(map[string]any)
	if !ok {
		return
	}
	get := func(keys ...string) any {
		for _, fields := range []map[string]any{own, o.fields} {
			for _, key := range keys {
				if value := fields[key]; !isEmpty(value) {
					return value
				}
			}
		}
		return nil
	}
	text := func(keys ...string) string {
		value, _ := scalar(get(keys...))
		return value
	}
	xhttp := map[string]any{}
	for _, fields := range []map[string]any{options, own} {
		for key, value := range fields {
			switch key {
			case "path", "host", "headers", "mode", "reuse-settings":
				xhttp[key] = value
			default:
				if strings.HasPrefix(key, "x-padding-") || strings.HasPrefix(key, "sc-") || strings.HasPrefix(key, "session-") ||
					strings.HasPrefix(key, "seq-") || strings.HasPrefix(key, "uplink-") || strings.HasPrefix(key, "no-") {
					xhttp[key] = value
				}
			}
		}
	}
	delete(xhttp, "mode") // of uploads
	download := map[string]any{"address": cmp.Or(text("server"), u.host), "port": number(cmp.Or(text("port"), u.port)), "network": "xhttp", "xhttpSettings": coreXHTTP(xhttp)}
	tls, _ := scalar(own["tls"])
	if tls == "" {
		tls, _ = scalar(o.fields["tls"])
	}
	if isYes(tls) {
		security := map[string]any{"serverName": text("servername", "sni"), "fingerprint": text("client-fingerprint")}
		if reality, ok := get("reality-opts").(map[string]any); ok {
			security["publicKey"], security["shortId"] = reality["public-key"], reality["short-id"]
			download["security"], download["realitySettings"] = "reality", security
		} else {
			security["alpn"] = get("alpn")
			download["security"], download["tlsSettings"] = "tls", security
		}
	}
	delete(options, "download-settings")
	options["downloadSettings"] = download
}

// number returns a number as JSON has it, or the text if it is none.
func number(text string) any {
	if text == "" || strings.Trim(text, "0123456789") != "" || text[0] == '0' {
		return text
	}
	return json.Number(text)
}
