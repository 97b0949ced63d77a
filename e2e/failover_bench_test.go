//go:build linux

package e2e

import (
	"os"
	"testing"
	"time"
)

// envTable names the file that gets the medians as a table in Markdown.
const envTable = "XRAT_BENCH_TABLE"

var benchDemand = demand{perSecond: 100, timeout: requestTimeout, streams: 10, interval: 20 * time.Millisecond}

// BenchmarkFailover lets servers and cores die under traffic, with xrat and with what its users
// would run instead, and tells what applications saw of it. -benchtime 5x gives medians of five
// runs; each run is logged, too, and with -v everything that failed.
func BenchmarkFailover(b *testing.B) {
	var rows []row
	for _, how := range both {
		b.Run(how.name, func(b *testing.B) {
			for i, s := range scenarios {
				b.Run(s.name, func(b *testing.B) {
					var trials []figures
					for b.Loop() {
						scope := &trialScope{TB: b}
						_, f := try(scope, s, how.new, benchDemand)
						scope.end()
						b.Logf("%s, run %d: %v", b.Name(), len(trials)+1, f)
						trials = append(trials, f)
					}
					for i, f := range trials {
						for _, kind := range f.errors {
							b.Logf("run %d: %s", i+1, kind)
						}
					}
					m := medians(trials)
					m.report(b)
					rows = append(rows, row{i, how.name, m})
				})
			}
		})
	}
	if path := os.Getenv(envTable); path != "" {
		must(b, writeTable(path, rows))
	}
}
