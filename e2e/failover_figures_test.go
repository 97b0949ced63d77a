//go:build linux

package e2e

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// figures are what a trial measured. Times are in seconds; NaN: does not apply; infinite: not
// within the trial.
type figures struct {
	sent    int
	failed  int // requests without any answer, POSTs aside
	cut     int // requests whose answer had begun and did not end
	posts   int
	lost    int // POSTs that failed
	doubled int // POSTs that the origin has had more than once
	broken  int // streams that ended before their end
	hanging int // streams that were silent for longer than hangs at the end

	gap       float64 // the longest time between two completed requests
	noticed   float64 // from the fault until another core or server serves
	reset     float64 // from the fault until the last of the silent streams has ended
	back      float64 // from the end of an outage to the first completed request
	rotations int
	wrong     int
	replayed  int // requests sent again, by the strategy's own count or as they arrived
	slow      int // replays of requests to the slow site
	p99       float64
	p99swap   float64

	calm    float64 // the longest time between two completed requests before the fault
	slowest float64 // the longest that a request took

	errors []string // what failed, how often and since when
}

// figures sums up; nothing runs any more but the strategy.
func (t *trial) figures(s scenario) figures {
	f := figures{gap: math.NaN(), noticed: math.NaN(), reset: math.NaN(), back: math.NaN(), p99: math.NaN(), p99swap: math.NaN()}
	kinds := complaints{}
	origin := t.box.lab.Origin()
	var calm, swap []time.Duration
	var done []time.Time
	gets := 0
	for _, r := range t.traffic.requests {
		f.sent++
		if r.post != "" {
			f.posts++
			if origin.Requests("POST", "/echo/"+r.post) > 1 {
				f.doubled++
			}
		} else {
			gets++
		}
		if r.err != nil {
			kinds.add(t.span(r.began, r.ended), "%v", r)
		}
		switch {
		case r.err == nil:
			f.slowest = max(f.slowest, r.ended.Sub(r.began).Seconds())
			done = append(done, r.ended)
			if slices.ContainsFunc(t.swaps, func(s span) bool { return s.has(r.began) }) {
				swap = append(swap, r.ended.Sub(r.began))
			} else {
				calm = append(calm, r.ended.Sub(r.began))
			}
		case r.post != "":
			f.lost++
		case r.cut:
			f.cut++
		default:
			f.failed++
		}
	}
	for _, err := range t.failed {
		f.failed++
		kinds.add(t.span(t.began, t.ended), "visit to the slow site: %v", err)
	}
	f.slow = int(origin.Requests("GET", "/slow")) - t.slow
	f.replayed = max(t.strategy.replayed(), int(origin.Requests("GET", "/exit"))-gets)

	slices.SortFunc(done, time.Time.Compare)
	if f.sent > 0 {
		f.gap = math.Inf(1)
	}
	if len(done) > 0 {
		f.calm = longestGap(done, done[0], t.began)
		f.gap = longestGap(done, t.began, t.ended)
		slices.Sort(calm)
		f.p99 = quantile(calm, 0.99).Seconds()
	}
	if len(swap) > 0 {
		slices.Sort(swap)
		f.p99swap = quantile(swap, 0.99).Seconds()
	}
	if !t.mended.IsZero() {
		f.back = math.Inf(1)
		if i, _ := slices.BinarySearchFunc(done, t.mended, time.Time.Compare); i < len(done) {
			f.back = done[i].Sub(t.mended).Seconds()
		}
	}

	f.streams(t, kinds)
	history := t.strategy.history()
	for i := 1; i < len(history); i++ {
		if history[i].server != history[i-1].server {
			f.rotations++
		}
	}
	f.wrong = max(0, f.rotations-s.needed)
	if !t.noticed.IsZero() {
		f.noticed = t.noticed.Sub(t.began).Seconds()
	} else if t.waited {
		f.noticed = math.Inf(1)
	}
	f.errors = kinds.list()
	return f
}

// streams counts those that had data: one that never opened is a request.
func (f *figures) streams(t *trial, kinds complaints) {
	for _, s := range t.traffic.followed {
		if s.heard.Load() == 0 {
			continue
		}
		last := time.Unix(0, s.heard.Load())
		switch {
		case s.err != nil:
			f.broken++
			kinds.add(t.span(s.began, s.ended), "stream by %s: %v", s.opened, s.err)
			// Silent since the fault, and an end that the application could see.
			if !t.silence.IsZero() && s.began.Before(t.began) && last.Before(t.silence) {
				f.reset = max(s.ended.Sub(t.began).Seconds(), orZero(f.reset))
			}
		case s.open() && t.ended.Sub(last) > hangs:
			f.hanging++
			f.reset = math.Inf(1)
		}
	}
}

// during is when something began and ended, after the fault; negative: before it.
type during struct{ began, ended time.Duration }

func (t *trial) span(began, ended time.Time) during {
	return during{began.Sub(t.began).Round(time.Millisecond), ended.Sub(t.began).Round(time.Millisecond)}
}

// complaints are what went wrong, the same things together: how often, and when the first of them.
type complaints map[string]*struct {
	times int
	first during
}

// somePort stands in addresses of errors.
var somePort = regexp.MustCompile(`127\.0\.0\.1:\d+`)

func (c complaints) add(when during, format string, args ...any) {
	text := somePort.ReplaceAllString(fmt.Sprintf(format, args...), "127.0.0.1")
	if c[text] == nil {
		c[text] = &struct {
			times int
			first during
		}{first: when}
	}
	c[text].times++
	if when.ended < c[text].first.ended {
		c[text].first = when
	}
}

func (c complaints) list() []string {
	var all []string
	for text, seen := range c {
		all = append(all, fmt.Sprintf("%d x %s (the first from %v to %v after the fault)", seen.times, text, seen.first.began, seen.first.ended))
	}
	slices.Sort(all)
	return all
}

func orZero(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return x
}

// longestGap looks at the completions from the last one before from until to. The time from the
// last one to to counts, too.
func longestGap(done []time.Time, from, to time.Time) float64 {
	i, _ := slices.BinarySearchFunc(done, from, time.Time.Compare)
	last := from
	if i > 0 {
		last = done[i-1]
	}
	var gap time.Duration
	for ; i < len(done) && done[i].Before(to); i++ {
		gap = max(gap, done[i].Sub(last))
		last = done[i]
	}
	return max(gap, to.Sub(last)).Seconds()
}

// medians takes each figure's median over the trials.
func medians(trials []figures) figures {
	number := func(get func(figures) int) int {
		var all []int
		for _, f := range trials {
			all = append(all, get(f))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	seconds := func(get func(figures) float64) float64 {
		var all []float64
		for _, f := range trials {
			if x := get(f); !math.IsNaN(x) {
				all = append(all, x)
			}
		}
		if len(all) == 0 {
			return math.NaN()
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return figures{
		sent:      number(func(f figures) int { return f.sent }),
		failed:    number(func(f figures) int { return f.failed }),
		cut:       number(func(f figures) int { return f.cut }),
		posts:     number(func(f figures) int { return f.posts }),
		lost:      number(func(f figures) int { return f.lost }),
		doubled:   number(func(f figures) int { return f.doubled }),
		broken:    number(func(f figures) int { return f.broken }),
		hanging:   number(func(f figures) int { return f.hanging }),
		gap:       seconds(func(f figures) float64 { return f.gap }),
		noticed:   seconds(func(f figures) float64 { return f.noticed }),
		reset:     seconds(func(f figures) float64 { return f.reset }),
		back:      seconds(func(f figures) float64 { return f.back }),
		rotations: number(func(f figures) int { return f.rotations }),
		wrong:     number(func(f figures) int { return f.wrong }),
		replayed:  number(func(f figures) int { return f.replayed }),
		slow:      number(func(f figures) int { return f.slow }),
		p99:       seconds(func(f figures) float64 { return f.p99 }),
		p99swap:   seconds(func(f figures) float64 { return f.p99swap }),
	}
}

// metrics are the figures by their units in the benchmark's output.
func (f figures) metrics() []metric {
	return []metric{
		{"failed", float64(f.failed), false},
		{"cut", float64(f.cut), false},
		{"failed-POSTs", float64(f.lost), false},
		{"doubled-POSTs", float64(f.doubled), false},
		{"broken-streams", float64(f.broken), false},
		{"hanging-streams", float64(f.hanging), false},
		{"s-gap", f.gap, true},
		{"s-noticed", f.noticed, true},
		{"s-reset", f.reset, true},
		{"s-back", f.back, true},
		{"rotations", float64(f.rotations), false},
		{"wrong-rotations", float64(f.wrong), false},
		{"replays", float64(f.replayed), false},
		{"slow-replays", float64(f.slow), false},
		{"s-p99", f.p99, true},
		{"s-p99-swap", f.p99swap, true},
	}
}

type metric struct {
	unit  string
	value float64
	time  bool
}

func (m metric) String() string {
	if m.time {
		return duration(m.value)
	}
	return fmt.Sprintf("%.0f", m.value)
}

// duration prints seconds.
func duration(seconds float64) string {
	switch {
	case math.IsNaN(seconds):
		return ""
	case math.IsInf(seconds, 0):
		return "never"
	case seconds < 1:
		return fmt.Sprintf("%.0f ms", 1000*seconds)
	default:
		return fmt.Sprintf("%.1f s", seconds)
	}
}

func (f figures) String() string {
	text := fmt.Sprintf("%d sent, %d of them POSTs", f.sent, f.posts)
	for _, c := range f.metrics() {
		if s := c.String(); s != "" {
			text += fmt.Sprintf("; %s %s", s, c.unit)
		}
	}
	return text
}

// report hands the medians to the benchmark.
func (f figures) report(b *testing.B) {
	for _, c := range f.metrics() {
		if !math.IsNaN(c.value) {
			b.ReportMetric(c.value, c.unit)
		}
	}
	b.ReportMetric(0, "ns/op") // says nothing here
}

// row is one line of the table in docs/benchmarks.md.
type row struct {
	scenario int // its index
	strategy string
	figures  figures
}

// writeTable writes Markdown, the strategies of a scenario one below the other.
func writeTable(path string, rows []row) error {
	var text strings.Builder
	text.WriteString("| | | failed requests | cut off | POSTs failed, twice | streams broken, hanging | longest gap | another serves after | silent streams end after | rotations | replays | p99 |\n")
	text.WriteString("|" + strings.Repeat(" --- |", 12) + "\n")
	slices.SortStableFunc(rows, func(a, b row) int { return a.scenario - b.scenario })
	for _, r := range rows {
		f := r.figures
		rotations := fmt.Sprint(f.rotations)
		if f.wrong > 0 {
			rotations += fmt.Sprintf(" (%d wrong)", f.wrong)
		}
		serves := duration(f.noticed)
		if !math.IsNaN(f.back) {
			serves = duration(f.back) + " after the end"
		}
		p99 := duration(f.p99)
		if !math.IsNaN(f.p99swap) {
			p99 += ", in rotations " + duration(f.p99swap)
		}
		cells := []string{
			scenarios[r.scenario].title, r.strategy, fmt.Sprintf("%d of %d", f.failed, f.sent), fmt.Sprint(f.cut),
			fmt.Sprintf("%d, %d", f.lost, f.doubled), fmt.Sprintf("%d, %d", f.broken, f.hanging),
			duration(f.gap), serves, duration(f.reset), rotations, fmt.Sprint(f.replayed + f.slow), p99,
		}
		fmt.Fprintf(&text, "| %s |\n", strings.Join(cells, " | "))
	}
	return os.WriteFile(path, []byte(text.String()), 0o644)
}

func TestFailoverFigures(t *testing.T) {
	zero := time.Now()
	at := func(ms ...int) (all []time.Time) {
		for _, m := range ms {
			all = append(all, zero.Add(time.Duration(m)*time.Millisecond))
		}
		return all
	}
	for _, test := range []struct {
		name string
		done []time.Time
		want float64
	}{
		{"in between", at(0, 10, 100, 140), 0.090},
		{"begins before the fault", at(-50, -30, 20, 100, 150), 0.080},
		{"spans the fault", at(-500, -200, 10, 100, 150), 0.210},
		{"goes on at the end", at(0, 50, 60), 0.100},
		{"all before", at(-40), 0.200},
		{"what came after the end does not count", at(0, 100, 400), 0.100},
	} {
		if got := longestGap(test.done, zero, zero.Add(160*time.Millisecond)); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	never, none := math.Inf(1), math.NaN()
	got := medians([]figures{
		{failed: 3, gap: 1, reset: never, back: none},
		{failed: 0, gap: 2, reset: 2, back: none},
		{failed: 1, gap: 9, reset: never, back: none},
	})
	if got.failed != 1 || got.gap != 2 || got.reset != never || !math.IsNaN(got.back) {
		t.Errorf("medians %v", got)
	}
}
