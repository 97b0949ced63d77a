package link

import (
	"slices"
	"strings"
)

// unsupported are the parameters that change the wire and that xrat or the core does not support,
// by their lower-case names. The value in except means the same as leaving the parameter out.
var unsupported = map[string]struct{ name, except, why string }{
	"obfs":           {"obfs", "", "belongs to another link format; ask for a link with the parameter type"},
	"packetencoding": {"packetEncoding", "xudp", "asks for an encoding of UDP that the core does not have; it can be xudp"},
	"plugin":         {"plugin", "", "names a plugin, which the core does not run; ask for a link without it"},
	"v2ray-plugin":   {"v2ray-plugin", "", "belongs to another link format; ask for a link with the parameter plugin"},
	"shadow-tls":     {"shadow-tls", "", "names a plugin, which the core does not run; ask for a link without it"},
	"uot":            {"uot", "", "asks for UDP inside TCP, which xrat does not support; ask for a link without it"},
	"udp-over-tcp":   {"udp-over-tcp", "", "asks for UDP inside TCP, which xrat does not support; ask for a link without it"},
	"reverse":        {"reverse", "", "asks for a reverse proxy, which a link must not; ask for a link without it"},
	"dialerproxy":    {"dialerProxy", "", "asks for a way through another server, which xrat does not support; ask for a link without it"},
	"detour":         {"detour", "", "asks for a way through another server, which xrat does not support; ask for a link without it"},
	"sockopt":        {"sockopt", "", "asks for settings of this machine's sockets, which a link must not; ask for a link without it"},
}

// dispensable are parameters without which servers work, that xrat or the core does not support.
var dispensable = map[string]string{
	"muxtype": "a multiplexer (mux) that the core does not have; servers take connections without",
	"prefix":  "first bytes of another protocol (prefix), which the core does not send; the server works without, unless the network lets nothing else through",
}

// checkUnsupported fails for parameters that would otherwise be dropped in silence. The caller has
// dealt with those in read.
func (q *query) checkUnsupported(read ...string) {
	for _, kv := range q.params {
		if len(kv.key) > 16 {
			continue
		}
		key := strings.ToLower(kv.key)
		if what, known := dispensable[key]; known && (key != "muxtype" || q.foreignMux()) && !isNothing(kv.value) && !isNo(kv.value) {
			q.leave(what)
		}
		u, known := unsupported[key]
		if !known || slices.Contains(read, u.name) {
			continue
		}
		switch value := word(kv.value); {
		case isNothing(kv.value) || strings.IndexByte("=@", kv.value[0]) >= 0: // nothing, or an advertisement in its place
		case value == "none" || value == "0" || value == "false" || value != "" && value == u.except:
		default:
			q.fail(unsupportedParameter(u.name, u.why))
		}
	}
}
