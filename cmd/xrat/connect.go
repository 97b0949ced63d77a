package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

func connectCommand(a *app) *cobra.Command {
	var unchecked bool
	c := &cobra.Command{
		Use:   "connect [REF]",
		Short: "Connect, or move to another server without a gap",
		Long: `Connect to a config, or without REF to the one used last, or else the best one.
A server that gives no answer is not connected to, unless --no-check says so. While
connected, this moves to the other server without breaking connections.

` + refHelp,
		Args: cobra.MaximumNArgs(1),
		RunE: a.withDaemon(func(ctx context.Context, client *ipc.Client, args []string) error {
			id, err := optionalConfig(ctx, client, args)
			if err != nil {
				return err
			}
			payload, message, err := client.Connect(ctx, ipc.ConnectOptions{ConfigID: id, Unchecked: unchecked})
			if err != nil {
				return fmt.Errorf("connecting: %w", err)
			}
			return a.printMessage(payload, message)
		}),
	}
	c.Flags().BoolVar(&unchecked, "no-check", false, "connect even if the server gives no answer now")
	return c
}

func disconnectCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "disconnect", Short: "Disconnect and stay disconnected", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := a.client.Ping(c.Context()); errors.Is(err, ipc.ErrNotRunning) {
				return fmt.Errorf("disconnecting: %w (if it was killed while connected, `xrat daemon start` takes its core over, and then this works)", err)
			} else if err != nil {
				return fmt.Errorf("disconnecting: %w", err)
			}
			payload, message, err := a.client.Disconnect(c.Context())
			if err != nil {
				return fmt.Errorf("disconnecting: %w", err)
			}
			return a.printMessage(payload, message)
		},
	}
}

func rotateCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "rotate [REF]",
		Short: "Move to another server now",
		Long: `Move to another config, or without REF to the one used least recently, without
breaking connections. If it does not work, the present one stays.

` + refHelp,
		Args: cobra.MaximumNArgs(1),
		RunE: a.withDaemon(func(ctx context.Context, client *ipc.Client, args []string) error {
			id, err := optionalConfig(ctx, client, args)
			if err != nil {
				return err
			}
			payload, message, err := client.Rotate(ctx, id)
			if err != nil {
				return fmt.Errorf("rotating: %w", err)
			}
			return a.printMessage(payload, message)
		}),
	}
}
