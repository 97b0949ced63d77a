//go:build unix

package plane

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xrat-tray/xrat/runtime/front"
	"github.com/xrat-tray/xrat/runtime/usersock"
)

// greetTime bounds the greeting of a data plane that an earlier daemon has left. It answers within
// milliseconds, also on a busy machine, unless it is stopped.
const greetTime = 3 * time.Second

// The name of a data plane's socket is not longer than that of the daemon, "xrat.sock": a directory
// that is short enough for one is so for the other (unix(7) has 108 bytes for a path).
const (
	socketPrefix = "f-"
	socketMarks  = 7 // of the nonce
)

// socketPath is where the data plane with this nonce listens.
func socketPath(dir, nonce string) string {
	return filepath.Join(dir, socketPrefix+nonce[:socketMarks])
}

// sockets are the paths of the sockets that there are, also of dead data planes.
func sockets(dir string) (paths []string) {
	entries, _ := os.ReadDir(dir) // without the directory there are none
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), socketPrefix) {
			paths = append(paths, filepath.Join(dir, entry.Name()))
		}
	}
	return paths
}

func newNonce() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// socketPair makes a connection of which the child gets one end.
func socketPair() (ours *net.UnixConn, theirs *os.File, err error) {
	syscall.ForkLock.RLock()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	file := os.NewFile(uintptr(fds[0]), "data plane")
	defer file.Close()
	theirs = os.NewFile(uintptr(fds[1]), "daemon")
	conn, err := net.FileConn(file)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return conn.(*net.UnixConn), theirs, nil
}

// Running reports whether a data plane runs that has its socket in dir. Anybody may call it.
func Running(dir string) bool {
	for _, path := range sockets(dir) {
		if conn, err := usersock.Dial(context.Background(), path, greetTime); err == nil {
			conn.Close()
			return true
		}
	}
	return false
}

// Find takes over the data planes that an earlier daemon has left, before anything else is called.
// The one that takes new connections serves on; it is closed if there is more than one. One that
// does not answer is killed. It returns what it has found of the current one; nil: there is none.
func (c *Client) Find(ctx context.Context) (*State, error) {
	for _, path := range sockets(c.Dir) {
		p, l, err := c.takeOver(ctx, path)
		if err != nil {
			c.Log.Error().Err(err).Msg("a data plane is not taken over")
			continue
		}
		if p == nil {
			continue // nobody listens
		}
		c.mu.Lock()
		switch {
		case p.state.Retired:
			c.retired = append(c.retired, p)
		case p.state.Open && c.current == nil:
			c.current, c.listeners, c.open = p, l, true
			l = front.Listeners{}
		case p.state.Open: // the daemon before died while a new one took over
			c.retired = append(c.retired, p)
			p.post(outgoing{command: command{Do: doRetire}})
		default:
			p.post(outgoing{command: command{Do: doClose}})
		}
		c.watch(p)
		c.mu.Unlock()
		l.Close()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil {
		return nil, nil
	}
	state := c.current.state
	return &state, nil
}

// takeOver greets the data plane at a socket; nil: nobody listens there.
func (c *Client) takeOver(ctx context.Context, path string) (*peer, front.Listeners, error) {
	conn, err := usersock.Dial(ctx, path, greetTime)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, front.Listeners{}, os.Remove(path)
	case errors.Is(err, fs.ErrNotExist):
		return nil, front.Listeners{}, nil
	case err != nil:
		return nil, front.Listeners{}, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, greetTime, fmt.Errorf("it does not answer within %v", greetTime))
	defer cancel()
	p, l, err := greet(limited, conn, c.options(), c.signals, c.Log)
	if err == nil {
		c.Log.Info().Int("pid", p.state.PID).Str("version", p.state.Version).Msg("data plane taken over")
		return p, l, nil
	}
	if ctx.Err() != nil {
		conn.Close()
		return nil, l, err
	}
	// Whoever listens there is of no use to anybody.
	defer conn.Close()
	pid, perr := usersock.PeerPID(conn)
	if perr == nil {
		perr = kill(conn, pid)
	}
	return nil, l, fmt.Errorf("%s: %w", filepath.Base(path), errors.Join(err, perr))
}

// kill ends the process at the other end of a connection, which it holds for as long as it lives.
func kill(conn *net.UnixConn, pid int) error {
	process, err := os.FindProcess(pid)
	if err != nil {
		return fmt.Errorf("ending the data plane: %w", err)
	}
	defer process.Release()
	if closed(conn) {
		return nil // and the pid may be another process's by now
	}
	if err := process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("ending the data plane: %w", err)
	}
	return nil
}

// closed reports whether the other end of a connection is gone.
func closed(conn *net.UnixConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return true
	}
	gone := true
	if err := raw.Control(func(fd uintptr) {
		n, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		gone = n == 0 && err == nil || err != nil && !errors.Is(err, unix.EAGAIN)
	}); err != nil {
		return true
	}
	return gone
}
