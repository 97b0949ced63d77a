package subscription

import (
	"encoding/json"
	"strings"

	"github.com/xrat-tray/xrat/runtime/link"
)

// ways are the outbounds of a configuration through which others can reach their servers without
// another server, by tag: those that only split packets, or send noise.
type ways map[string]*way

type way struct {
	fragment map[string]any
	noises   []any
	through  string // the tag of a further outbound
	detour   bool   // it does not lead to the server itself
}

const maxWays = 64 // of one configuration; two are usual

// findWays reads the outbounds of the protocol freedom in the lists and in the single one.
func findWays(single []byte, lists ...[]byte) ways {
	found := ways{}
	read := func(entry []byte) {
		if len(entry) > maxEntry || len(found) == maxWays {
			return
		}
		var o struct {
			Protocol, Tag string
			Settings      struct {
				Fragment      map[string]any
				Noises        []any
				Redirect      string
				ProxyProtocol int
			}
			StreamSettings struct {
				Sockopt struct{ DialerProxy string }
			}
			ProxySettings struct{ Tag string }
		}
		d := json.NewDecoder(strings.NewReader(string(entry)))
		d.UseNumber()
		if err := d.Decode(&o); err != nil || !strings.EqualFold(o.Protocol, "freedom") || o.Tag == "" || found[o.Tag] != nil {
			return
		}
		found[o.Tag] = &way{
			fragment: o.Settings.Fragment, noises: o.Settings.Noises, through: o.StreamSettings.Sockopt.DialerProxy,
			detour: o.Settings.Redirect != "" || o.Settings.ProxyProtocol != 0 || o.ProxySettings.Tag != "",
		}
	}
	if single != nil {
		read(single)
	}
	for _, list := range lists {
		each(list, read)
	}
	return found
}

// mask reads the disguise of an outbound: its own masks, and those of the outbound through which it
// goes. A server behind another server is rejected.
func (ways ways) mask(u *uri, o, stream *object) *link.Error {
	socket := stream.object("sockopt")
	tag, field := socket.text("dialerProxy"), "sockopt.dialerProxy"
	ignoreSocket(socket)
	proxy := o.object("proxySettings")
	if over := proxy.text("tag"); over != "" {
		if !proxy.flag("transportLayer") {
			return chained("proxySettings")
		}
		tag, field = over, "proxySettings"
	}
	var masks map[string]any
	if own := stream.object("finalmask"); own != nil {
		masks, own.fields = own.fields, nil
	}
	for range maxHops {
		if tag == "" {
			break
		}
		w := ways[tag]
		if w == nil || w.detour {
			return chained(field)
		}
		masks = w.add(masks)
		tag = w.through
	}
	switch {
	case tag != "":
		return chained(field)
	case len(masks) == 0:
		return nil
	}
	text, err := json.Marshal(masks)
	if err != nil {
		return reject(link.CodeBadParameter, "the masks of the entry (finalmask) cannot be written as JSON")
	}
	u.set("fm", string(text))
	return nil
}

const maxHops = 3 // from one outbound that splits packets to the next

// add returns the masks with what the way does, in the words of the core for masks.
func (w *way) add(masks map[string]any) map[string]any {
	if len(w.fragment) == 0 && len(w.noises) == 0 {
		return masks
	}
	added := map[string]any{}
	for name, value := range masks {
		added[name] = value
	}
	layer := func(list, kind string, settings map[string]any) {
		before, _ := added[list].([]any)
		added[list] = append([]any{map[string]any{"type": kind, "settings": settings}}, before...)
	}
	if f := w.fragment; len(f) > 0 {
		layer("tcp", "fragment", map[string]any{"packets": f["packets"], "length": f["length"], "delay": f["interval"], "maxSplit": f["maxSplit"]})
	}
	var noise []any
	for _, item := range w.noises {
		if item, ok := item.(map[string]any); ok {
			if item["type"] == "rand" {
				noise = append(noise, map[string]any{"rand": item["packet"], "delay": item["delay"]})
			} else {
				noise = append(noise, map[string]any{"type": item["type"], "packet": item["packet"], "delay": item["delay"]})
			}
		}
	}
	if len(noise) > 0 {
		layer("udp", "noise", map[string]any{"noise": noise})
	}
	return added
}
