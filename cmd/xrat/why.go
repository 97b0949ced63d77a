package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

func whyCommand(a *app) *cobra.Command {
	count := 1
	var session int64
	c := &cobra.Command{
		Use: "why [SESSION]", Short: "Explain why xrat switched to another server", Args: cobra.MaximumNArgs(1),
		Long: `Explain the last rotation, or the one that began a session: what caused it, what was
measured, which servers were considered, why the new one won, how long it took and
what applications noticed. The ids of sessions are those of "xrat sessions". Below
stand the rules because of which servers are not considered now.`,
		PreRunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				id, err := strconv.ParseInt(args[0], 10, 64)
				if err != nil || id <= 0 {
					return &exitError{exitUsage, fmt.Errorf("%q is not the id of a session: see `xrat sessions`", fit(args[0], 40))}
				}
				session = id
			}
			if count < 1 || count > maxHistory {
				return &exitError{exitUsage, fmt.Errorf("--last %d: use 1 to %d", count, maxHistory)}
			}
			return nil
		},
		RunE: a.withDaemon(func(ctx context.Context, client *ipc.Client, _ []string) error {
			sessions, err := listSessions(ctx, client, maxHistory)
			if err != nil {
				return err
			}
			rotations, err := rotationsOf(sessions, session, count)
			if err != nil {
				return err
			}
			if a.asJSON {
				return a.print(rotations, nil)
			}
			configs, err := listConfigs(ctx, client, false)
			if err != nil {
				return err
			}
			return a.print(rotations, func(w io.Writer) {
				printRotations(w, rotations, time.Now())
				printKeptAway(w, configs)
			})
		}),
	}
	c.Flags().IntVarP(&count, "last", "n", count, "how many rotations to explain, the newest first")
	return c
}

// rotationsOf returns the reports of the newest count rotations, or of the one that a session began
// with.
func rotationsOf(sessions []ipc.SessionRecordPayload, session int64, count int) ([]*ipc.RotationPayload, error) {
	rotations := []*ipc.RotationPayload{}
	for _, s := range sessions {
		switch {
		case session != 0 && s.ID != session:
		case s.Rotation != nil:
			rotations = append(rotations, s.Rotation)
		case session != 0:
			return nil, &exitError{exitNotFound, fmt.Errorf("session %d (%s) did not begin with a rotation, but because of %s",
				s.ID, fit(s.ConfigName, 40), strings.ReplaceAll(fit(s.ReasonCode, 40), "_", " "))}
		}
		if len(rotations) == count {
			break
		}
	}
	if session != 0 && len(rotations) == 0 {
		return nil, &exitError{exitNotFound, fmt.Errorf("there is no session %d: see `xrat sessions`", session)}
	}
	return rotations, nil
}

func printRotations(w io.Writer, rotations []*ipc.RotationPayload, now time.Time) {
	if len(rotations) == 0 {
		fmt.Fprintln(w, "xrat has not switched servers yet.")
	}
	for i, r := range rotations {
		if i > 0 {
			fmt.Fprintln(w)
		}
		explain(w, r, now)
	}
}

// printKeptAway says how many configs each rule keeps from being considered, those that keep most
// away first.
func printKeptAway(w io.Writer, configs []ipc.ConfigPayload) {
	count, total := map[string]int{}, 0
	for _, c := range configs {
		if c.KeptAway != "" {
			count[c.KeptAway]++
			total++
		}
	}
	if total == 0 {
		return
	}
	rules := slices.SortedFunc(maps.Keys(count), func(a, b string) int { return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b)) })
	fmt.Fprintf(w, "\nRules keep %d of %d configs from being considered (see `xrat list --kept-away`):\n", total, len(configs))
	const most = 10
	for _, rule := range rules[:min(len(rules), most)] {
		fmt.Fprintf(w, "  %5d  %s\n", count[rule], fit(rule, 100))
	}
	if more := len(rules) - most; more > 0 {
		fmt.Fprintf(w, "  … and %d more rules\n", more)
	}
}

func explain(w io.Writer, r *ipc.RotationPayload, now time.Time) {
	fmt.Fprintf(w, "Switched from %s to %s, %s ago (%s)\n", fit(r.FromConfigName, 60), fit(r.ToConfigName, 60),
		ago(now.Sub(r.At)), r.At.Local().Format(time.DateTime))
	fmt.Fprintf(w, "  %-10s %s (%s)\n", "Because", fit(r.Reason, 300), strings.ReplaceAll(string(r.Trigger), "_", " "))
	took := fmt.Sprintf("%d ms to switch", r.DurationMillis)
	if r.DetectMillis > 0 {
		took = fmt.Sprintf("%d ms to be sure, %s", r.DetectMillis, took)
	}
	fmt.Fprintf(w, "  %-10s %s\n", "Took", took)
	fmt.Fprintf(w, "  %-10s %s\n", "Noticed", noticed(r))
	if r.Winner != "" {
		fmt.Fprintf(w, "  %-10s %s\n", "Winner", fit(r.Winner, 300))
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(r.Checks) > 0 {
		fmt.Fprintln(w, "  What was measured:")
		for _, c := range r.Checks {
			said := c.Message
			if c.OK {
				said = "answered"
			}
			fmt.Fprintf(table, "    %s\t%s\t%s\t%d ms\t%s\n", c.At.Local().Format("15:04:05.000"), fit(c.ConfigName, 30),
				fit(c.Code, 20), c.LatencyMillis, fit(said, 100))
		}
		table.Flush()
	}
	if len(r.Considered) > 0 {
		fmt.Fprintln(w, "  Who was considered:")
		for _, c := range r.Considered {
			fmt.Fprintf(table, "    %s\t%s\t%s\t%s\n", fit(c.ConfigName, 30), strings.ReplaceAll(fit(c.Result, 30), "_", " "), fit(c.Why, 80), fit(c.Message, 100))
		}
		table.Flush()
		if more := r.Candidates - len(r.Considered); more > 0 {
			fmt.Fprintf(w, "    and %d more\n", more)
		}
	}
}

// noticed says what applications noticed.
func noticed(r *ipc.RotationPayload) string {
	var parts []string
	add := func(n uint64, one, many string) {
		switch {
		case n == 1:
			parts = append(parts, "1 "+one)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %s", n, many))
		}
	}
	add(r.Waited, "connection waited", "connections waited")
	add(r.Rescued, "connection was answered through another server", "connections were answered through another server")
	add(r.Replayed-min(r.Replayed, r.Rescued), "connection was tried through another server in vain", "connections were tried through another server in vain")
	add(uint64(max(r.Cut, 0)), "connection hung on the dead server and was reset", "connections hung on the dead server and were reset")
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}
