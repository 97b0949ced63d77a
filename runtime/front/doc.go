// Package front owns the stable addresses that applications use: one listener that speaks SOCKS5
// and HTTP, and one that speaks HTTP. It carries every connection to the core that is current at
// that moment, and is the reason why a rotation breaks nothing: the listeners stay, new connections
// go to the new core, old ones end in peace on the old one.
//
// Towards the core the front is a SOCKS5 client of one authenticated inbound (see [Target]). Names
// are never resolved here and nothing ever goes out directly: without a target, connections wait.
//
// The front does not start, check or stop cores, and does not decide when to rotate. It only
// reports what it notices ([Front.Signals]) and counts what it carries ([Front.Counters]).
//
// # The way of a connection
//
// These are the files in the order in which a connection meets them.
//
//   - listen.go accepts it, and front.go starts a goroutine for it.
//   - intake.go collects what the client says first. serve_socks.go and serve_http.go make a
//     destination of that; web.go takes what is neither SOCKS nor CONNECT, and udp.go the
//     associations of UDP.
//   - tunnel.go tells the client that it is connected, opens an upstream to the destination and has
//     the two relayed.
//   - dial.go reaches a core: the target, or else the standby. The connection is entered in the
//     [ledger] of the core first and dialled then, so that [Front.Drain] cannot miss it. A dial
//     that is refused is tried again, at a newer target as soon as there is one.
//   - upstream.go is the connection to the destination. kept.go has what the client has sent, until
//     the first answer byte.
//   - leg.go is the way of an upstream through one core. Greeting, credentials, request and the
//     client's first bytes leave in one write. window.go holds back what the core's Trojan client
//     could not take.
//   - rescue.go waits for the first answer byte. When the core ends the connection before that,
//     move.go takes it to another core; when the core is silent, race.go has another one compete.
//     guard.go decides whether it may, rtt.go knows what silence is unusual, slow.go which
//     destinations are slow, and suspect.go whether the target is to be trusted. safe.go knows what
//     may be sent twice.
//   - flow.go follows how the answers go on, with framing.go, which knows when one is complete, and
//     evidence.go weighs what that shows of the server and tells the daemon.
//   - relay.go copies in both directions from then on, holding no buffer while nothing moves;
//     splice_linux.go lets the kernel do it when there is much.
//   - ledger.go counts, drains and cuts. target.go replaces the target and the standby.
//
// Plain HTTP requests share connections to the core, so that hedge.go rescues them as requests: a
// kept-alive connection to a dead core looks like any other. origin.go dials those connections. UDP
// associations use the target only.
//
// # Rescue
//
// As long as the core's reply has not come, a core that ends the connection has not acted on the
// request, so that the whole can be sent again to another core, whatever it is. Until the first
// answer byte, an upstream may have more than one [leg], each through a core of its own and in the
// ledger of that core. The first leg to answer wins, and the others are reset. A leg is added
//
//   - when the core ends the connection, or is gone: at once, but a core that was restarted or
//     replaced within 60 ms comes before the standby of [Front.SetStandby];
//   - when the core has been silent for longer than usual since the last bytes were sent. Usual is
//     what its answers have taken so far (RFC 6298), between the floor and the ceiling of [Rescue].
//
// Sent twice is only what may be: nothing, a TLS ClientHello without early data, GET and HEAD
// requests of HTTP/1 without a body (mayRepeat). If the client sends anything else meanwhile, it
// goes over one leg, and the others end. A connection on which nothing was sent is never silent:
// the server may speak first, and take its time.
//
// Three things keep a slow destination or a dead network from doubling the traffic. A core that has
// answered somebody who came later is alive, and the destination is slow: it is asked again only at
// the ceiling, once, and not at all for some minutes if that did not help. A rescue takes a token
// from a bucket and gives it back if it wins. And no connection is rescued more than twice.
//
// After three silences in a row that the standby has broken, with no answer from the target
// between, the target is suspect: all new connections go to the standby first, so that also a POST
// finds a core that works. Once a second something that may be sent twice tries the target first;
// its answer ends the suspicion, as does another target or the standby's end.
//
// A target that answers and strangles what follows becomes suspect, too, after three answers that
// did not go on. No answer ends that, and nobody tries it: only [Front.Trust] does, or time.
package front
