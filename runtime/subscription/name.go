package subscription

import (
	"github.com/xrat-tray/xrat/runtime/link"
)

// cleanName makes a text fit for display, by the rules of runtime/link for names.
func cleanName(text string) string {
	if text == "" {
		return ""
	}
	// A link of which only the name matters.
	l, err := link.Parse("socks://name.invalid:1#" + escape(text))
	if err != nil {
		return ""
	}
	return l.Name
}
