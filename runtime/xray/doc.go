// Package xray runs the core: it finds the binary, builds its configuration,
// starts one process per session, waits until that process really serves, and
// ends it. A core outlives the program that started it, so a process can also
// be adopted by its Identity.
//
// The package keeps no state beyond the processes it was asked for: which
// config to run, when to give one up and what to remember is the daemon's
// business. It probes no way out; that is package probe's.
//
// On Linux a process is held by its pidfd, so that neither a signal nor a wait
// can meet a stranger that got the same number. Elsewhere the start time is
// compared before each step and the exit is polled.
package xray
