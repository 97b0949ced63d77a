package subscription

import (
	"github.com/xrat-tray/xrat/runtime/link"
)

// cleanName makes a text fit for display, by the rules of runtime/link for names.
func cleanName(text string) string {
	return link.CleanName(text)
}
