package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

// defaultSpeedURL is what --speed downloads; the daemon takes 10 MiB at most.
const defaultSpeedURL = "https://speed.cloudflare.com/__down?bytes=10485760"

// testFlags are those of "xrat test".
type testFlags struct {
	ipc.TestArguments
	speed    bool
	speedURL string
	timeout  time.Duration
	limit    int
	sort     string
}

func testCommand(a *app) *cobra.Command {
	var flags testFlags
	c := &cobra.Command{
		Use:   "test [REF]...",
		Short: "Measure many configs, and remember which ones work",
		Long: `Measure configs: the time to connect to the server, and the time of a request
through it (of the settings' health.urls). Without REF that is every config that is
not excluded. It works while connected, too, and leaves the connection alone.

What is found out counts for the next rotation and is shown by ` + "`xrat list`" + `. Failures
count only if something worked: otherwise the network may be at fault.

With --json every result is printed as one JSON object a line, as soon as it is
there. Ctrl-C ends the test; what was measured until then is printed and kept, and
the exit code is 130. It is 1 if nothing worked.

` + refHelp,
		PreRunE: func(_ *cobra.Command, args []string) error { return flags.check(args) },
		RunE: a.withDaemon(func(ctx context.Context, client *ipc.Client, args []string) error {
			options := flags.options()
			if len(args) > 0 {
				configs, err := chosenConfigs(ctx, client, args)
				if err != nil {
					return err
				}
				options.IDs = ids(configs)
			}
			t := testRun{printer: &a.printer, flags: flags}
			return t.run(ctx, client, options, newTestBar(a.err))
		}),
	}
	f := c.Flags()
	f.BoolVar(&flags.All, "all", false, "excluded configs, too")
	f.StringSliceVar(&flags.Tags, "tag", nil, "only configs with this tag; several: with all")
	f.IntVar(&flags.limit, "limit", 0, "only so many configs, those that a rotation would try first")
	f.BoolVar(&flags.TCPOnly, "tcp-only", false, "only connect to the servers, without a request through them")
	f.BoolVar(&flags.Work, "work", false, "also download 64 KiB through each config that answers: some answer and strangle more than that")
	f.BoolVar(&flags.speed, "speed", false, "download for some seconds through each config that works, one after the other")
	f.StringVar(&flags.speedURL, "speed-url", defaultSpeedURL, "what --speed downloads, 10 MiB at most")
	f.IntVar(&flags.Concurrency, "concurrency", 0, "how many configs at a time (default 64)")
	f.DurationVar(&flags.timeout, "timeout", 0, "for one config (default health.timeout)")
	f.StringVar(&flags.sort, "sort", "", "order of the table: "+sortNames()+" (default what was measured last)")
	return c
}

// check finds what contradicts itself or makes no sense.
func (f *testFlags) check(refs []string) error {
	usage := func(format string, args ...any) error { return &exitError{exitUsage, fmt.Errorf(format, args...)} }
	switch {
	case len(refs) > 0 && (f.All || len(f.Tags) > 0 || f.limit != 0):
		return usage("--all, --tag and --limit choose configs, and so does REF: use one or the other")
	case f.speed && f.TCPOnly:
		return usage("--speed needs more than --tcp-only does: use one or the other")
	case f.Work && f.TCPOnly:
		return usage("--work needs more than --tcp-only does: use one or the other")
	case f.sort != "" && testOrders[f.sort] == nil:
		return usage("unknown --sort %q: use %s", f.sort, sortNames())
	case f.limit < 0:
		return usage("--limit has to be positive")
	case f.timeout < 0 || f.timeout > 0 && f.timeout < time.Millisecond:
		return usage("--timeout has to be a positive duration, such as 5s")
	}
	return nil
}

// options are what the daemon is asked for.
func (f *testFlags) options() ipc.TestOptions {
	options := ipc.TestOptions{Limit: f.limit, TestArguments: f.TestArguments}
	options.TimeoutMillis = f.timeout.Milliseconds()
	if f.speed {
		options.SpeedURL = f.speedURL
	}
	return options
}

// testRun is one test and what it has found.
type testRun struct {
	*printer
	flags   testFlags
	results []ipc.TestResultPayload // for the table; with --json they are printed as they come
	summary ipc.TestSummaryPayload
}

// run has the daemon test, and prints what it finds.
func (t *testRun) run(ctx context.Context, client *ipc.Client, options ipc.TestOptions, bar *testBar) error {
	defer bar.close()
	lines := json.NewEncoder(t.out)
	lines.SetEscapeHTML(false)
	err := client.Test(ctx, options, func(e ipc.TestEventPayload) error {
		switch {
		case e.Total > 0:
			bar.begin(e.Total)
		case e.Summary != nil:
			t.summary = *e.Summary
		case e.Result != nil:
			bar.add(*e.Result)
			if !t.asJSON {
				t.results = append(t.results, *e.Result)
			} else if err := lines.Encode(e.Result); err != nil {
				return fmt.Errorf("printing: %w", err)
			}
		}
		return nil
	})
	bar.close()
	if err != nil {
		if ctx.Err() != nil {
			return &exitError{exitInterrupted, errors.New("interrupted")}
		}
		return fmt.Errorf("testing: %w", err)
	}
	if !t.asJSON {
		sortResults(t.results, t.flags)
		if err := t.print(nil, func(w io.Writer) { printTest(w, t.width(), t.results, t.summary, t.flags) }); err != nil {
			return err
		}
	}
	switch {
	case ctx.Err() != nil:
		return &exitError{exitInterrupted, fmt.Errorf("interrupted: %d configs were not tested", t.summary.Canceled)}
	case t.summary.Canceled > 0:
		return fmt.Errorf("the daemon ended the test: %d configs were not tested", t.summary.Canceled)
	case t.summary.OK == 0:
		return errors.New("no config works")
	}
	return nil
}

// sortResults puts the best first.
func sortResults(results []ipc.TestResultPayload, flags testFlags) {
	order := testOrders[flags.sort]
	switch {
	case order != nil:
	case flags.speed:
		order = testOrders["speed"]
	case flags.TCPOnly:
		order = testOrders["tcp"]
	default:
		order = testOrders["delay"]
	}
	slices.SortStableFunc(results, order)
}
