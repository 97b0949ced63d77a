// Package daemontest is for tests only: the whole daemon among fakes, in fake time. It owns the
// World (servers that can be told how to behave, the cores that run, the front and what it was
// told, a provider of subscriptions) and the Harness that boots a daemon in it.
//
// What is real: the daemon with all its parts. What is not: cores, the front, the network and the
// store, which are tested in their packages and end to end; here time and faults are ours.
package daemontest
