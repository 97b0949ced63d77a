package usersock

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"
)

// Listen binds the socket at path. The caller sees to it that no other process does so at the same
// time. A socket on which nobody listens is therefore that of a dead one, and is replaced; anything
// else at that path is left alone and named in the error.
func Listen(path string) (*net.UnixListener, error) {
	if err := clearStale(path); err != nil {
		return nil, err
	}
	socket, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", path, err)
	}
	// The private directory is what protects it; this is for people who look at the file.
	if err := os.Chmod(path, 0o600); err != nil {
		socket.Close()
		return nil, fmt.Errorf("making %s private: %w", path, err)
	}
	return socket, nil
}

// clearStale removes the socket of a dead process.
func clearStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at the socket %s: %w", path, err)
	}
	if err := CheckFile(path, info); err != nil {
		return err
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
		return fmt.Errorf("another program listens on %s: stop it, or remove the file", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the stale socket: %w", err)
	}
	return nil
}

// CheckFile refuses a file that no process of this user can have made as its socket.
func CheckFile(path string, info fs.FileInfo) error {
	switch mode := info.Mode(); {
	case mode&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link, not xrat's socket: remove it and try again", path)
	case mode.IsDir():
		return fmt.Errorf("%s is a directory, not xrat's socket: move it away and try again", path)
	case !isSocket(mode):
		return fmt.Errorf("%s is a file of another kind, not xrat's socket: move it away and try again", path)
	}
	return checkOwner(path, info)
}
