package front

import (
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	pipeSize  = 512 << 10
	maxPipes  = 64 // lent at one time; each has two descriptors, and the kernel limits the pages of a user's pipes
	idlePipes = 4  // kept for the next use
)

// pipes lends the pipes through which splice moves bytes between sockets.
type pipes struct {
	free chan *pipe
	lent chan struct{}
}

type pipe struct{ r, w int }

func newPipes() *pipes {
	return &pipes{make(chan *pipe, idlePipes), make(chan struct{}, maxPipes)}
}

// get returns nil when there is none to be had.
func (p *pipes) get() *pipe {
	select {
	case p.lent <- struct{}{}:
	default:
		return nil
	}
	select {
	case q := <-p.free:
		return q
	default:
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		<-p.lent
		return nil
	}
	unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize) // a smaller one works too
	return &pipe{fds[0], fds[1]}
}

// put takes q back. A pipe that still has bytes in it is of no use to others.
func (p *pipes) put(q *pipe, empty bool) {
	<-p.lent
	if empty {
		select {
		case p.free <- q:
			return
		default:
		}
	}
	q.close()
}

func (q *pipe) close() {
	unix.Close(q.r)
	unix.Close(q.w)
}

// close closes the pipes that are not lent.
func (p *pipes) close() {
	for {
		select {
		case q := <-p.free:
			q.close()
		default:
			return
		}
	}
}

// mover moves bytes from one socket to another without taking them through the process. It holds a
// pipe only while bytes are on their way.
type mover struct {
	pipes      *pipes
	src, dst   syscall.RawConn
	count      func(n int)
	fill, pump func(fd uintptr) bool

	pipe *pipe
	in   int // in the pipe
	err  error
}

func newMover(p *pipes, dst, src *net.TCPConn, count func(n int)) *mover {
	s, err1 := src.SyscallConn()
	d, err2 := dst.SyscallConn()
	if err1 != nil || err2 != nil {
		return nil
	}
	m := &mover{pipes: p, src: s, dst: d, count: count}
	m.fill, m.pump = m.fillPipe, m.pumpPipe
	return m
}

// errNoPipe asks the caller to copy instead. Nothing has been moved.
var errNoPipe = os.NewSyscallError("pipe2", unix.EMFILE)

// move waits for bytes, moves what is there, and returns their number. The end of the stream is
// io.EOF.
func (m *mover) move() (n int, fromSource bool, err error) {
	if err := m.src.Read(m.fill); err != nil {
		return 0, true, err
	}
	if m.err != nil {
		return 0, true, m.err
	}
	n = m.in
	for m.in > 0 && err == nil {
		if err = m.dst.Write(m.pump); err == nil {
			err = m.err
		}
	}
	m.pipes.put(m.pipe, m.in == 0)
	m.pipe = nil
	return n, false, err
}

const spliceFlags = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK

func (m *mover) fillPipe(fd uintptr) bool {
	m.err = nil
	if m.pipe = m.pipes.get(); m.pipe == nil {
		m.err = errNoPipe
		return true
	}
	for {
		n, err := unix.Splice(int(fd), nil, m.pipe.w, nil, pipeSize, spliceFlags)
		switch {
		case err == unix.EINTR:
			continue
		case err == nil && n > 0:
			m.in = int(n)
			return true
		}
		m.pipes.put(m.pipe, true)
		m.pipe = nil
		if err == unix.EAGAIN {
			return false
		}
		if m.err = io.EOF; err != nil {
			m.err = os.NewSyscallError("splice", err)
		}
		return true
	}
}

func (m *mover) pumpPipe(fd uintptr) bool {
	for {
		n, err := unix.Splice(m.pipe.r, nil, int(fd), nil, m.in, spliceFlags)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return false
		case err != nil:
			m.err = os.NewSyscallError("splice", err)
			return true
		}
		m.in -= int(n)
		m.count(int(n))
		return true
	}
}
