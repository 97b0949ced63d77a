package tray

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/xrat-tray/xrat/assets"
	"github.com/xrat-tray/xrat/daemon/ipc"
)

// requestTime bounds a request that has the daemon try servers.
const requestTime = 90 * time.Second

// click does what an item is for: the item as the user saw it, not what it has become since.
func (t *tray) click(ctx context.Context, s slot) {
	it := t.painter.shown.Load().Items[s]
	if !it.Enabled || !it.Visible {
		return
	}
	switch {
	case s == slotHeader:
		t.start()
	case s.isConfig():
		t.connect(ctx, connecting, it.Config)
	case s == slotRotate:
		t.request(ctx, rotating, func(ctx context.Context) error {
			_, _, err := t.Client.Rotate(ctx, 0)
			return err
		})
	case s == slotStop:
		t.request(ctx, stopping, t.disconnect)
	case s == slotAutoRotate:
		t.autoRotate(ctx, !it.Checked)
	case s == slotNotifications:
		t.model.notifications = !it.Checked
		t.savePrefs()
	case s == slotLogin:
		t.setLogin(!it.Checked)
	case s == slotCopy:
		t.copySettings(ctx)
	case s == slotImport:
		t.importClipboard(ctx)
	case s == slotLogs:
		t.openLogs(ctx)
	case s == slotQuit:
		t.quit = true
	case s == slotStopQuit:
		t.stopAndQuit(ctx)
	}
}

// act carries out the action that the user chose in a notification.
func (t *tray) act(ctx context.Context, key string) {
	if key == actionPin {
		t.autoRotate(ctx, false)
		return
	}
	if text, ok := strings.CutPrefix(key, actionUndo); ok {
		if id, err := strconv.ParseInt(text, 10, 64); err == nil && id > 0 && t.model.attachment == attached && t.model.pending == idle {
			t.connect(ctx, rotating, id)
		}
	}
}

// start asks the attacher to start a daemon.
func (t *tray) start() {
	select {
	case t.attacher.again <- struct{}{}:
	default: // asked already
	}
}

func (t *tray) connect(ctx context.Context, c command, config int64) {
	t.request(ctx, c, func(ctx context.Context) error {
		_, _, err := t.Client.Connect(ctx, ipc.ConnectOptions{ConfigID: config})
		return err
	})
}

func (t *tray) disconnect(ctx context.Context) error {
	_, _, err := t.Client.Disconnect(ctx)
	return err
}

// request has the daemon do something, and shows meanwhile what that is. A second request takes the
// place of the first in the menu; it can only be Stop.
func (t *tray) request(ctx context.Context, c command, do func(context.Context) error) {
	t.model.pending, t.model.notice = c, ""
	t.worker(ctx, func(ctx context.Context) func() {
		ctx, cancel := context.WithTimeout(ctx, requestTime)
		defer cancel()
		err := do(ctx)
		return func() {
			if t.model.pending != c {
				return // a later request took its place, and tells the user how it went
			}
			t.model.pending = idle
			t.failed(err)
		}
	})
}

// failed tells the user why a command did not work, if it did not.
func (t *tray) failed(err error) {
	if err == nil {
		return
	}
	t.Log.Warn().Err(err).Msg("a command did not work")
	text := err.Error()
	if errors.Is(err, context.DeadlineExceeded) {
		text = "the daemon took too long; see Open logs"
	}
	t.model.notice = text
	t.answer(assets.Degraded, "This did not work", text)
}

// answer tells the user what became of a command. The menu cannot: it has closed.
func (t *tray) answer(icon assets.Icon, title, body string) {
	if t.model.notifications {
		t.notifier.send(notification{Subject: subjectAnswer, Icon: icon, Title: title, Body: clean(body, 2*textWidth)})
	}
}

func (t *tray) autoRotate(ctx context.Context, on bool) {
	turn := t.Client.StopRotation
	if on {
		turn = t.Client.StartRotation
	}
	t.worker(ctx, func(ctx context.Context) func() {
		payload, message, err := turn(ctx)
		if err == nil && payload.RotationEnabled != on {
			err = errors.New(message)
		}
		return func() { t.failed(err) }
	})
}

// stopAndQuit stops the proxy for good, then the daemon, then the tray. If the daemon does not
// stop, the tray stays and says so.
func (t *tray) stopAndQuit(ctx context.Context) {
	if t.model.attachment != attached {
		t.quit = true
		return
	}
	t.model.pending, t.model.notice = quitting, ""
	t.worker(ctx, func(ctx context.Context) func() {
		ctx, cancel := context.WithTimeout(ctx, requestTime)
		defer cancel()
		err := t.disconnect(ctx)
		if err == nil {
			_, err = t.Client.Shutdown(ctx)
		}
		if errors.Is(err, ipc.ErrNotRunning) {
			err = nil
		}
		return func() {
			t.model.pending, t.quit = idle, err == nil
			t.failed(err)
		}
	})
}
