// Package daemon wires the parts of the daemon together and routes requests to them. It owns no
// state and makes no decision.
//
// The parts are daemon/supervisor, the loop that owns the sessions; daemon/session, what workers do
// with one of them; daemon/catalog, the configs; daemon/bulktest, tests of many configs. The socket
// is daemon/ipc's, and the program that opens it is cmd/xrat.
//
// Begin with daemon.go, the wiring, and serve.go, where each request goes.
package daemon
