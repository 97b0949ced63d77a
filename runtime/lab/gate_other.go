//go:build !linux

package lab

import "net"

// Refusing and swallowing are imitated here: the gate does not accept, so that the kernel's queue
// takes the connections and nobody answers.
func unlisten(*net.TCPListener) error     { return nil }
func relisten(*net.TCPListener) error     { return nil }
func listenNarrow(*net.TCPListener) error { return nil }

// reservedPort is a loopback port that was free.
type reservedPort struct{ number int }

func reservePort(bool) (*reservedPort, error) {
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	return &reservedPort{listener.Addr().(*net.TCPAddr).Port}, nil
}

func (p *reservedPort) address() string { return loopback(p.number) }

func (p *reservedPort) close() {}
