package tray

import (
	"strings"

	"github.com/gen2brain/beeep"
)

// plainNotification sends a notification by way of beeep, which knows every system.
func plainNotification(n notification) error {
	beeep.AppName = "xrat"
	// Whether the server interprets markup is not known here.
	body := strings.NewReplacer("<", "‹", ">", "›", "&", "＆").Replace(n.Body)
	return beeep.Notify(n.Title, body, n.Icon.Tray())
}
