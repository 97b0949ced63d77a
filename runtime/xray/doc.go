// Package xray runs the core: it finds the executable, builds the configuration, starts a process,
// waits until that really serves, and stops it. A core outlives the program that started it, so a
// process can also be adopted by its Identity.
//
// It owns processes, their sockets and their logs, and the core's configuration. It does not own
// the decisions: which config to run, when to give it up and what to record is up to the daemon. It
// measures nothing beyond the core's inbound; that is runtime/probe's work.
//
// Begin with start.go (from a Spec to a core that serves), core.go (a running core) and adopt.go
// (taking one over); config.go and outbound.go build the configuration, batch.go runs one core for
// many links.
//
// On Linux a process is held by its pidfd, so that neither a signal nor a wait can hit another
// process that was given the same pid. Elsewhere the start time is compared before each step, and
// the exit is polled.
package xray
