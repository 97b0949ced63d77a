package subscription

import (
	"maps"
	"slices"
	"strings"
)

const maxUserAgent = 256 // bytes

// clients are what common clients call themselves. Providers choose the format of their answer by
// it, and some answer nobody else.
var clients = map[string]string{
	"clash":        "clash-verge/v2.4.2",
	"clash-meta":   "ClashMetaForAndroid/2.11.18.Meta",
	"flclash":      "FlClash/v0.8.90 clash-verge Platform/linux",
	"happ":         "Happ/3.8.1",
	"hiddify":      "HiddifyNext/2.5.7 (linux) like ClashMeta v2ray sing-box",
	"karing":       "Karing/1.2.5 (linux) sing-box",
	"mihomo":       "mihomo/1.19.15",
	"nekobox":      "NekoBox/Android/1.4.1 (Prefer ClashMeta Format)",
	"shadowrocket": "Shadowrocket/2700 CFNetwork/3826.500.131 Darwin/24.5.0",
	"sing-box":     "sing-box/1.12.12",
	"stash":        "Stash/3.1.0 Clash/1.9.0",
	"streisand":    "Streisand/1.6.53",
	"throne":       "Throne/1.0.8 (Prefer ClashMeta Format)",
	"v2raya":       "v2rayA/2.2.7",
	"v2rayn":       "v2rayN/7.15.4",
	"v2rayng":      "v2rayNG/1.10.24",
	"v2raytun":     "v2raytun/linux",
}

// Clients names the clients whose user agent is known, in order.
func Clients() []string { return slices.Sorted(maps.Keys(clients)) }

// CheckUserAgent returns why a text can be neither a user agent nor the name of a client, as an
// *Error with CodeBadRequest.
func CheckUserAgent(text string) error {
	switch {
	case len(text) > maxUserAgent:
		return fail(CodeBadRequest, "the user agent is longer than 256 bytes")
	case strings.TrimSpace(text) != text || !isPrintable(text):
		return fail(CodeBadRequest, "the user agent must be printable ASCII, without spaces at its ends")
	}
	return nil
}

// userAgent returns what a request says of the client: the text itself, if it is no client's name.
func userAgent(text string) string {
	if agent, known := clients[strings.ToLower(text)]; known {
		return agent
	}
	return text
}

func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
