//go:build linux || freebsd || openbsd || netbsd

package tray

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"image"
	"image/draw"
	"image/png"
	"slices"
	"sync"

	"github.com/godbus/dbus/v5"
	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/assets"
)

// The names of the Desktop Notifications Specification.
const (
	notificationsName = "org.freedesktop.Notifications"
	notificationsPath = "/org/freedesktop/Notifications"
)

// notificationServer sends notifications over a connection of its own. On the shared connection of
// the process, a subscription to the signals of notifications would stop systray from noticing new
// panels, since it takes every signal for one of its own.
type notificationServer struct {
	conn    *dbus.Conn
	actions chan<- string
	log     zerolog.Logger

	mu sync.Mutex
	// capabilities are those of the present server; nil: not known.
	capabilities []string
	ids          map[subject]uint32 // of what is or was on the screen
}

// newNotificationServer subscribes to the server's signals.
func newNotificationServer(ctx context.Context, conn *dbus.Conn, actions chan<- string, log zerolog.Logger) (*notificationServer, error) {
	err := conn.AddMatchSignalContext(ctx, dbus.WithMatchInterface(notificationsName), dbus.WithMatchMember("ActionInvoked"))
	if err == nil {
		err = conn.AddMatchSignalContext(ctx, ownerMatch(notificationsName)...)
	}
	if err != nil {
		return nil, fmt.Errorf("subscribing to the notification server: %w", err)
	}
	return &notificationServer{conn: conn, actions: actions, log: log, ids: map[subject]uint32{}}, nil
}

// send shows a notification, with its actions if the server supports them.
func (s *notificationServer) send(ctx context.Context, n notification) error {
	capabilities, err := s.capable(ctx)
	if err != nil {
		return err
	}
	actions := []string{}
	if slices.Contains(capabilities, "actions") {
		for _, a := range n.Actions {
			actions = append(actions, a.Key, a.Label)
		}
	}
	body := n.Body
	if slices.Contains(capabilities, "body-markup") {
		body = html.EscapeString(body)
	}
	s.mu.Lock()
	replaces := s.ids[n.Subject]
	s.mu.Unlock()
	hints := map[string]dbus.Variant{"desktop-entry": dbus.MakeVariant("xrat-tray"), "category": dbus.MakeVariant("network")}
	if picture, ok := imageData(n.Icon); ok {
		hints["image-data"] = picture
	}
	const serversChoice = int32(-1) // of how long it is shown
	var id uint32
	err = s.conn.Object(notificationsName, notificationsPath).CallWithContext(ctx, notificationsName+".Notify", 0,
		"xrat", replaces, "", n.Title, body, actions, hints, serversChoice).Store(&id)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoServer, err)
	}
	s.mu.Lock()
	s.ids[n.Subject] = id
	s.mu.Unlock()
	return nil
}

// imageData returns an icon in the form of the hint image-data: width, height, bytes a row, whether
// it is transparent, bits a sample, samples a pixel, and the samples from the top left.
func imageData(icon assets.Icon) (dbus.Variant, bool) {
	decoded, err := png.Decode(bytes.NewReader(icon.Tray()))
	if err != nil {
		return dbus.Variant{}, false
	}
	b := decoded.Bounds()
	picture := image.NewNRGBA(b)
	draw.Draw(picture, b, decoded, b.Min, draw.Src)
	return dbus.MakeVariant(struct {
		Width, Height, Stride int32
		Alpha                 bool
		Bits, Channels        int32
		Samples               []byte
	}{int32(b.Dx()), int32(b.Dy()), int32(picture.Stride), true, 8, 4, picture.Pix}), true
}

// capable returns what the server can do; each server is asked once.
func (s *notificationServer) capable(ctx context.Context) ([]string, error) {
	s.mu.Lock()
	known := s.capabilities
	s.mu.Unlock()
	if known != nil {
		return known, nil
	}
	found := []string{}
	err := s.conn.Object(notificationsName, notificationsPath).CallWithContext(ctx, notificationsName+".GetCapabilities", 0).Store(&found)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoServer, err)
	}
	s.mu.Lock()
	s.capabilities = found
	s.mu.Unlock()
	return found, nil
}

// signal handles a signal that arrived on the connection.
func (s *notificationServer) signal(ctx context.Context, signal *dbus.Signal) {
	switch signal.Name {
	case ownerChanged:
		if len(signal.Body) == 3 && signal.Body[0] == notificationsName {
			// Another server, with other capabilities and ids.
			s.mu.Lock()
			s.capabilities, s.ids = nil, map[subject]uint32{}
			s.mu.Unlock()
		}
	case notificationsName + ".ActionInvoked":
		if len(signal.Body) != 2 {
			return
		}
		id, _ := signal.Body[0].(uint32)
		key, _ := signal.Body[1].(string)
		s.mu.Lock()
		ours := id != 0 && s.ids[subjectConnection] == id // signals come for everybody's notifications
		s.mu.Unlock()
		if !ours {
			return
		}
		select {
		case s.actions <- key:
		case <-ctx.Done():
		}
	}
}
