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

func (a *app) testCommand() *cobra.Command {
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
		RunE: func(c *cobra.Command, args []string) error {
			options, err := a.testOptions(c.Context(), args, flags)
			if err != nil {
				return err
			}
			return a.test(c.Context(), options, flags)
		},
	}
	f := c.Flags()
	f.BoolVar(&flags.All, "all", false, "excluded configs, too")
	f.StringSliceVar(&flags.Tags, "tag", nil, "only configs with this tag; several: with all")
	f.IntVar(&flags.limit, "limit", 0, "only so many configs, those that a rotation would try first")
	f.BoolVar(&flags.TCPOnly, "tcp-only", false, "only connect to the servers, without a request through them")
	f.BoolVar(&flags.speed, "speed", false, "download for some seconds through each config that works, one after the other")
	f.StringVar(&flags.speedURL, "speed-url", defaultSpeedURL, "what --speed downloads, 10 MiB at most")
	f.IntVar(&flags.Concurrency, "concurrency", 0, "how many configs at a time (default 64)")
	f.DurationVar(&flags.timeout, "timeout", 0, "for one config (default health.timeout)")
	f.StringVar(&flags.sort, "sort", "", "order of the table: "+sortNames()+" (default what was measured last)")
	return c
}

// testOptions are what the command line asks for. The daemon runs then.
func (a *app) testOptions(ctx context.Context, args []string, flags testFlags) (ipc.TestOptions, error) {
	usage := func(format string, args ...any) (ipc.TestOptions, error) {
		return ipc.TestOptions{}, &exitError{exitUsage, fmt.Errorf(format, args...)}
	}
	switch {
	case len(args) > 0 && (flags.All || len(flags.Tags) > 0 || flags.limit != 0):
		return usage("--all, --tag and --limit choose configs, and so does REF: use one or the other")
	case flags.speed && flags.TCPOnly:
		return usage("--speed needs more than --tcp-only does: use one or the other")
	case flags.sort != "" && testOrders[flags.sort] == nil:
		return usage("unknown --sort %q: use %s", flags.sort, sortNames())
	case flags.limit < 0:
		return usage("--limit has to be positive")
	case flags.timeout < 0 || flags.timeout > 0 && flags.timeout < time.Millisecond:
		return usage("--timeout has to be a positive duration, such as 5s")
	}
	options := ipc.TestOptions{Limit: flags.limit, TestArguments: flags.TestArguments}
	options.TimeoutMillis = flags.timeout.Milliseconds()
	if flags.speed {
		options.SpeedURL = flags.speedURL
	}
	if len(args) == 0 {
		return options, a.ensureDaemon(ctx)
	}
	configs, err := a.chosen(ctx, args)
	options.IDs = ids(configs)
	return options, err
}

// test runs a test and prints what it finds.
func (a *app) test(ctx context.Context, options ipc.TestOptions, flags testFlags) error {
	var results []ipc.TestResultPayload
	var summary ipc.TestSummaryPayload
	bar := newTestBar(a.err)
	defer bar.close()
	lines := json.NewEncoder(a.out)
	lines.SetEscapeHTML(false)
	err := a.client.Test(ctx, options, func(e ipc.TestEventPayload) error {
		switch {
		case e.Total > 0:
			bar.begin(e.Total)
		case e.Summary != nil:
			summary = *e.Summary
		case e.Result != nil:
			bar.add(*e.Result)
			if !a.asJSON {
				results = append(results, *e.Result)
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
	if !a.asJSON {
		sortResults(results, flags)
		if err := a.print(nil, func(w io.Writer) { printTest(w, a.width(), results, summary, flags) }); err != nil {
			return err
		}
	}
	switch {
	case ctx.Err() != nil:
		return &exitError{exitInterrupted, fmt.Errorf("interrupted: %d configs were not tested", summary.Canceled)}
	case summary.Canceled > 0:
		return fmt.Errorf("the daemon ended the test: %d configs were not tested", summary.Canceled)
	case summary.OK == 0:
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
