package tray

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/xrat-tray/xrat/assets"
	"github.com/xrat-tray/xrat/daemon/ipc"
)

// maxImport bounds what is taken from the clipboard, in bytes: a request may have 1 MiB, and JSON
// makes a text longer.
const maxImport = 900 << 10

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

// shellSettings are lines for a shell that set the variables from which most programs take their
// proxy.
func shellSettings(inbounds []ipc.EndpointPayload) (string, error) {
	var socks, http string
	for _, in := range inbounds {
		// It is pasted into a shell.
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
	return t.Client.Import(ctx, text)
}

// imported sums up an import.
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
		why := p.Errors[0].Message
		if place := p.Errors[0].Place(); place != "" {
			why = place + ": " + why
		}
		bad = fmt.Sprintf("%d not understood (%s)", n, why)
	}
	return title, join(there, bad)
}
