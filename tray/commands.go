package tray

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/xrat-tray/xrat/assets"
	"github.com/xrat-tray/xrat/daemon/ipc"
)

const (
	// requestTime bounds a request that has the daemon try servers.
	requestTime = 90 * time.Second
	// listSpacing is how long news of the configs' health may wait.
	listSpacing = time.Second
	// maxImport bounds what is taken from the clipboard, in bytes: a request may
	// have 1 MiB, and JSON makes a text longer.
	maxImport = 900 << 10
)

// click does what an item is for. What the item was when the user saw it counts,
// not what it has become since.
func (t *tray) click(ctx context.Context, s slot) {
	it := t.painter.shown.Load().Items[s]
	if !it.Enabled || !it.Visible {
		return
	}
	switch {
	case s == slotHeader:
		t.start()
	case s.isConfig():
		t.request(ctx, connecting, ipc.Request{Type: ipc.KindRuntimeConnect, ConfigID: &it.Config})
	case s == slotRotate:
		t.request(ctx, rotating, ipc.Request{Type: ipc.KindRuntimeReplace, Trigger: ipc.TriggerManual})
	case s == slotStop:
		t.request(ctx, stopping, ipc.Request{Type: ipc.KindRuntimeDisconnect})
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

// act carries out the action of a notification.
func (t *tray) act(ctx context.Context, key string) {
	if key == actionPin {
		t.autoRotate(ctx, false)
		return
	}
	if text, ok := strings.CutPrefix(key, actionUndo); ok {
		if id, err := strconv.ParseInt(text, 10, 64); err == nil && t.model.attachment == attached && t.model.pending == idle {
			t.request(ctx, rotating, ipc.Request{Type: ipc.KindRuntimeConnect, ConfigID: &id})
		}
	}
}

// start asks the attacher for a daemon.
func (t *tray) start() {
	select {
	case t.attacher.again <- struct{}{}:
	default: // asked already
	}
}

// request has the daemon do something; meanwhile the menu says what. A second
// one takes the place of the first in the menu: only Stop can be chosen then.
func (t *tray) request(ctx context.Context, c command, r ipc.Request) {
	t.model.pending, t.model.notice = c, ""
	t.worker(ctx, func(ctx context.Context) func() {
		ctx, cancel := context.WithTimeout(ctx, requestTime)
		defer cancel()
		_, err := t.Client.Do(ctx, r, nil)
		return func() {
			if t.model.pending != c {
				return // superseded, and answered so
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

// answer tells what became of a command, where the menu cannot: it has closed.
func (t *tray) answer(icon assets.Icon, title, body string) {
	if t.model.notifications {
		t.notifier.send(notification{Subject: subjectAnswer, Icon: icon, Title: title, Body: clean(body, 2*textWidth)})
	}
}

func (t *tray) autoRotate(ctx context.Context, on bool) {
	kind := ipc.KindProxyStop
	if on {
		kind = ipc.KindProxyStart
	}
	t.worker(ctx, func(ctx context.Context) func() {
		var payload ipc.ProxySwitchPayload
		message, err := t.Client.Quick(ctx, ipc.Request{Type: kind}, &payload)
		if err == nil && payload.RotationEnabled != on {
			err = errors.New(message)
		}
		return func() { t.failed(err) }
	})
}

// stopAndQuit stops the proxy for good, then the daemon, then the tray. If the
// daemon does not stop, the tray stays and says so.
func (t *tray) stopAndQuit(ctx context.Context) {
	if t.model.attachment != attached {
		t.quit = true
		return
	}
	t.model.pending, t.model.notice = quitting, ""
	t.worker(ctx, func(ctx context.Context) func() {
		ctx, cancel := context.WithTimeout(ctx, requestTime)
		defer cancel()
		_, err := t.Client.Do(ctx, ipc.Request{Type: ipc.KindRuntimeDisconnect}, nil)
		if err == nil {
			_, err = t.Client.Do(ctx, ipc.Request{Type: ipc.KindDaemonShutdown}, nil)
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

// list fetches the configs if the model's list is not the newest, once at a time.
// What is known of them can wait a moment: the daemon takes note of it after it
// has told the state, and states can come fast.
func (t *tray) list(ctx context.Context) {
	want := listingOf(t.model.status)
	if t.model.attachment != attached || t.fetching || t.listed == want {
		return
	}
	t.fetching = true
	known := t.listed.attached && t.listed.revision == want.revision
	t.worker(ctx, func(ctx context.Context) func() {
		if known && !pause(ctx, listSpacing) {
			return nil
		}
		var payload ipc.ConfigListPayload
		// The state first: a change in between only means one list too many.
		var status ipc.StatusPayload
		_, err := t.Client.Quick(ctx, ipc.Request{Type: ipc.KindStatus}, &status)
		if err == nil {
			_, err = t.Client.Quick(ctx, ipc.Request{Type: ipc.KindConfigList}, &payload)
		}
		return func() {
			t.fetching = false
			if err != nil {
				t.Log.Warn().Err(err).Msg("listing the configs")
				return // the next state asks again
			}
			if t.model.attachment == attached {
				t.model.configs, t.listed = bestFirst(payload.Configs), listingOf(status)
			}
			t.list(ctx)
		}
	})
}

// refresh brings what changes without an event up to date, for somebody who
// looks at it: the menu has just been opened. Not every panel tells; then the
// next check of the daemon does it.
func (t *tray) refresh(ctx context.Context) {
	if t.model.attachment != attached {
		return
	}
	t.worker(ctx, func(ctx context.Context) func() {
		var status ipc.StatusPayload
		_, err := t.Client.Quick(ctx, ipc.Request{Type: ipc.KindStatus}, &status)
		return func() {
			// Only what no event tells: an event may have been faster than this.
			if s, now := status.Session, t.model.status.Session; err == nil && s != nil && now != nil && s.ID == now.ID {
				t.model.status.Traffic = status.Traffic
			}
		}
	})
}

func (t *tray) copySettings(ctx context.Context) {
	text, err := shellSettings(t.model.status.Inbounds)
	if err != nil {
		t.failed(err)
		return
	}
	t.worker(ctx, func(ctx context.Context) func() {
		err := writeClipboard(ctx, text)
		return func() {
			if t.failed(err); err == nil {
				t.answer(assets.Connected, "Proxy settings copied", "Paste them into a terminal; they hold for programs started there.")
			}
		}
	})
}

// shellSettings are the variables that most programs take a proxy from.
func shellSettings(inbounds []ipc.EndpointPayload) (string, error) {
	var socks, http string
	for _, in := range inbounds {
		// It becomes a line of a shell.
		if strings.Trim(in.Address, "0123456789abcdefABCDEF.:[]") != "" {
			continue
		}
		switch in.Protocol {
		case "socks":
			socks = "socks5h://" + in.Address
		case "http":
			http = "http://" + in.Address
		}
	}
	if socks == "" || http == "" {
		return "", errors.New("the daemon tells no addresses of the proxy; see `xrat status`")
	}
	const local = "localhost,127.0.0.1,::1"
	return fmt.Sprintf("export http_proxy=%[1]s https_proxy=%[1]s all_proxy=%[2]s no_proxy=%[3]s\n"+
		"export HTTP_PROXY=%[1]s HTTPS_PROXY=%[1]s ALL_PROXY=%[2]s NO_PROXY=%[3]s\n", http, socks, local), nil
}

func (t *tray) importClipboard(ctx context.Context) {
	t.model.pending, t.model.notice = importing, ""
	t.worker(ctx, func(ctx context.Context) func() {
		payload, err := t.importText(ctx)
		return func() {
			t.model.pending = idle
			if t.failed(err); err == nil {
				title, body := imported(payload)
				t.answer(assets.Connected, title, body)
			}
		}
	})
}

func (t *tray) importText(ctx context.Context) (payload ipc.ConfigImportPayload, err error) {
	text, err := readClipboard(ctx)
	switch {
	case err != nil:
		return payload, err
	case strings.TrimSpace(text) == "":
		return payload, errors.New("the clipboard holds no text: copy share links or a subscription's content first")
	case len(text) > maxImport:
		return payload, fmt.Errorf("the clipboard holds %s, which is too much at once: use `xrat import FILE`", size(uint64(len(text))))
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	_, err = t.Client.Do(ctx, ipc.Request{Type: ipc.KindConfigImport, Text: text}, &payload)
	return payload, err
}

// imported says what an import came to.
func imported(p ipc.ConfigImportPayload) (title, body string) {
	title = fmt.Sprintf("%d servers imported", len(p.Added))
	switch {
	case len(p.Added) == 1:
		title = "Imported " + clean(p.Added[0].Name, nameWidth)
	case len(p.Added) == 0:
		title = "Nothing new to import"
	}
	var there, bad string
	if n := len(p.Existing); n > 0 {
		there = fmt.Sprintf("%d there already", n)
	}
	if n := len(p.Errors); n > 0 {
		bad = fmt.Sprintf("%d not understood (line %d: %s)", n, p.Errors[0].Line, p.Errors[0].Message)
	}
	return title, join(there, bad)
}
