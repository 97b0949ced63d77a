package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

func (a *app) sessionsCommand() *cobra.Command {
	limit := 20
	c := &cobra.Command{
		Use: "sessions", Short: "Show past and present sessions, the newest first", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if limit < 1 || limit > 1000 {
				return &exitError{exitUsage, fmt.Errorf("--limit %d: use 1 to 1000", limit)}
			}
			if err := a.ensureDaemon(c.Context()); err != nil {
				return err
			}
			var p ipc.SessionListPayload
			if _, err := a.client.Do(c.Context(), ipc.Request{Type: ipc.KindSessionList, Limit: limit}, &p); err != nil {
				return fmt.Errorf("listing the sessions: %w", err)
			}
			return a.print(p.Sessions, func(w io.Writer) { printSessions(w, p.Sessions, time.Now()) })
		},
	}
	c.Flags().IntVarP(&limit, "limit", "n", limit, "how many to show")
	return c
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
