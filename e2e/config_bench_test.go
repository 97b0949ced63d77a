//go:build linux

package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// manyLinks are links as long as real ones, with names that are.
func manyLinks(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "vless://00000000-0000-4000-8000-%012d@host-%d.example:443?encryption=none&security=reality&sni=www.example.com&fp=chrome"+
			"&pbk=Z84J2IelR9ch3k8VtlVhhs5ycBUlXA7wHBWcBrjqnAw&sid=6ba85179e30d4fc2&type=tcp&flow=xtls-rprx-vision#%%F0%%9F%%87%%AF%%F0%%9F%%87%%B5%%20Tokyo%%20%d\n", i, i, i)
	}
	return b.String()
}

// BenchmarkImport10000 is `xrat import` of 10,000 new links, from the start of the program to its
// end: parsed, and on the disk.
func BenchmarkImport10000(b *testing.B) {
	links := manyLinks(10_000)
	for b.Loop() {
		b.StopTimer()
		box := newBox(b, "")
		box.ok("daemon", "start")
		b.StartTimer()
		if out := box.okInput(links, "import"); !strings.Contains(out, "10000 added") {
			b.Fatal(out)
		}
		b.StopTimer()
		box.run("daemon", "stop")
		b.StartTimer()
	}
}

// BenchmarkList10000 is `xrat list` of 10,000 configs, from the start of the program to its end.
func BenchmarkList10000(b *testing.B) {
	box := newBox(b, "")
	box.okInput(manyLinks(10_000), "import")
	for name, args := range map[string][]string{"table": {"list", "--sort", "rank"}, "json": {"list", "--json"}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if out := box.ok(args...); strings.Count(out, "Tokyo") != 10_000 {
					b.Fatal(len(out))
				}
			}
		})
	}
}
