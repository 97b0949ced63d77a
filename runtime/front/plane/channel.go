//go:build unix

package plane

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xrat-tray/xrat/runtime/front"
)

const (
	// maxLine bounds a line, in bytes; they have some hundred.
	maxLine = 1 << 20
	// maxFiles is how many descriptors may come with a line.
	maxFiles = 8
	// sendTime bounds the sending of a line: the other end may be stopped.
	sendTime = 5 * time.Second
)

var errLineTooLong = errors.New("the line is too long")

// channel is one end of a connection between a daemon and a data plane. One goroutine may receive;
// any may send.
type channel struct {
	conn *net.UnixConn

	sending sync.Mutex

	read  []byte // received and not consumed
	files []int  // the same
}

func newChannel(conn *net.UnixConn) *channel { return &channel{conn: conn} }

// send sends v as a line, with the listeners that are not nil.
func (c *channel) send(v any, l front.Listeners) error {
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding a line: %w", err)
	}
	line = append(line, '\n')
	c.sending.Lock()
	defer c.sending.Unlock()
	if err := c.conn.SetWriteDeadline(time.Now().Add(sendTime)); err != nil {
		return err
	}
	defer c.conn.SetWriteDeadline(time.Time{}) // one that is left would wake the process
	return withFiles(l, func(files []int) error {
		var rights []byte
		if len(files) > 0 {
			rights = unix.UnixRights(files...)
		}
		n, _, err := c.conn.WriteMsgUnix(line, rights, nil)
		if err == nil && n < len(line) { // a stream may take a part
			_, err = c.conn.Write(line[n:])
		}
		return err
	})
}

// withFiles calls use with the descriptors of the listeners, in the order of names. They stay the
// listeners' own.
func withFiles(l front.Listeners, use func(files []int) error) (err error) {
	all := []*net.TCPListener{l.SOCKS, l.HTTP}
	var files []int
	var next func(i int) error
	next = func(i int) error {
		if i == len(all) {
			return use(files)
		}
		if all[i] == nil {
			return next(i + 1)
		}
		raw, err := all[i].SyscallConn()
		if err != nil {
			return err
		}
		var used error
		if err := raw.Control(func(fd uintptr) {
			files = append(files, int(fd))
			used = next(i + 1)
		}); err != nil {
			return err
		}
		return used
	}
	return next(0)
}

// names are the names of the listeners that are not nil.
func names(l front.Listeners) (all []string) {
	if l.SOCKS != nil {
		all = append(all, socksListener)
	}
	if l.HTTP != nil {
		all = append(all, httpListener)
	}
	return all
}

// receive decodes the next line into v. The error is io.EOF at the end of the connection.
func (c *channel) receive(v any) error {
	for {
		if i := bytes.IndexByte(c.read, '\n'); i >= 0 {
			line := c.read[:i]
			c.read = c.read[i+1:]
			if err := json.Unmarshal(line, v); err != nil {
				return fmt.Errorf("decoding a line: %w", err)
			}
			return nil
		}
		if len(c.read) > maxLine {
			return errLineTooLong
		}
		part, rights := make([]byte, 4096), make([]byte, unix.CmsgSpace(maxFiles*4))
		n, nRights, flags, _, err := c.conn.ReadMsgUnix(part, rights)
		if nRights > 0 {
			if err := c.take(rights[:nRights]); err != nil {
				return err
			}
		}
		switch {
		case err != nil:
			return err
		case flags&unix.MSG_CTRUNC != 0:
			return errors.New("more descriptors came along than there is room for")
		case n == 0:
			return io.EOF
		}
		c.read = append(c.read, part[:n]...)
	}
}

// take keeps the descriptors of a control message.
func (c *channel) take(rights []byte) error {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return fmt.Errorf("reading descriptors: %w", err)
	}
	for _, m := range messages {
		files, err := unix.ParseUnixRights(&m)
		if err != nil {
			continue // something else, that nobody asked for
		}
		c.files = append(c.files, files...)
	}
	return nil
}

// listeners makes the listeners of the descriptors that came along with the names of a line.
func (c *channel) listeners(names []string) (l front.Listeners, err error) {
	if len(names) > len(c.files) {
		return l, fmt.Errorf("%d listeners are named, and %d descriptors came along", len(names), len(c.files))
	}
	for _, name := range names {
		file := os.NewFile(uintptr(c.files[0]), name)
		c.files = c.files[1:]
		made, lerr := net.FileListener(file)
		file.Close()
		tcp, ok := made.(*net.TCPListener)
		switch {
		case lerr != nil:
			err = fmt.Errorf("using the listener %q: %w", name, lerr)
		case !ok:
			made.Close()
			err = fmt.Errorf("the descriptor %q is no TCP listener", name)
		case name == socksListener:
			l.SOCKS = tcp
		case name == httpListener:
			l.HTTP = tcp
		default:
			tcp.Close()
		}
	}
	if err != nil {
		l.Close()
		return front.Listeners{}, err
	}
	return l, nil
}

func (c *channel) close() { c.conn.Close() }

// discard closes what came along and nobody took. Call it once nobody receives any more.
func (c *channel) discard() {
	for _, fd := range c.files {
		unix.Close(fd)
	}
	c.files = nil
}
