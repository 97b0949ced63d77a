package xray

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/xrat-tray/xrat/runtime/sockdiag"
)

// sockets lists the TCP listeners and unconnected UDP sockets that process pid has, and those of
// others on the planned ports. gopsutil would tell the first only, and takes some 10 ms.
func sockets(pid int, p plan) ([]socket, error) {
	inodes, err := socketInodes(pid)
	// A core with file capabilities hides its descriptors from us; what can be said then is whether
	// each planned place has one socket.
	hidden := errors.Is(err, fs.ErrPermission)
	if err != nil && !hidden {
		return nil, err
	}
	listed, err := listSockets(pid)
	if err != nil {
		return nil, err
	}
	return attribute(listed, inodes, hidden, p), nil
}

// attribute picks the process's own sockets, and those of others on the planned ports. With its
// files hidden, one socket in each planned place counts as its own.
func attribute(listed []listedSocket, inodes map[string]bool, hidden bool, p plan) []socket {
	var all []socket
	claimed := make(map[socket]bool)
	for _, s := range listed {
		s.own = inodes[s.inode]
		if hidden && p.covers(s.network, s.address) && !claimed[s.socket] {
			claimed[s.socket] = true
			s.own = true
		}
		if s.own || p.hasPort(s.address.Port()) {
			all = append(all, s.socket)
		}
	}
	return all
}

// listSockets lists the TCP listeners and unconnected UDP sockets of everybody.
func listSockets(pid int) ([]listedSocket, error) {
	var all []listedSocket
	for _, table := range []struct {
		name, network string
		family        uint8 // 0: only /proc
	}{
		{"tcp", "tcp", unix.AF_INET},
		{"tcp6", "tcp", unix.AF_INET6},
		{"udp", "udp", 0},
		{"udp6", "udp", 0},
	} {
		if table.family != 0 {
			if found, err := listeners(table.family); err == nil {
				all = append(all, found...)
				continue
			}
		}
		found, err := readSockets(procPath(pid, "net/"+table.name), table.network)
		if errors.Is(err, fs.ErrNotExist) && strings.HasSuffix(table.name, "6") {
			continue // no IPv6 on this machine
		}
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// listeners lists the TCP listeners of one address family.
func listeners(family uint8) ([]listedSocket, error) {
	found, err := sockdiag.Listeners(family)
	var all []listedSocket
	for _, l := range found {
		all = append(all, listedSocket{socket{network: "tcp", address: l.Address}, strconv.FormatUint(uint64(l.Inode), 10)})
	}
	return all, err
}

// socketInodes lists the sockets among the process's open files.
func socketInodes(pid int) (map[string]bool, error) {
	folder := procPath(pid, "fd")
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	inodes := make(map[string]bool)
	for _, entry := range entries {
		target, err := os.Readlink(filepath.Join(folder, entry.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		if inode, ok := strings.CutPrefix(target, "socket:["); ok {
			inodes[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return inodes, nil
}

type listedSocket struct {
	socket
	inode string
}

// The state column of /proc/net/tcp and udp, from the kernel's net/tcp_states.h.
const (
	stateListen = "0A" // TCP: a listener
	stateClose  = "07" // UDP: not connected
)

// readSockets reads the listeners of one table of /proc/PID/net, see proc_net(5).
func readSockets(path, network string) ([]listedSocket, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	wanted := stateListen
	if network == "udp" {
		wanted = stateClose
	}
	var found []listedSocket
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		const local, state, inode = 1, 3, 9
		if !bytes.Contains(lines.Bytes(), []byte(" "+wanted+" ")) {
			continue // the cheap look first: there may be thousands of connections
		}
		fields := strings.Fields(lines.Text())
		if len(fields) <= inode || fields[state] != wanted {
			continue
		}
		address, err := parseAddress(fields[local])
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		found = append(found, listedSocket{socket{network: network, address: address}, fields[inode]})
	}
	return found, lines.Err()
}

// parseAddress reads ADDRESS:PORT in the kernel's hexadecimal form: the address in words of 32 bits
// in the machine's byte order.
func parseAddress(text string) (netip.AddrPort, error) {
	host, portText, _ := strings.Cut(text, ":")
	port, err := strconv.ParseUint(portText, 16, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	raw, err := hex.DecodeString(host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	for word := raw; len(word) >= 4; word = word[4:] {
		binary.NativeEndian.PutUint32(word, binary.BigEndian.Uint32(word))
	}
	address, ok := netip.AddrFromSlice(raw)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("%q is no address", text)
	}
	return netip.AddrPortFrom(address, uint16(port)), nil
}
