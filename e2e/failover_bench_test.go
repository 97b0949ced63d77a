//go:build linux

package e2e

import (
	"os"
	"testing"
)

const (
	// envTable names the file that gets the medians as a table in Markdown.
	envTable = "XRAT_BENCH_TABLE"
	// The traffic of the benchmark.
	benchPerSecond = 100
	benchStreams   = 10
)

// BenchmarkFailover lets servers and cores die under traffic, with xrat and with
// what its users would run instead, and tells what applications saw of it.
// -benchtime 5x gives medians of five runs; each run is logged, too, and with -v
// everything that failed.
func BenchmarkFailover(b *testing.B) {
	var rows []row
	for _, how := range both {
		b.Run(how.name, func(b *testing.B) {
			for i, s := range scenarios {
				b.Run(s.name, func(b *testing.B) {
					var trials []figures
					for b.Loop() {
						f := try(b, s, how.new, benchPerSecond, benchStreams)
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
