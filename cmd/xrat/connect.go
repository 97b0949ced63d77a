package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

func (a *app) connectCommand() *cobra.Command {
	var unchecked bool
	c := &cobra.Command{
		Use:   "connect [REF]",
		Short: "Connect, or move to another server without a gap",
		Long: `Connect to a config, or without REF to the one used last, or else the best one.
A server that gives no answer is not connected to, unless --no-check says so. While
connected, this moves to the other server without breaking connections.

` + refHelp,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := a.configID(c.Context(), args)
			if err != nil {
				return err
			}
			var payload ipc.ConnectPayload
			message, err := a.client.Do(c.Context(), ipc.Request{Type: ipc.KindRuntimeConnect, ConfigID: id, Unchecked: unchecked}, &payload)
			if err != nil {
				return fmt.Errorf("connecting: %w", err)
			}
			return a.print(payload, func(w io.Writer) { fmt.Fprintln(w, sentence(message)) })
		},
	}
	c.Flags().BoolVar(&unchecked, "no-check", false, "connect even if the server gives no answer now")
	return c
}

func (a *app) disconnectCommand() *cobra.Command {
	return &cobra.Command{
		Use: "disconnect", Short: "Disconnect and stay disconnected", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var payload ipc.DisconnectPayload
			if _, err := a.client.Ping(c.Context()); errors.Is(err, ipc.ErrNotRunning) {
				return fmt.Errorf("disconnecting: %w (if it was killed while connected, `xrat daemon start` takes its core over, and then this works)", err)
			} else if err != nil {
				return fmt.Errorf("disconnecting: %w", err)
			}
			message, err := a.client.Do(c.Context(), ipc.Request{Type: ipc.KindRuntimeDisconnect}, &payload)
			if err != nil {
				return fmt.Errorf("disconnecting: %w", err)
			}
			return a.print(payload, func(w io.Writer) { fmt.Fprintln(w, sentence(message)) })
		},
	}
}

func (a *app) rotateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate [REF]",
		Short: "Move to another server now",
		Long: `Move to another config, or without REF to the one used least recently, without
breaking connections. If it does not work, the present one stays.

` + refHelp,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := a.configID(c.Context(), args)
			if err != nil {
				return err
			}
			var payload ipc.ReplacePayload
			message, err := a.client.Do(c.Context(), ipc.Request{Type: ipc.KindRuntimeReplace, Trigger: ipc.TriggerManual, CandidateID: id}, &payload)
			if err != nil {
				return fmt.Errorf("rotating: %w", err)
			}
			return a.print(payload, func(w io.Writer) { fmt.Fprintln(w, sentence(message)) })
		},
	}
}
