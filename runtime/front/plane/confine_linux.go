package plane

import (
	gosyscall "syscall"

	"github.com/landlock-lsm/go-landlock/landlock"
	"github.com/landlock-lsm/go-landlock/landlock/syscall"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// Confine gives up, for good and for whatever this process starts, what a data plane does not need:
// every file, listening at further TCP addresses, signals to others (Landlock, landlock(7)), new
// privileges, and being looked into by other processes of the user. What the kernel does not know
// is left out and logged.
func Confine(log zerolog.Logger) {
	warn := func(what string, err error) {
		if err != nil {
			log.Warn().Err(err).Msg("the data plane keeps a right that it does not need: " + what)
		}
	}
	// It is a property of each thread.
	if _, _, errno := gosyscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
		warn("new privileges", errno)
	}
	warn("being looked into", unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
	version, err := syscall.LandlockGetABIVersion()
	if err != nil || version < 1 {
		log.Warn().Msg("this kernel has no Landlock: the data plane could open files")
		return
	}
	newest := landlock.V9.BestEffort()
	warn("files", newest.RestrictPaths())
	warn("signals", newest.RestrictScoped())
	warn("listening", landlock.Config{HandledAccessNet: syscall.AccessNetBindTCP}.BestEffort().RestrictNet())
	log.Info().Int("landlock", version).Msg("confined")
}
