package usersock

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"
)

// Dial connects to the socket of a process of this user, and to nobody else, within the limit. The
// error wraps fs.ErrNotExist where there is no socket, and a *net.OpError where nobody takes the
// connection.
func Dial(ctx context.Context, path string, limit time.Duration) (*net.UnixConn, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("looking at the socket: %w", err)
	}
	if err := CheckFile(path, info); err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: limit}
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := CheckPeer(conn); err != nil {
		conn.Close()
		return nil, fmt.Errorf("refusing to talk to %s: %w", path, err)
	}
	return conn.(*net.UnixConn), nil
}
