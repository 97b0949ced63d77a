package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

func statusCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show the connection, its addresses and its health", Args: cobra.NoArgs,
		Long: `Show the state, the session, the addresses for applications, rotation and traffic.
The state is one of disconnected, connecting, connected, degraded (the last check
failed), rotating and failed (no server works; it is being retried). While it is
degraded, the condition says if the machine is offline, or that no other config works.

Without a daemon the state is disconnected and the exit code 3.`,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.client.Status(c.Context())
			if errors.Is(err, ipc.ErrNotRunning) && a.asJSON {
				// Scripts get the same document in every case.
				p = ipc.StatusPayload{State: ipc.StateDisconnected, Message: err.Error(), Inbounds: []ipc.EndpointPayload{}, Warnings: []string{}}
				p.Rotation.LastResult, p.Rotation.LastCandidateResult = "none", "none"
				if err := a.print(p, nil); err != nil {
					return err
				}
			}
			if err != nil {
				return fmt.Errorf("asking for the status: %w", err)
			}
			return a.print(p, func(w io.Writer) { printStatus(w, p, time.Now()) })
		},
	}
}

func printStatus(w io.Writer, p ipc.StatusPayload, now time.Time) {
	head := sentence(string(p.State))
	if p.Condition == ipc.ConditionOffline {
		head = "Offline."
	}
	if p.Session != nil {
		head = fmt.Sprintf("%s · %s", strings.TrimSuffix(head, "."), fit(p.Session.ConfigName, 60))
		if p.Session.LatencyMillis > 0 {
			head += fmt.Sprintf(" · %d ms", p.Session.LatencyMillis)
		}
	}
	fmt.Fprintln(w, head)
	if p.Message != "" {
		fmt.Fprintln(w, "  "+fit(sentence(p.Message), 300))
	}
	for _, warning := range p.Warnings {
		fmt.Fprintln(w, "  Warning: "+fit(warning, 500))
	}
	for _, in := range p.Inbounds {
		detail := ""
		if in.Detail != "" {
			detail = " (" + fit(in.Detail, 100) + ")"
		}
		fmt.Fprintf(w, "  %-9s %s · %s%s\n", strings.ToUpper(in.Protocol), in.Address, strings.ReplaceAll(in.State, "_", " "), detail)
	}
	if s := p.Session; s != nil {
		fmt.Fprintf(w, "  %-9s %d, since %s (%s), core %d\n", "Session", s.ID, ago(now.Sub(s.StartedAt)), s.Trigger, s.PID)
		fmt.Fprintf(w, "  %-9s %s up, %s down, %d connections\n", "Traffic", size(p.Traffic.UpBytes), size(p.Traffic.DownBytes), p.Traffic.Connections)
		if t := p.Traffic; t.Replayed > 0 {
			fmt.Fprintf(w, "  %-9s %d connections tried through another server, %d of them answered there\n", "Rescue", t.Replayed, t.Rescued)
		}
	}
	if s := p.Standby; s != nil {
		fmt.Fprintf(w, "  %-9s %s · %d ms, checked %s ago\n", "Standby", fit(s.ConfigName, 60), s.LatencyMillis, ago(now.Sub(s.CheckedAt)))
	}
	fmt.Fprintf(w, "  %-9s %s\n", "Rotation", onOff(p.Rotation.RotationEnabled))
	if r := p.LastRotation; r != nil {
		fmt.Fprintf(w, "  %-9s from %s to %s, %s ago (%s: %s)\n", "Switched",
			fit(r.FromConfigName, 40), fit(r.ToConfigName, 40), ago(now.Sub(r.At)), r.Trigger, fit(r.Reason, 200))
		fmt.Fprintf(w, "  %-9s `xrat why` tells more\n", "")
	}
	if p.Daemon != nil {
		fmt.Fprintf(w, "  %-9s %d, up %s, version %s\n", "Daemon", p.Daemon.PID, ago(time.Duration(p.Daemon.UptimeSecs)*time.Second), p.Daemon.Version)
	}
}
