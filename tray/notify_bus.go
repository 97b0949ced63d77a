//go:build linux || freebsd || openbsd || netbsd

package tray

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/rs/zerolog"
)

const (
	watcherName  = "org.kde.StatusNotifierWatcher"
	ownerChanged = "org.freedesktop.DBus.NameOwnerChanged"
	// busRetry is the time between two attempts to connect to a bus that is not there.
	busRetry = 2 * time.Second
	// busTime bounds one call of the bus itself.
	busTime = 5 * time.Second
	// signalBacklog is how many signals can wait; godbus blocks when there are more.
	signalBacklog = 16
)

// The two reasons why there is no tray, with the way out.
var (
	errNoBus = fmt.Errorf("%w: no session bus answers (DBUS_SESSION_BUS_ADDRESS). Start xrat-tray from within a desktop session, or under `dbus-run-session`",
		ErrNoTray)
	errNoHost = fmt.Errorf(`%w: no panel with a StatusNotifier tray runs on this desktop.
On GNOME, install and enable the extension "AppIndicator and KStatusNotifierItem Support":
    sudo apt install gnome-shell-extension-appindicator   (or from https://extensions.gnome.org/extension/615/)
then log out and in again. KDE Plasma, Xfce, Cinnamon, MATE, LXQt and Budgie have one in their panels; on sway use waybar.
With --wait-for-tray, xrat-tray waits for one. Without a tray, use the command line: xrat status`, ErrNoTray)
)

// desktop is the tray's own connection to the session bus. It finds out whether there is a panel,
// sends notifications, and notices when the bus has been replaced.
type desktop struct {
	address string
	log     zerolog.Logger
	actions chan string
	server  atomic.Pointer[notificationServer] // nil: no bus
}

// openDesktop connects to the session bus and makes sure that there is a panel. If wait is true, it
// waits for both.
func openDesktop(ctx context.Context, wait bool, log zerolog.Logger) (*desktop, error) {
	d := &desktop{log: log, actions: make(chan string)}
	err := d.connect(ctx)
	for err != nil && wait && ctx.Err() == nil {
		pause(ctx, busRetry)
		err = d.connect(ctx)
	}
	if err != nil {
		log.Debug().Err(err).Msg("connecting to the session bus")
		return nil, errNoBus
	}
	// systray finds its bus by this variable.
	if err := os.Setenv("DBUS_SESSION_BUS_ADDRESS", d.address); err != nil {
		return nil, fmt.Errorf("setting DBUS_SESSION_BUS_ADDRESS: %w", err)
	}
	return d, d.awaitHost(ctx, wait)
}

// ownerMatch selects the signals about the owner of a name on the bus.
func ownerMatch(name string) []dbus.MatchOption {
	return []dbus.MatchOption{dbus.WithMatchSender("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, name)}
}

// busAddress is where the session bus should be. Unlike godbus, xrat-tray never starts a bus:
// nobody else would be on it.
func busAddress() string {
	return cmp.Or(os.Getenv("DBUS_SESSION_BUS_ADDRESS"),
		"unix:path="+filepath.Join(cmp.Or(os.Getenv("XDG_RUNTIME_DIR"), fmt.Sprint("/run/user/", os.Getuid())), "bus"))
}

func (d *desktop) connect(ctx context.Context) error {
	address := busAddress()
	if strings.HasPrefix(address, "autolaunch:") {
		return errors.New("the bus would have to be started first")
	}
	// Not ctx, with which the connection would close before the last notification.
	conn, err := dbus.Connect(address)
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, busTime)
	defer cancel()
	server, err := newNotificationServer(bounded, conn, d.actions, d.log)
	if err == nil {
		err = conn.AddMatchSignalContext(bounded, ownerMatch(watcherName)...)
	}
	if err != nil {
		conn.Close()
		return err
	}
	d.address = address
	d.server.Store(server)
	return nil
}

// awaitHost makes sure that there is a panel to show the icon.
func (d *desktop) awaitHost(ctx context.Context, wait bool) error {
	conn := d.server.Load().conn
	signals := make(chan *dbus.Signal, signalBacklog)
	conn.Signal(signals)
	defer conn.RemoveSignal(signals)
	for said := false; ; {
		var there bool
		bounded, cancel := context.WithTimeout(ctx, busTime)
		err := conn.BusObject().CallWithContext(bounded, "org.freedesktop.DBus.NameHasOwner", 0, watcherName).Store(&there)
		cancel()
		switch {
		case ctx.Err() != nil || err == nil && there:
			return nil
		case err != nil:
			return fmt.Errorf("%w (%w)", errNoBus, err)
		case !wait:
			return errNoHost
		case !said:
			said = true
			d.log.Info().Msg("waiting for a panel with a tray")
		}
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-signals:
			if !ok {
				return errNoBus
			}
		}
	}
}

// keep handles the signals of the bus until ctx ends. When the bus goes, it connects to the next
// one. It calls panel when another panel is about to read the menu.
func (d *desktop) keep(ctx context.Context, panel func(context.Context)) {
	for {
		d.listen(ctx, panel)
		if ctx.Err() != nil {
			d.close()
			return
		}
		d.log.Warn().Msg("the session bus is gone; waiting for the next one")
		d.close()
		for d.connect(ctx) != nil {
			if !pause(ctx, busRetry) {
				return
			}
		}
		panel(ctx) // before that panel can read the menu
		restartSystray()
	}
}

// listen handles signals until the connection breaks or ctx ends.
func (d *desktop) listen(ctx context.Context, panel func(context.Context)) {
	server := d.server.Load()
	signals := make(chan *dbus.Signal, signalBacklog)
	server.conn.Signal(signals)
	defer server.conn.RemoveSignal(signals)
	for {
		select {
		case <-ctx.Done():
			return
		case <-server.conn.Context().Done():
			return
		case signal, ok := <-signals:
			if !ok {
				return
			}
			if signal.Name == ownerChanged && len(signal.Body) == 3 && signal.Body[0] == watcherName && signal.Body[2] != "" {
				panel(ctx)
			}
			server.signal(ctx, signal)
		}
	}
}

func (d *desktop) close() {
	if server := d.server.Swap(nil); server != nil {
		server.conn.Close() // it may be closed already
	}
}

// notify sends a notification if there is a bus.
func (d *desktop) notify(ctx context.Context, n notification) error {
	server := d.server.Load()
	if server == nil {
		return errNoServer
	}
	return server.send(ctx, n)
}
