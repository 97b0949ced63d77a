//go:build linux || darwin

package usersock

import (
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
	raw, err := socket.SyscallConn()
	if err != nil {
		return fmt.Errorf("asking for the peer: %w", err)
	}
	var uid int
	var uidErr error
	if err := raw.Control(func(fd uintptr) { uid, uidErr = peerUID(int(fd)) }); err != nil {
		return fmt.Errorf("asking for the peer: %w", err)
	}
	if uidErr != nil {
		return fmt.Errorf("asking for the peer: %w", uidErr)
	}
	return allowUID(uid, os.Getuid())
}

// allowUID decides who may talk to whom: only the same user, not even root.
func allowUID(peer, own int) error {
	if peer != own {
		return fmt.Errorf("the other end belongs to user %d, not to %d", peer, own)
	}
	return nil
}
