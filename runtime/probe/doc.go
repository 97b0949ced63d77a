// Package probe measures one proxy address once: does it answer, and does it
// still have a way out. Every measurement has a deadline and leaves nothing
// behind: no connection, no goroutine.
//
// It owns no schedule, keeps no history and decides nothing; when to measure
// and what follows from a failure is the daemon's business.
package probe
