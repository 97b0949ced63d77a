package lab

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// Server is one Xray server and the gate before it. Clients only know the gate. The methods that
// break and mend it may be called in any order; they return when the change has taken effect.
type Server struct {
	name    string
	kind    Kind
	address string // from which it goes out
	exit    *exit
	account account
	lab     *Lab
	folder  string
	port    *reservedPort // where the process listens
	gate    *gate

	mu      sync.Mutex
	process *exec.Cmd     // nil: not running
	exited  chan struct{} // closed when the process has been waited for
	frozen  bool
	closed  bool
}

func newServer(l *Lab, name string, kind Kind, address, folder string) (_ *Server, err error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	s := &Server{name: name, kind: kind, address: address, lab: l, folder: folder}
	if s.account, err = newAccount(); err != nil {
		return nil, err
	}
	if s.port, err = reservePort(kind.wireUDP()); err != nil {
		return nil, err
	}
	if s.gate, err = openGate(s.port.address(), kind.wireUDP()); err != nil {
		s.port.close()
		return nil, err
	}
	s.exit = l.origin.addExit(address, name)
	if err := s.start(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// Name is the server's name, as AddServer was told.
func (s *Server) Name() string { return s.name }

// Kind is the server's kind.
func (s *Server) Kind() Kind { return s.kind }

// Address is where clients connect to: the gate.
func (s *Server) Address() string { return s.gate.address() }

// Link is the share link for it, with its secrets.
func (s *Server) Link() string {
	return s.kind.link(s.name, s.gate.address(), s.account, s.lab.cert)
}

// Connections counts the TCP connections that clients have made so far; of a server that is reached
// by UDP alone, the client's sockets.
func (s *Server) Connections() int64 {
	if s.kind.datagrams() {
		return s.gate.udp.seen.Load()
	}
	return s.gate.accepted.Load()
}

// Kill ends the process: connections are reset, new ones refused.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.gate.set(refusing, 0); err != nil {
		return err
	}
	return s.end()
}

// Freeze stops the process (SIGSTOP): connections are accepted by the kernel, and nobody answers.
func (s *Server) Freeze() error { return s.setFrozen(true) }

// Thaw continues a frozen process.
func (s *Server) Thaw() error { return s.setFrozen(false) }

// Restart ends the process and starts it again, on the same port. It mends all but a dead exit.
func (s *Server) Restart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.restart()
}

// Refuse has new connections refused and the old ones reset; the process lives.
func (s *Server) Refuse() error { return s.setGate(refusing, 0) }

// Blackhole swallows everything: new connections get no answer at all, as the kernel drops their
// SYNs, and on the old ones nothing moves.
func (s *Server) Blackhole() error { return s.setGate(swallowing, 0) }

// Slow delays every piece of data by d, in both directions, also on the connections that exist.
func (s *Server) Slow(d time.Duration) error { return s.setGate(open, d) }

// DeadExit has the server answer its clients, but reach nothing: the origin stays silent towards
// it, also on the connections that exist.
func (s *Server) DeadExit() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("the server %s is closed", s.name)
	}
	s.exit.set(true)
	return nil
}

// HealthOnly has the server reach nothing but /generate_204, as where a network lets only some
// names through.
func (s *Server) HealthOnly() error {
	s.exit.healthOnly.Store(true)
	return nil
}

// Heal mends everything but the round trip.
func (s *Server) Heal() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exit.set(false)
	s.exit.healthOnly.Store(false)
	network := s.gate.current().network
	s.gate.reshape(Network{RTT: network.RTT, Jitter: network.Jitter})
	if s.process == nil {
		return s.restart()
	}
	return errors.Join(s.freeze(false), s.gate.set(open, 0))
}

func (s *Server) setGate(m mode, delay time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gate.set(m, delay)
}

func (s *Server) setFrozen(frozen bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.freeze(frozen)
}

// freeze and the methods below need s.mu.
func (s *Server) freeze(frozen bool) error {
	if s.process == nil {
		return fmt.Errorf("the server %s is not running", s.name)
	}
	if s.frozen == frozen {
		return nil
	}
	send := thaw
	if frozen {
		send = freeze
	}
	if err := send(s.process.Process); err != nil {
		return fmt.Errorf("the server %s: %w", s.name, err)
	}
	s.frozen = frozen
	return nil
}

func (s *Server) restart() error {
	if err := s.end(); err != nil {
		return err
	}
	if err := s.start(); err != nil {
		return err
	}
	return s.gate.set(open, 0)
}

// start starts the process and waits until it takes connections.
func (s *Server) start() error {
	if s.closed {
		return fmt.Errorf("the server %s is closed", s.name)
	}
	config, err := s.kind.config(s.port.number, s.account, s.lab.cert, s.lab.origin.tlsAddress(), s.address)
	if err != nil {
		return err
	}
	output, err := os.OpenFile(filepath.Join(s.folder, "server.log"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer output.Close()
	command := exec.Command(s.lab.options.Core, "run", "-c", "stdin:")
	command.Dir = s.folder
	command.Env = []string{"XRAY_LOCATION_ASSET=" + s.folder}
	command.Stdin = bytes.NewReader(config)
	command.Stdout, command.Stderr = output, output
	if err := s.lab.keeper.start(command); err != nil {
		return fmt.Errorf("starting the server %s: %w", s.name, err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = command.Wait() // its end is what counts
	}()
	s.process, s.exited = command, exited
	deadline := time.Now().Add(startTimeout)
	for {
		err := s.ready(output.Name())
		if err == nil {
			return nil
		}
		select {
		case <-exited:
			said, _ := os.ReadFile(output.Name())
			return fmt.Errorf("the server %s exited at once: %s", s.name, bytes.TrimSpace(said))
		case <-time.After(time.Millisecond):
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("the server %s takes no connections after %v: %w", s.name, startTimeout, err), s.end())
		}
	}
}

// ready reports whether the process takes connections.
func (s *Server) ready(log string) error {
	if !s.kind.datagrams() {
		conn, err := net.Dial("tcp", s.port.address())
		if err != nil {
			return err
		}
		return conn.Close()
	}
	said, err := os.ReadFile(log)
	if err == nil && !bytes.Contains(said, []byte(" started\n")) {
		err = errors.New("it has not said that it is ready")
	}
	return err
}

// end kills the process, if it runs, and waits for it.
func (s *Server) end() error {
	if s.process == nil {
		return nil
	}
	if err := s.process.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("ending the server %s: %w", s.name, err)
	}
	<-s.exited
	s.process, s.frozen = nil, false
	return nil
}

func (s *Server) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.exit.set(false) // or the origin could not close its connections
	err := s.end()
	s.gate.close()
	s.port.close()
	return err
}
