// Package session carries out what the life of a session needs: bringing one up, promoting a
// standby, taking over one that an earlier daemon left, letting one drain, stopping it, and the
// records of all that.
//
// A session is one life of one core process serving one config. Everything here runs in workers: it
// gets values, may block, and returns a result. What becomes of a result is decided by
// daemon/supervisor, whose state this package cannot name; which configs are candidates, by
// daemon/catalog; how a core is started and found again, by runtime/xray.
//
// Begin with bringup.go (the candidates of one attempt), race.go (several at a time) and start.go
// (one of them); retire.go and reattach.go are the end and the second life; record.go and
// journal.go are what is written when.
package session
