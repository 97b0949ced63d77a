package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

func proxyCommand(a *app) *cobra.Command {
	return group("proxy", "Automatic rotation: start, stop, status",
		proxySwitch(a, "start", "Switch automatic rotation on", (*ipc.Client).StartRotation),
		proxySwitch(a, "stop", "Switch automatic rotation off; the connection stays", (*ipc.Client).StopRotation),
		&cobra.Command{
			Use: "status", Short: "Show what automatic rotation does", Args: cobra.NoArgs,
			RunE: a.withDaemon(func(ctx context.Context, client *ipc.Client, _ []string) error {
				p, err := client.ProxyStatus(ctx)
				if err != nil {
					return fmt.Errorf("asking for the rotation's status: %w", err)
				}
				return a.print(p, func(w io.Writer) { printRotation(w, p) })
			}),
		})
}

func proxySwitch(a *app, use, short string, turn func(*ipc.Client, context.Context) (ipc.ProxySwitchPayload, string, error)) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: a.withDaemon(func(ctx context.Context, client *ipc.Client, _ []string) error {
			payload, message, err := turn(client, ctx)
			if err != nil {
				return fmt.Errorf("switching rotation: %w", err)
			}
			return a.printMessage(payload, message)
		}),
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
