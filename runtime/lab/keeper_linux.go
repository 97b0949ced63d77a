package lab

import (
	"os/exec"
	"runtime"
	"syscall"
)

// keeper starts processes that die with this one. The kernel sends a child its parent-death signal
// when the thread that forked it ends, not the process; so all are forked by one thread, which
// lives as long as the lab. When the program is killed, the thread ends with it.
type keeper struct {
	work  chan func()
	ended chan struct{}
}

func newKeeper() *keeper {
	k := &keeper{work: make(chan func()), ended: make(chan struct{})}
	go func() {
		defer close(k.ended)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for f := range k.work {
			f()
		}
	}()
	return k
}

// start starts the command.
func (k *keeper) start(command *exec.Cmd) error {
	// A group of its own: an interrupt from the terminal is for the program, which closes the lab.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	result := make(chan error)
	k.work <- func() { result <- command.Start() }
	return <-result
}

// close ends the thread; call it when no process is needed any more.
func (k *keeper) close() {
	close(k.work)
	<-k.ended
}
