package session

import (
	"context"

	"github.com/xrat-tray/xrat/daemon/store"
)

// Candidate is a config that may be tried, with what speaks for it or against it.
type Candidate struct {
	store.Config
	Class, Why string
}

// Candidates returns the configs to try, in order. It may wait for the disk.
type Candidates func(ctx context.Context) ([]Candidate, error)
