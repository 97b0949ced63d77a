//go:build !darwin || cgo

package tray

import (
	"strings"
	"sync"

	"fyne.io/systray"

	"github.com/xrat-tray/xrat/assets"
)

// systrayHost shows the menu with package systray. One exists in a process.
type systrayHost struct {
	items  [slotCount]*systray.MenuItem
	shown  menu
	clicks chan slot
	opened chan struct{} // the menu was opened
	done   <-chan struct{}
	wait   *sync.WaitGroup
}

// build makes all items; systray calls it once.
func (h *systrayHost) build(first menu) {
	setIcon(first.Icon)
	systray.SetTooltip(first.Tooltip)
	for s := range slot(slotCount) {
		it := first.Items[s]
		title := escapeLabel(it.Title)
		parent := h.items[slotConnect]
		switch child := s.isConfig() || s == slotMore; {
		case child && s.checkable():
			h.items[s] = parent.AddSubMenuItemCheckbox(title, "", it.Checked)
		case child:
			h.items[s] = parent.AddSubMenuItem(title, "")
		case s.checkable():
			h.items[s] = systray.AddMenuItemCheckbox(title, "", it.Checked)
		default:
			h.items[s] = systray.AddMenuItem(title, "")
		}
		if !it.Enabled {
			h.items[s].Disable()
		}
		if !it.Visible {
			h.items[s].Hide()
		}
		if s.endsGroup() {
			systray.AddSeparator()
		}
	}
	h.shown = first
}

// rebuild makes all items anew. A GTK panel that finds a menu which is already complete loses its
// submenus: libdbusmenu-gtk needs to see the items before their children, and systray takes care of
// that only for the first panel and after ResetMenu. Nobody can have the menu open then.
func (h *systrayHost) rebuild(m menu) {
	systray.ResetMenu()
	h.build(m)
	h.forwardClicks()
}

// forward passes clicks on until done is closed, in goroutines that wait knows.
func (h *systrayHost) forward(done <-chan struct{}, wait *sync.WaitGroup) {
	h.done, h.wait = done, wait
	h.forwardClicks()
	h.forwardOpened()
}

// forwardClicks takes the clicks of all items. systray drops a click that nobody waits for, hence a
// goroutine for each item and a buffer behind them.
func (h *systrayHost) forwardClicks() {
	for s, it := range h.items {
		h.wait.Go(func() {
			for {
				select {
				case _, ok := <-it.ClickedCh:
					if !ok {
						return // the item was made anew
					}
					select {
					case h.clicks <- slot(s):
					default: // nobody clicks that often
					}
				case <-h.done:
					return
				}
			}
		})
	}
}

func (h *systrayHost) forwardOpened() {
	h.wait.Go(func() {
		for {
			select {
			case <-systray.TrayOpenedCh:
				select {
				case h.opened <- struct{}{}:
				default: // known already
				}
			case <-h.done:
				return
			}
		}
	})
}

// show changes what differs from the menu that is shown. Only one goroutine may call it.
func (h *systrayHost) show(next menu) {
	if next.Icon != h.shown.Icon {
		setIcon(next.Icon)
	}
	if next.Tooltip != h.shown.Tooltip {
		systray.SetTooltip(next.Tooltip)
	}
	for s := range slot(slotCount) {
		have, want := h.shown.Items[s], next.Items[s]
		it := h.items[s]
		if want.Visible && want.Title != have.Title {
			it.SetTitle(escapeLabel(want.Title))
		}
		if want.Checked != have.Checked {
			if want.Checked {
				it.Check()
			} else {
				it.Uncheck()
			}
		}
		if want.Enabled != have.Enabled {
			if want.Enabled {
				it.Enable()
			} else {
				it.Disable()
			}
		}
		// Last, so that a row appears with its new text.
		if want.Visible != have.Visible {
			if want.Visible {
				it.Show()
			} else {
				it.Hide()
			}
		}
		if !want.Visible {
			next.Items[s].Title = have.Title // the hidden item keeps its text
		}
	}
	h.shown = next
}

// setIcon sets the icon. When the session bus has just gone, systray panics, but not before it has
// stored the icon, which it then shows on the next bus.
func setIcon(icon assets.Icon) {
	defer func() { _ = recover() }()
	systray.SetIcon(icon.Tray())
}

// escapeLabel keeps a marker in a label from making a shortcut: the marker would vanish and the
// character after it be underlined.
func escapeLabel(title string) string {
	if mnemonic == "" {
		return title
	}
	return strings.ReplaceAll(title, mnemonic, mnemonic+mnemonic)
}
