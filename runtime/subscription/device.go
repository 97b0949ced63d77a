package subscription

import (
	"cmp"
	"os"
	"runtime"
	"strings"
)

// Device is what a provider that limits the number of devices is told of this one, in the headers
// that Remnawave and Happ use for it.
type Device struct {
	ID      string // random, and the same in every request
	System  string // "Linux"
	Version string // of the system
	Name    string // by which the user knows it again in the provider's list
}

// ThisDevice describes this machine, under an id.
func ThisDevice(id string) Device {
	names := map[string]string{"linux": "Linux", "windows": "Windows", "darwin": "macOS"}
	host, _ := os.Hostname()
	return Device{
		ID: id, System: cmp.Or(names[runtime.GOOS], runtime.GOOS),
		Version: cmp.Or(plain(systemVersion()), "unknown"), Name: cmp.Or(plain(host), "computer"),
	}
}

func (d Device) headers() map[string]string {
	return map[string]string{"X-Hwid": d.ID, "X-Device-Os": d.System, "X-Ver-Os": d.Version, "X-Device-Model": d.Name}
}

// plain makes a text fit for a header: short, and printable ASCII.
func plain(text string) string {
	const most = 64 // what panels store
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, text)
	return strings.TrimSpace(text[:min(len(text), most)])
}

// osRelease returns a value of os-release(5).
func osRelease(text, key string) string {
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(strings.TrimSpace(line), key+"="); found {
			return strings.Trim(value, `"'`)
		}
	}
	return ""
}
