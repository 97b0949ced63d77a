package xray

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// bootID returns the kernel's ID of this boot.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

// identify returns the identity of the process that has pid now. An exited process that nobody has
// waited for counts as missing.
func identify(pid int) (Identity, error) {
	stat, err := readStat(pid)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: no process has pid %d", ErrPIDMissing, pid)
	}
	if stat.state == 'Z' || stat.state == 'X' {
		return Identity{}, fmt.Errorf("%w: pid %d has exited", ErrPIDMissing, pid)
	}
	// Unreadable for a program with capabilities of its own: then the start time has to do.
	executable, _ := os.Readlink(procPath(pid, "exe"))
	return Identity{PID: pid, StartTime: stat.start, BootID: bootID(), Executable: executable}, nil
}

type procStat struct {
	state byte
	group int
	start uint64 // clock ticks since boot
}

// readStat reads /proc/PID/stat, see proc_pid_stat(5). The second field, the program's name in
// parentheses, may itself contain spaces and parentheses.
func readStat(pid int) (procStat, error) {
	text, err := os.ReadFile(procPath(pid, "stat"))
	if err != nil {
		return procStat{}, err
	}
	_, rest, ok := bytes.Cut(text[max(0, bytes.LastIndexByte(text, ')')):], []byte(") "))
	// The fields from the third on: state, ppid, pgrp, ..., starttime (the 22nd).
	fields := bytes.Fields(rest)
	const state, group, start = 0, 2, 19
	if !ok || len(fields) <= start {
		return procStat{}, fmt.Errorf("unexpected form of /proc/%d/stat", pid)
	}
	var stat procStat
	stat.state = fields[state][0]
	if stat.group, err = strconv.Atoi(string(fields[group])); err != nil {
		return procStat{}, err
	}
	stat.start, err = strconv.ParseUint(string(fields[start]), 10, 64)
	return stat, err
}

func procPath(pid int, name string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), name)
}

// FindNonces returns the processes of this user that have a wanted nonce in their environment.
// Leaders of groups come first.
func FindNonces(wanted func(nonce string) bool) ([]Identity, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("listing the processes: %w", err)
	}
	uid := uint32(os.Getuid())
	var leaders, others []Identity
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			continue
		}
		if owner, ok := info.Sys().(*syscall.Stat_t); !ok || owner.Uid != uid {
			continue
		}
		environment, err := os.ReadFile(procPath(pid, "environ"))
		if err != nil {
			continue
		}
		if nonce, has := nonceIn(environment); !has || !wanted(nonce) {
			continue
		}
		id, err := identify(pid)
		if err != nil {
			continue
		}
		if stat, err := readStat(pid); err == nil && stat.group == pid {
			leaders = append(leaders, id)
		} else {
			others = append(others, id)
		}
	}
	return append(leaders, others...), nil
}

// nonceIn returns the nonce in an environment as /proc shows it.
func nonceIn(environment []byte) (nonce string, has bool) {
	for variable := range bytes.SplitSeq(environment, []byte{0}) {
		if value, found := bytes.CutPrefix(variable, []byte(envNonce+"=")); found {
			return string(value), true
		}
	}
	return "", false
}
