package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

// maxFailures is how many configs that failed are listed one by one.
const maxFailures = 20

// testOrders are the orders of a test's table. Configs that failed come last in all but the last
// two.
var testOrders = map[string]func(a, b ipc.TestResultPayload) int{
	"delay": byMeasure(func(r ipc.TestResultPayload) int64 { return r.DelayMillis }),
	"tcp":   byMeasure(func(r ipc.TestResultPayload) int64 { return r.TCPMillis }),
	"speed": byMeasure(func(r ipc.TestResultPayload) int64 {
		if r.SpeedBytes == 0 {
			return 0
		}
		return math.MaxInt64 - r.SpeedBytes
	}),
	"name": func(a, b ipc.TestResultPayload) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.ConfigName), strings.ToLower(b.ConfigName)), cmp.Compare(a.ConfigID, b.ConfigID))
	},
	"id": func(a, b ipc.TestResultPayload) int { return cmp.Compare(a.ConfigID, b.ConfigID) },
}

func sortNames() string { return strings.Join(slices.Sorted(maps.Keys(testOrders)), ", ") }

// byMeasure orders by a figure of which less is better; 0 is unknown.
func byMeasure(figure func(ipc.TestResultPayload) int64) func(a, b ipc.TestResultPayload) int {
	rank := func(r ipc.TestResultPayload) int64 {
		if n := figure(r); r.OK && n > 0 {
			return n
		}
		return math.MaxInt64
	}
	failed := func(r ipc.TestResultPayload) int {
		if r.OK {
			return 0
		}
		return 1
	}
	return func(a, b ipc.TestResultPayload) int {
		return cmp.Or(cmp.Compare(failed(a), failed(b)), cmp.Compare(rank(a), rank(b)), cmp.Compare(a.ConfigID, b.ConfigID))
	}
}

func printTest(w io.Writer, width int, results []ipc.TestResultPayload, summary ipc.TestSummaryPayload, flags testFlags) {
	listed := results
	if summary.Failed > maxFailures && flags.sort == "" {
		listed = slices.DeleteFunc(slices.Clone(results), func(r ipc.TestResultPayload) bool { return !r.OK })
	}
	if len(listed) > 0 {
		head := []column{
			{title: "ID", right: true}, {title: "NAME", least: 12}, {title: "PROTOCOL"}, {title: "SERVER", least: 15},
			{title: "TCP", right: true}, {title: "DELAY", right: true}, {title: "SPEED", right: true}, {title: "RESULT", least: 12},
		}
		rows := make([][]string, 0, len(listed))
		for _, r := range listed {
			speed, result := "", "ok"
			if r.SpeedBytes > 0 {
				speed = size(uint64(r.SpeedBytes)) + "/s"
			}
			switch {
			case !r.OK:
				result = fmt.Sprintf("%s: %s", r.Code, r.Message)
			case r.Work != "" && r.Work != "ok":
				result = fmt.Sprintf("answers, but %s: %s", strings.ReplaceAll(r.Work, "_", " "), r.WorkMessage)
			case r.SpeedMessage != "":
				result = "ok, but no download: " + r.SpeedMessage
			}
			rows = append(rows, []string{
				fmt.Sprint(r.ConfigID), fit(r.ConfigName, 60), r.Protocol, net.JoinHostPort(r.Address, strconv.Itoa(int(r.Port))),
				inMillis(r.TCPMillis), inMillis(r.DelayMillis), speed, result,
			})
		}
		_ = table(w, width, head, rows) // writing to memory does not fail
		fmt.Fprintln(w)
	}
	took := time.Duration(summary.DurationMillis) * time.Millisecond
	fmt.Fprintf(w, "%d of %d work (%.1f s).\n", summary.OK, summary.OK+summary.Failed, took.Seconds())
	if len(listed) < len(results) {
		fmt.Fprintf(w, "Those that do not: %s. --sort id lists them, too.\n", countCodes(results))
	}
	if summary.Unblamed {
		fmt.Fprintln(w, "As nothing works, the network may be at fault: the failures do not count against the configs.")
	}
}

func inMillis(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d ms", n)
}

// countCodes says how often each thing went wrong, the most frequent first.
func countCodes(results []ipc.TestResultPayload) string {
	counts := make(map[string]int)
	for _, r := range results {
		if !r.OK {
			counts[r.Code]++
		}
	}
	codes := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), strings.Compare(a, b))
	})
	for i, code := range codes {
		codes[i] = fmt.Sprintf("%d %s", counts[code], fit(code, 40))
	}
	return strings.Join(codes, ", ")
}
