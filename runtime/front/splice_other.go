//go:build !linux

package front

import (
	"errors"
	"net"
)

// pipes and mover exist only on Linux; elsewhere everything is copied.
type pipes struct{}

func newPipes() *pipes { return nil }

func (*pipes) close() {}

type mover struct{}

var errNoPipe = errors.New("splice is not available")

func newMover(*pipes, *net.TCPConn, *net.TCPConn, func(int)) *mover { return nil }

func (*mover) move() (int, bool, error) { return 0, true, errNoPipe }
