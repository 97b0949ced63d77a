package session

import "github.com/xrat-tray/xrat/daemon/store"

// Candidate is a config that may be tried, with what speaks for it or against it.
type Candidate struct {
	store.Config
	Class, Why string
}
