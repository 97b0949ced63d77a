// Package ipc is the contract between the daemon and its clients: the wire types and codes, the
// framing, the typed [Client], and the [Server] of the socket.
//
// It knows nothing of how the daemon does its work: a [Handler] answers the requests. It is a leaf,
// so that the tray and the CLI do not link the store and the runtime through it.
//
// The protocol is one JSON object a line over a Unix socket that only its owner may use. A
// connection carries one request, which ends at a newline or at the end of the stream, and one
// reply line. After "subscribe" and "config_test" the reply lines go on. docs/protocol.md describes
// it for authors of other clients.
package ipc
