package store

import (
	"context"
	"os"
	"strings"
	"testing"
)

// residentKB reads the resident memory of this process.
func residentKB(b *testing.B) float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0 // not Linux
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			var kb float64
			for _, c := range rest {
				if c >= '0' && c <= '9' {
					kb = kb*10 + float64(c-'0')
				}
			}
			return kb
		}
	}
	return 0
}

func BenchmarkImport10000(b *testing.B) {
	configs := testConfigs(0, 10_000)
	for b.Loop() {
		b.StopTimer()
		s := mustOpen(b, b.TempDir(), quiet())
		b.StartTimer()
		if added, _, err := addConfigs(context.Background(), s, configs); err != nil || len(added) != len(configs) {
			b.Fatal(len(added), err)
		}
		b.StopTimer()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func bench10000(b *testing.B) (*Store, string) {
	dir := b.TempDir()
	s := mustOpen(b, dir, quiet())
	if _, _, err := addConfigs(context.Background(), s, testConfigs(0, 10_000)); err != nil {
		b.Fatal(err)
	}
	return s, dir
}

func BenchmarkConfigs10000(b *testing.B) {
	s, _ := bench10000(b)
	for b.Loop() {
		if configs, err := s.Configs(context.Background()); err != nil || len(configs) != 10_000 {
			b.Fatal(len(configs), err)
		}
	}
}

func BenchmarkOpen10000(b *testing.B) {
	s, dir := bench10000(b)
	s.Close()
	for b.Loop() {
		s, err := Open(context.Background(), dir, quiet())
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		s.Close()
		b.StartTimer()
	}
}

func BenchmarkUpdateSession(b *testing.B) {
	s := mustOpen(b, b.TempDir(), quiet())
	session, err := s.CreateSession(context.Background(), Session{Status: StatusRunning})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.UpdateSession(context.Background(), session.ID, func(s *Session) { s.UpBytes++ }); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkIdleCycle is one opening on demand, one change and the closing.
func BenchmarkIdleCycle(b *testing.B) {
	s, _ := bench10000(b)
	ctx := context.Background()
	for b.Loop() {
		if err := s.SetDesired(ctx, Desired{Connected: true}); err != nil {
			b.Fatal(err)
		}
		if err := s.closeIdle(ctx); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(residentKB(b), "rss-KB")
}

// BenchmarkResident measures the memory while the database is open and after it has been closed.
func BenchmarkResident(b *testing.B) {
	s, _ := bench10000(b)
	open := residentKB(b)
	if err := s.closeIdle(context.Background()); err != nil {
		b.Fatal(err)
	}
	closed := residentKB(b)
	for b.Loop() {
	}
	b.ReportMetric(open, "open-KB")
	b.ReportMetric(closed, "closed-KB")
}
