//go:build linux || darwin

package usersock

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
)

func isSocket(mode fs.FileMode) bool { return mode&fs.ModeSocket != 0 }

// checkOwner refuses a file of another user.
func checkOwner(path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if ok && int(stat.Uid) != os.Getuid() {
		return fmt.Errorf("%s belongs to user %d, not to you (%d): remove it and try again", path, stat.Uid, os.Getuid())
	}
	return nil
}

// CheckPeer refuses a connection whose other end is another user.
func CheckPeer(conn net.Conn) error {
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		return nil // a test's pipe
	}
	uid, _, err := askPeer(socket)
	if err != nil {
		return err
	}
	return allowUID(uid, os.Getuid())
}

// PeerPID returns the process that listened, for whoever has connected; or the one that connected,
// for whoever has accepted.
func PeerPID(conn *net.UnixConn) (int, error) {
	_, pid, err := askPeer(conn)
	return pid, err
}

func askPeer(conn *net.UnixConn) (uid, pid int, err error) {
	raw, err := conn.SyscallConn()
	if err == nil {
		cerr := raw.Control(func(fd uintptr) { uid, pid, err = peer(int(fd)) })
		err = errors.Join(err, cerr)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("asking for the peer: %w", err)
	}
	return uid, pid, nil
}

// allowUID decides who may talk to whom: only the same user, not even root.
func allowUID(peer, own int) error {
	if peer != own {
		return fmt.Errorf("the other end belongs to user %d, not to %d", peer, own)
	}
	return nil
}
