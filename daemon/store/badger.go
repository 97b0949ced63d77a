package store

import (
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/rs/zerolog"
)

const memTableSize = 8 << 20

// badgerOptions keep Badger small: no caches, no compression, and at 8 MiB of changes a flush. Two
// compactors are the fewest that keep writes flowing.
func badgerOptions(dir string, log zerolog.Logger) badger.Options {
	return badger.DefaultOptions(dir).
		WithLogger(badgerLog{log}).
		WithExternalMagic(schemaVersion).
		WithSyncWrites(true).
		WithMemTableSize(memTableSize).
		WithNumMemtables(2).
		WithValueThreshold(2 * maxRecord).
		WithValueLogFileSize(1 << 20).
		WithNumCompactors(2).
		WithCompactL0OnClose(true).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithMetricsEnabled(false).
		WithDetectConflicts(false).                        // changes come one at a time
		WithChecksumVerificationMode(options.OnBlockRead). // preflight reads whole tables
		WithBypassLockGuard(true)                          // the store's own lock covers it, also while closed
}

// protect turns a panic of fn into a damage error, and likewise the fault of reading a mapped file
// that has become too short.
func protect(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			// The value may quote what Badger was reading; its first line never does.
			line, _, _ := strings.Cut(fmt.Sprint(r), "\n")
			err = damagef("reading it panicked: %.200s", line)
		}
	}()
	return fn()
}

// badgerLog passes Badger's messages on, all of them at debug level: what matters comes back as an
// error.
type badgerLog struct{ log zerolog.Logger }

func (l badgerLog) Errorf(format string, args ...any)   { l.print("error", format, args) }
func (l badgerLog) Warningf(format string, args ...any) { l.print("warning", format, args) }
func (l badgerLog) Infof(format string, args ...any)    { l.print("info", format, args) }

// Debugf drops the message: at that level Badger prints keys.
func (l badgerLog) Debugf(string, ...any) {}

func (l badgerLog) print(level, format string, args []any) {
	if e := l.log.Debug(); e.Enabled() {
		e.Str("badger", level).Msg(strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
}
