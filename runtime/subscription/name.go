package subscription

import (
	"strings"

	"github.com/xrat-tray/xrat/runtime/link"
)

// cleanText makes a text fit for display, by the rules of runtime/link for names.
func cleanText(text string) string {
	const enough = 16 << 10 // bytes; more than 200 characters are not shown
	return link.CleanName(text[:min(len(text), enough)])
}

// cleanName is cleanText for names, which hold no addresses: of that of a page only the host stays,
// as an advertisement, and of a link nothing, because it has secrets.
func cleanName(text string) string { return withoutAddresses(cleanText(text), hostOnly) }

// cleanNotice is cleanText for what a provider says. It may name pages, as people may want to go
// there.
func cleanNotice(text string) string { return withoutAddresses(cleanText(text), asItIs) }

// withoutAddresses replaces the addresses and links in a clean text: those of pages by what page
// makes of them, others by nothing.
func withoutAddresses(text string, page func(address string) string) string {
	var kept strings.Builder
	rest, found := text, false
	for {
		at := strings.Index(rest, "://")
		if at < 0 {
			break
		}
		begin, end := at, len(rest)
		for begin > 0 && isSchemeByte(rest[begin-1]) {
			begin--
		}
		if space := strings.IndexByte(rest[at:], ' '); space >= 0 {
			end = at + space
		}
		scheme, instead := strings.ToLower(rest[begin:at]), ""
		before, isPage := strings.CutSuffix(scheme, "https")
		if !isPage {
			before, isPage = strings.CutSuffix(scheme, "http")
		}
		if isPage {
			begin += len(before)
			instead = page(rest[begin:end])
		}
		// What stands around it must not grow together to an escape or another address.
		kept.WriteString(rest[:begin] + " " + instead)
		rest, found = rest[end:], true
	}
	if !found {
		return text
	}
	return cleanText(kept.String() + rest)
}

func asItIs(address string) string { return address }

func hostOnly(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	return rest[strings.LastIndexByte(rest, '@')+1:]
}

func isSchemeByte(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '+' || c == '-' || c == '.'
}
