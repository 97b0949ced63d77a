package xray

import (
	"encoding/json"
	"errors"

	"github.com/xrat-tray/xrat/runtime/link"
)

// Outbound builds the core's outbound for l.
func Outbound(l link.Link) (json.RawMessage, error) {
	return nil, errors.New("not built yet")
}
