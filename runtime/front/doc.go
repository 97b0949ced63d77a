// Package front owns the stable addresses that applications use: one listener that speaks SOCKS5 and HTTP, and one that
// speaks HTTP. It carries every connection to the core that is current at that moment, and is the reason why a rotation
// breaks nothing: the listeners stay, new connections go to the new core, old ones end in peace on the old one.
//
// Towards the core the front is a SOCKS5 client of one authenticated inbound (see [Target]). Names are never resolved
// here and nothing ever goes out directly: without a target, connections wait.
//
// The front does not start, check or stop cores, and does not decide when to rotate. It only reports what it notices
// ([Front.Signals]) and counts what it carries ([Front.Counters]).
//
// # How a connection is carried
//
// The conversation with the application ends with a destination. An [upstream] is opened to it: the target is read, the
// connection is entered in the books of that target's session, and only then is it dialled, so that [Front.Drain] cannot
// miss it. A dial that the core refuses is tried again, at a newer target as soon as there is one. Greeting, credentials,
// request and the client's first bytes leave in one write; what the client has sent is kept until the first answer byte.
// As long as the core's reply has not come, the core has not acted on the request, so that the whole can be sent again to
// another core, whatever it is. After the first answer byte two goroutines copy, holding no buffer while nothing moves.
package front
