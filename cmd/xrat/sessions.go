package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

// maxHistory is how many sessions are kept, and can be asked for.
const maxHistory = 1000

func sessionsCommand(a *app) *cobra.Command {
	limit := 20
	c := &cobra.Command{
		Use: "sessions", Short: "Show past and present sessions, the newest first", Args: cobra.NoArgs,
		PreRunE: func(*cobra.Command, []string) error {
			if limit < 1 || limit > maxHistory {
				return &exitError{exitUsage, fmt.Errorf("--limit %d: use 1 to %d", limit, maxHistory)}
			}
			return nil
		},
		RunE: a.withDaemon(func(ctx context.Context, client *ipc.Client, _ []string) error {
			sessions, err := listSessions(ctx, client, limit)
			if err != nil {
				return err
			}
			return a.print(sessions, func(w io.Writer) { printSessions(w, sessions, time.Now()) })
		}),
	}
	c.Flags().IntVarP(&limit, "limit", "n", limit, "how many to show")
	return c
}

func listSessions(ctx context.Context, client *ipc.Client, limit int) ([]ipc.SessionRecordPayload, error) {
	sessions, err := client.Sessions(ctx, limit)
	if err != nil {
		return nil, fmt.Errorf("listing the sessions: %w", err)
	}
	return sessions, nil
}

func printSessions(w io.Writer, sessions []ipc.SessionRecordPayload, now time.Time) {
	if len(sessions) == 0 {
		fmt.Fprintln(w, "There were no sessions yet.")
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tCONFIG\tSTATUS\tSTARTED\tLASTED\tTRIGGER\tBEGAN\tENDED\tUP\tDOWN")
	for _, s := range sessions {
		end := now
		if s.EndedAt != nil {
			end = *s.EndedAt
		}
		ended := s.EndCode
		if ended == "" {
			ended = "-"
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.ID, fit(s.ConfigName, 30), s.Status,
			s.StartedAt.Local().Format(time.DateTime), ago(end.Sub(s.StartedAt)), s.Trigger, s.ReasonCode, ended, size(s.UpBytes), size(s.DownBytes))
	}
	table.Flush()
}
