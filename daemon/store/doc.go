// Package store keeps what must outlive the daemon: configs, subscriptions, sessions, the desired
// state and the outcomes of probes. It is the only importer of Badger. Only one process at a time
// may use a store.
//
// It does not decide anything: which config comes next is the business of package rotation, what a
// link means that of package link.
//
// # Files
//
// Everything lives in one private directory (0700):
//
//	db/            the Badger database
//	db.damaged-…   databases that were put aside, the newest few
//	export.json    a copy of the records to restore from, replaced atomically
//	head           the newest acknowledged change: tells a database that has
//	               silently lost records from one that has not
//	opening, crash left by a process that died in Badger
//	subscriptions/ the last good answer of each provider by the id of its
//	               subscription, and the id of this device
//	lock           held while a Store is open; contains the holder's pid
//
// # Life of the database
//
// An open Badger wakes up many times a second even when nothing happens, so it is opened by the
// first call that needs it and closed again after [Options.IdleClose]. Callers do not notice. The
// lock is held throughout.
//
// # Damage
//
// Badger checks blocks but not completeness: a shortened MANIFEST or log opens without an error and
// with fewer records. Every change therefore carries a sequence number and a digest of all records
// in the database itself, and the newest acknowledged one goes to the head file. When the two
// disagree, or when Badger reports damage, or has crashed the process twice in a row, the database
// is moved aside and a new one is made from the export and from the records that can still be read.
// [Store.Recovery] reports what happened.
package store
