package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

func (a *app) proxyCommand() *cobra.Command {
	return group("proxy", "Automatic rotation: start, stop, status",
		a.proxySwitch("start", "Switch automatic rotation on", ipc.KindProxyStart),
		a.proxySwitch("stop", "Switch automatic rotation off; the connection stays", ipc.KindProxyStop),
		&cobra.Command{
			Use: "status", Short: "Show what automatic rotation does", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				if err := a.ensureDaemon(c.Context()); err != nil {
					return err
				}
				var p ipc.ProxyStatusPayload
				if _, err := a.client.Quick(c.Context(), ipc.Request{Type: ipc.KindProxyStatus}, &p); err != nil {
					return fmt.Errorf("asking for the rotation's status: %w", err)
				}
				return a.print(p, func(w io.Writer) { printRotation(w, p) })
			},
		})
}

func (a *app) proxySwitch(use, short string, kind ipc.Kind) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := a.ensureDaemon(c.Context()); err != nil {
				return err
			}
			var p ipc.ProxySwitchPayload
			message, err := a.client.Quick(c.Context(), ipc.Request{Type: kind}, &p)
			if err != nil {
				return fmt.Errorf("switching rotation: %w", err)
			}
			return a.print(p, func(w io.Writer) { fmt.Fprintln(w, sentence(message)) })
		},
	}
}

func printRotation(w io.Writer, p ipc.ProxyStatusPayload) {
	fmt.Fprintf(w, "Automatic rotation   %s\n", onOff(p.RotationEnabled))
	fmt.Fprintf(w, "On failed checks     %s\n", onOff(p.HealthTriggerEnabled))
	timer := "off"
	if p.IntervalSecs > 0 {
		timer = "every " + (time.Duration(p.IntervalSecs) * time.Second).String()
	}
	if p.NextTimerEpochSecs != nil {
		timer += ", next at " + time.Unix(*p.NextTimerEpochSecs, 0).Format(time.TimeOnly)
	}
	fmt.Fprintf(w, "On a timer           %s\n", timer)
	cooldown := (time.Duration(p.CooldownSecs) * time.Second).String()
	if p.CooldownActive {
		cooldown += ", running now"
	}
	fmt.Fprintf(w, "Cooldown             %s\n", cooldown)
	last := "none yet"
	if p.LastTrigger != nil {
		last = fmt.Sprintf("%s: %s", *p.LastTrigger, p.LastResult)
		if p.LastCandidateConfigID != nil {
			last += fmt.Sprintf(" (config %d: %s)", *p.LastCandidateConfigID, p.LastCandidateResult)
		}
	}
	fmt.Fprintf(w, "Last rotation        %s\n", last)
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}
