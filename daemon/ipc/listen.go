package ipc

import (
	"net"

	"github.com/xrat-tray/xrat/runtime/usersock"
)

// Listener is the daemon's end of the socket.
type Listener struct {
	socket *net.UnixListener
	path   string
}

// Listen binds the socket at path, as usersock.Listen does. The caller holds the daemon's lock.
func Listen(path string) (*Listener, error) {
	socket, err := usersock.Listen(path)
	if err != nil {
		return nil, err
	}
	return &Listener{socket: socket, path: path}, nil
}

// Path returns where the listener is bound.
func (l *Listener) Path() string { return l.path }

// Close stops listening and removes the socket.
func (l *Listener) Close() error { return l.socket.Close() }
