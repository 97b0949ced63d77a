// Package daemon is the supervisor: it owns what the user wants (connected or
// not, to what), the session that serves it, the sessions that drain, and the
// decisions in between. It starts and stops cores, points the front at them,
// checks their health, rotates, records sessions, and answers the requests of
// the CLI and the tray.
//
// One goroutine, [Supervisor.Run], owns all of that state and never blocks.
// What takes time (starting, probing, draining, stopping, writing to disk) runs
// in workers, which report back with a function that the loop calls; a report
// about a session or an operation that is no longer current does nothing. Status
// is read from a snapshot, so that it is answered whatever the loop does.
//
// The package does not speak the socket's protocol (daemon/ipc), decide which
// server is next (daemon/rotation), touch the database (daemon/store), move
// bytes (runtime/front) or handle processes (runtime/xray).
package daemon
