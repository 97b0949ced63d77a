// Package supervisor owns what the user wants (connected or not, to what), the session that serves
// it, the sessions that drain, and the decisions in between: health, standby, rotation, recovery.
//
// One goroutine, [Supervisor.Run], owns all of that state and never blocks: every method of
// Supervisor runs in it. What takes time runs in workers, which are functions of types that cannot
// name the state; they get values and return a result, and the loop applies it if the session or
// the operation that it belongs to is still current. Whatever other goroutines want goes through a
// [Remote]: intents, which the loop carries out, and reads of the state as it was last published.
//
// The package does not speak the socket's protocol (daemon/ipc), start or stop a core by itself
// (daemon/session), judge what was measured (daemon/liveness), know the configs (daemon/catalog),
// or put candidates in order (daemon/rotation).
//
// Begin with supervisor.go, the loop, and state.go, what it owns. intents.go and operations.go are
// how something is begun, superseded and concluded; swap.go is the moment in which another session
// serves; health.go, standby.go, rotate.go and recovery.go are what happens by itself.
package supervisor
