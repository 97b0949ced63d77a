//go:build linux

package desktop

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"math"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/xrat-tray/xrat/assets"
)

// entry is one item of the menu as the panel gets it.
type entry struct {
	Label                                string
	Visible, Enabled, Checked, Separator bool
	Children                             []entry
}

// layout is an item as com.canonical.dbusmenu sends it.
type layout struct {
	ID         int32
	Properties map[string]dbus.Variant
	Children   []dbus.Variant
}

// item is the bus name of the tray's icon, "" when the panel has none.
func (d *desk) item() string {
	v, err := d.conn.Object("org.kde.StatusNotifierWatcher", "/StatusNotifierWatcher").
		GetProperty("org.kde.StatusNotifierWatcher.RegisteredStatusNotifierItems")
	if err != nil {
		return ""
	}
	items, _ := v.Value().([]string)
	if len(items) != 1 {
		return ""
	}
	name, _, _ := strings.Cut(items[0], "/")
	return name
}

// askers knows who has asked whom for the layout of a menu, by their names on the bus.
type askers struct {
	mu   sync.Mutex
	seen map[[2]string]bool // who, whom
}

func (d *desk) layouts() *askers {
	d.t.Helper()
	a := &askers{seen: map[[2]string]bool{}}
	d.eavesdrop("com.canonical.dbusmenu", "GetLayout", func(message *dbus.Message) {
		who, _ := message.Headers[dbus.FieldSender].Value().(string)
		whom, _ := message.Headers[dbus.FieldDestination].Value().(string)
		a.mu.Lock()
		a.seen[[2]string{who, whom}] = true
		a.mu.Unlock()
	})
	return a
}

// panelAsked reports whether the panel that runs now has asked the tray of this name for its menu.
func (d *desk) panelAsked(tray string) bool {
	var owner string
	if d.conn.BusObject().Call("org.freedesktop.DBus.GetNameOwner", 0, tray).Store(&owner) != nil {
		return false
	}
	d.asked.mu.Lock()
	pairs := slices.Collect(maps.Keys(d.asked.seen))
	d.asked.mu.Unlock()
	return slices.ContainsFunc(pairs, func(p [2]string) bool {
		return (p[1] == tray || p[1] == owner) && !slices.Contains(d.conn.Names(), p[0]) && d.owned(p[0])
	})
}

// menu reads the whole menu. The panel comes first: systray serves the first who asks a menu
// without its submenus, since GTK's panels lose these unless they get them later (systrayHost).
func (d *desk) menu() []entry {
	name := d.item()
	if name == "" || !d.panelAsked(name) {
		return nil
	}
	var revision uint32
	var root layout
	err := d.conn.Object(name, "/StatusNotifierItem/menu").
		Call("com.canonical.dbusmenu.GetLayout", 0, int32(0), int32(-1), []string{}).Store(&revision, &root)
	if err != nil {
		return nil
	}
	return root.entries()
}

func (l layout) entries() []entry {
	var all []entry
	for _, child := range l.Children {
		var c layout
		if dbus.Store([]any{child.Value()}, &c) != nil {
			continue
		}
		e := entry{Visible: true, Enabled: true, Children: c.entries()}
		for name, v := range c.Properties {
			switch value := v.Value().(type) {
			case string:
				if name == "label" {
					e.Label = strings.ReplaceAll(value, "__", "_")
				}
				e.Separator = e.Separator || name == "type" && value == "separator"
			case bool:
				switch name {
				case "visible":
					e.Visible = value
				case "enabled":
					e.Enabled = value
				}
			case int32:
				e.Checked = e.Checked || name == "toggle-state" && value == 1
			}
		}
		all = append(all, e)
	}
	return all
}

// visible are the entries that are shown.
func visible(all []entry) []entry {
	var shown []entry
	for _, e := range all {
		if e.Visible {
			shown = append(shown, e)
		}
	}
	return shown
}

// index finds the visible entry with a label, or else the first whose label begins so; -1 is none.
func index(shown []entry, label string) int {
	if i := slices.IndexFunc(shown, func(e entry) bool { return e.Label == label }); i >= 0 {
		return i
	}
	return slices.IndexFunc(shown, func(e entry) bool { return strings.HasPrefix(e.Label, label) })
}

func find(all []entry, label string) (entry, bool) {
	shown := visible(all)
	if i := index(shown, label); i >= 0 {
		return shown[i], true
	}
	return entry{}, false
}

// header is the first line of the menu.
func (d *desk) header() string {
	if m := visible(d.menu()); len(m) > 0 {
		return m[0].Label
	}
	return ""
}

// awaitHeader waits until the menu's first line begins so.
func (d *desk) awaitHeader(want string) {
	d.t.Helper()
	d.wait(fmt.Sprintf("the header %q", want), func() bool { return strings.HasPrefix(d.header(), want) })
}

// awaitEntry waits for an entry in the menu.
func (d *desk) awaitEntry(label string, good func(entry) bool) {
	d.t.Helper()
	d.wait(fmt.Sprintf("the entry %q", label), func() bool {
		e, found := find(d.menu(), label)
		return found && good(e)
	})
}

// The place of the icon in the panel: its middle, and its size when drawn.
const iconX, iconY, iconSize = 12, 16, 22

// awaitIcon waits until the icon on the screen is that of a state: in the colours of which it
// consists, within what scaling does to them.
func (d *desk) awaitIcon(want assets.Icon) {
	d.t.Helper()
	d.wait(fmt.Sprintf("the icon %q on the screen", want), func() bool {
		// The pointer would light up what is below it.
		d.run("xdotool", "mousemove", fmt.Sprint(screenWidth-1), fmt.Sprint(screenHeight-1))
		return d.iconOnScreen() == want
	})
}

// iconOnScreen is the icon that is most like what the panel shows, "" for none.
func (d *desk) iconOnScreen() assets.Icon {
	d.t.Helper()
	file := d.path("icon.png")
	d.ok("import", "-window", "root", "-crop", fmt.Sprintf("%dx%d+%d+%d", iconSize, iconSize, iconX-iconSize/2, iconY-iconSize/2), "+repage", file)
	content, err := os.ReadFile(file)
	must(d.t, err)
	shown, err := png.Decode(bytes.NewReader(content))
	must(d.t, err)
	best, least := assets.Icon(""), 0.1
	for _, icon := range assets.Icons() {
		picture, err := png.Decode(bytes.NewReader(icon.Tray()))
		must(d.t, err)
		if difference := unlike(shown, picture); difference < least {
			best, least = icon, difference
		}
	}
	return best
}

// unlike compares what is shown with a picture laid over the panel's colour, part by part: 0 is the
// same.
func unlike(shown, picture image.Image) float64 {
	const parts = 11 // on each side
	panel := shown.At(shown.Bounds().Min.X, shown.Bounds().Min.Y)
	var sum float64
	for i := range parts * parts {
		have, want := mean(shown, panel, i%parts, i/parts, parts), mean(picture, panel, i%parts, i/parts, parts)
		for c := range have {
			sum += math.Abs(have[c]-want[c]) / 3
		}
	}
	return sum / (parts * parts)
}

// mean is the colour of one part of a picture that lies over a background.
func mean(picture image.Image, background color.Color, column, row, parts int) (sum [3]float64) {
	b := picture.Bounds()
	under := [3]uint32{}
	under[0], under[1], under[2], _ = background.RGBA()
	n := 0.0
	for y := row * b.Dy() / parts; y < (row+1)*b.Dy()/parts; y++ {
		for x := column * b.Dx() / parts; x < (column+1)*b.Dx()/parts; x++ {
			r, g, bl, a := picture.At(b.Min.X+x, b.Min.Y+y).RGBA()
			for c, over := range [3]uint32{r, g, bl} {
				sum[c] += (float64(over) + float64(under[c])*float64(0xffff-a)/0xffff) / 0xffff
			}
			n++
		}
	}
	for c := range sum {
		sum[c] /= n
	}
	return sum
}

// window is a menu on the screen.
type window struct{ x, y, width, height int }

var windowLine = regexp.MustCompile(`(0x[0-9a-f]+) .*?(\d+)x(\d+)\+-?\d+\+-?\d+\s+\+(-?\d+)\+(-?\d+)`)

// menus are the open menus from the left. What is lower than two entries is a tooltip.
func (d *desk) menus() []window {
	d.t.Helper()
	var tree result
	d.wait("the list of windows", func() bool { // it fails when one goes meanwhile
		tree = d.run("xwininfo", "-root", "-tree")
		return tree.code == 0
	})
	var found []window
	for _, line := range strings.Split(tree.out, "\n") {
		m := windowLine.FindStringSubmatch(line)
		if m == nil || !strings.Contains(line, "xfce4-panel") && !strings.Contains(line, "wrapper") {
			continue
		}
		var n [4]int
		for i := range n {
			n[i], _ = strconv.Atoi(m[i+2])
		}
		w := window{n[2], n[3], n[0], n[1]}
		if w.height < 50 || w.width < 60 || w.x < 0 || w.y < 0 {
			continue
		}
		if strings.Contains(d.run("xwininfo", "-id", m[1]).out, "IsViewable") {
			found = append(found, w)
		}
	}
	slices.SortFunc(found, func(a, b window) int { return a.x - b.x })
	return found
}

// openMenu clicks the icon and returns where its menu is.
func (d *desk) openMenu() window {
	d.t.Helper()
	for range 3 { // the panel may have put the icon there this moment
		d.ok("xdotool", "mousemove", fmt.Sprint(iconX), fmt.Sprint(iconY), "sleep", "0.1", "click", "1")
		for range 50 {
			if m := d.menus(); len(m) == 1 {
				time.Sleep(200 * time.Millisecond) // it does not take a click at once
				return m[0]
			}
			time.Sleep(30 * time.Millisecond)
		}
	}
	d.failed("opening the menu")
	return window{}
}

// closeMenu closes what is open.
func (d *desk) closeMenu() {
	d.t.Helper()
	d.wait("closing the menu", func() bool {
		if len(d.menus()) == 0 {
			return true
		}
		d.ok("xdotool", "key", "Escape", "sleep", "0.1")
		return false
	})
}

// point is where an entry of an open menu is: the entries share its height but for the lines
// between them, which are a few pixels each.
func (w window) point(entries []entry, label string) (x, y int, found bool) {
	const line = 2.0
	shown := visible(entries)
	at := index(shown, label)
	var rows, lines, above, linesAbove float64
	for i, e := range shown {
		switch {
		case e.Separator && i < at:
			lines, linesAbove = lines+1, linesAbove+1
		case e.Separator:
			lines++
		case i < at:
			rows, above = rows+1, above+1
		default:
			rows++
		}
	}
	row := (float64(w.height) - line*lines) / rows
	return w.x + 60, w.y + int((above+.5)*row+line*linesAbove), at >= 0
}

// settled waits until the menu has stayed the same for a moment, as somebody does who reads it
// first, and returns it.
func (d *desk) settled() []entry {
	d.t.Helper()
	var last []entry
	d.wait("the menu to settle", func() bool {
		before := last
		time.Sleep(300 * time.Millisecond)
		last = d.menu()
		return before != nil && reflect.DeepEqual(before, last)
	})
	return last
}

// choose opens the menu and clicks an entry, or with two labels one of a submenu.
func (d *desk) choose(labels ...string) {
	d.t.Helper()
	d.settled()
	if len(labels) == 2 {
		d.wait("the submenu", func() bool { return d.pointAtChild(labels[0], labels[1]) })
	} else {
		x, y := d.pointAt(labels[0])
		d.ok("xdotool", "mousemove", fmt.Sprint(x), fmt.Sprint(y), "sleep", "0.2")
	}
	d.click()
}

// pointAt opens the menu and returns where an entry of it is.
func (d *desk) pointAt(label string) (x, y int) {
	d.t.Helper()
	w := d.openMenu()
	entries := d.settled()
	if m := d.menus(); len(m) == 1 {
		w = m[0] // it may have grown
	}
	x, y, found := w.point(entries, label)
	if !found {
		d.t.Fatalf("the menu has no entry %q: %+v", label, visible(entries))
	}
	return x, y
}

// pointAtChild opens the menu and moves the pointer to an entry of a submenu. It reports whether
// the submenu is open then: a panel that is busy shows a submenu before it knows what is in it, and
// leaves it like that, or closes it while the pointer is on its way; a user would try again.
func (d *desk) pointAtChild(label, childLabel string) bool {
	d.t.Helper()
	d.closeMenu()
	x, y := d.pointAt(label)
	d.ok("xdotool", "mousemove", fmt.Sprint(x), fmt.Sprint(y))
	var open, before []window
	for end := time.Now().Add(5 * time.Second); len(open) != 2 || !slices.Equal(open, before); {
		if time.Now().After(end) {
			return false
		}
		time.Sleep(200 * time.Millisecond)
		before, open = open, d.menus()
	}
	parent, _ := find(d.menu(), label)
	childX, childY, found := open[1].point(parent.Children, childLabel)
	if !found {
		d.t.Fatalf("the submenu has no entry %q: %+v", childLabel, visible(parent.Children))
	}
	// Along the row first, as a hand does, since leaving it would close the submenu; and in steps,
	// since an entry wants to see the pointer move.
	for i, p := range [][2]int{{childX - 20, y}, {childX - 10, y}, {childX, childY - 3}, {childX + 2, childY}} {
		d.ok("xdotool", "mousemove", fmt.Sprint(p[0]), fmt.Sprint(p[1]), "sleep", []string{"0.1", "0.3"}[i/3])
	}
	d.shot(strings.ReplaceAll(d.t.Name(), "/", "-") + "-choosing")
	return slices.Equal(d.menus(), open)
}

// click clicks an entry until the menu goes: one that the pointer has reached only just now may not
// take it.
func (d *desk) click() {
	d.t.Helper()
	for range 3 {
		d.ok("xdotool", "click", "1")
		for range 100 {
			if len(d.menus()) == 0 {
				return
			}
			time.Sleep(30 * time.Millisecond)
		}
	}
	d.failed("the menu to take a click")
}
