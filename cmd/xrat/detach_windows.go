package main

import (
	"os"
	"syscall"

	"golang.org/x/sys/windows"
)

// detached keeps the daemon off this console.
func detached() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP}
}

// privateFiles does nothing: the user's directories are private by their access lists.
func privateFiles() {}

// softSignals: Windows has none for a process without a console.
var softSignals []os.Signal

// closeForChildren does nothing: handles are not inherited unless asked for.
func closeForChildren() {}
