package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

// editCommands are "edit", which can change everything at once, and short commands for the most
// frequent changes.
func editCommands(a *app) []*cobra.Command {
	yes, no := true, false
	commands := []*cobra.Command{editCommand(a)}
	for _, word := range []struct {
		use, short, undo string // no undo: the command only undoes another one, and is hidden
		change           ipc.ConfigChange
	}{
		{"pin", "Prefer configs to all others", "unpin", ipc.ConfigChange{Pinned: &yes}},
		{"unpin", "Prefer configs no longer", "", ipc.ConfigChange{Pinned: &no}},
		{"exclude", "Never choose configs without being asked for", "include", ipc.ConfigChange{Excluded: &yes}},
		{"include", "Choose configs again that were excluded", "", ipc.ConfigChange{Excluded: &no}},
		{"favourite", "Mark configs as favourites", "unfavourite", ipc.ConfigChange{Favourite: &yes}},
		{"unfavourite", "Take the mark from favourites", "", ipc.ConfigChange{Favourite: &no}},
	} {
		long := word.short + "."
		if word.undo != "" {
			long += fmt.Sprintf(" `xrat %s` undoes it.", word.undo)
		}
		commands = append(commands, &cobra.Command{
			Use: word.use + " REF...", Short: word.short, Long: long + "\n\n" + refHelp, Args: cobra.MinimumNArgs(1), Hidden: word.undo == "",
			RunE: a.withDaemon(func(ctx context.Context, client *ipc.Client, args []string) error {
				return edit(ctx, client, &a.printer, args, word.change)
			}),
		})
	}
	return append(commands,
		&cobra.Command{
			Use: "tag REF TAG...", Short: "Give tags to a config", Long: "Give tags to a config, for `xrat list --tag`. `xrat untag` takes them.\n\n" + refHelp, Args: cobra.MinimumNArgs(2),
			RunE: a.withDaemon(func(ctx context.Context, client *ipc.Client, args []string) error {
				return edit(ctx, client, &a.printer, args[:1], ipc.ConfigChange{AddTags: args[1:]})
			}),
		},
		&cobra.Command{
			Use: "untag REF TAG...", Short: "Take tags from a config", Long: "Take tags from a config.\n\n" + refHelp, Args: cobra.MinimumNArgs(2), Hidden: true,
			RunE: a.withDaemon(func(ctx context.Context, client *ipc.Client, args []string) error {
				return edit(ctx, client, &a.printer, args[:1], ipc.ConfigChange{RemoveTags: args[1:]})
			}),
		},
		&cobra.Command{
			Use: "rename REF NAME", Short: "Give a config another name", Args: cobra.ExactArgs(2),
			Long: "Give a config another name. It keeps that, whatever its subscription calls it.\n\n" + refHelp,
			PreRunE: func(_ *cobra.Command, args []string) error {
				if args[1] == "" {
					return &exitError{exitUsage, errors.New("the name is empty")}
				}
				return nil
			},
			RunE: a.withDaemon(func(ctx context.Context, client *ipc.Client, args []string) error {
				return edit(ctx, client, &a.printer, args[:1], ipc.ConfigChange{Name: args[1]})
			}),
		})
}

func editCommand(a *app) *cobra.Command {
	var change ipc.ConfigChange
	switches := []struct {
		on, off, help string
		value         **bool
	}{
		{"pin", "unpin", "prefer to all others", &change.Pinned},
		{"exclude", "include", "never choose without being asked for", &change.Excluded},
		{"favourite", "unfavourite", "mark as favourite", &change.Favourite},
	}
	c := &cobra.Command{
		Use: "edit REF...", Short: "Change what you decided about configs: pins, tags, names", Args: cobra.MinimumNArgs(1),
		Long: `Change what you decided about configs. A pinned one is preferred to all others, an
excluded one is never chosen without being asked for; the newer of the two counts.
For most of it there are short words: pin, exclude, favourite, tag, rename.

` + refHelp,
		PreRunE: func(c *cobra.Command, _ []string) error {
			for _, s := range switches {
				for _, name := range []string{s.on, s.off} {
					if set, _ := c.Flags().GetBool(name); set {
						on := name == s.on
						*s.value = &on
					}
				}
			}
			return nil
		},
		RunE: a.withDaemon(func(ctx context.Context, client *ipc.Client, args []string) error {
			return edit(ctx, client, &a.printer, args, change)
		}),
	}
	for _, s := range switches {
		c.Flags().Bool(s.on, false, s.help)
		c.Flags().Bool(s.off, false, "undo --"+s.on)
		c.MarkFlagsMutuallyExclusive(s.on, s.off)
	}
	c.Flags().StringSliceVar(&change.AddTags, "tag", nil, "give tags")
	c.Flags().StringSliceVar(&change.RemoveTags, "untag", nil, "take tags")
	c.Flags().StringVar(&change.Name, "name", "", "give a name, which no subscription changes")
	return c
}

// edit has the daemon change the configs, and prints them as they are then.
func edit(ctx context.Context, client *ipc.Client, p *printer, refs []string, change ipc.ConfigChange) error {
	found, err := chosenConfigs(ctx, client, refs)
	if err != nil {
		return err
	}
	configs, err := client.UpdateConfigs(ctx, ids(found), change)
	if err != nil {
		return fmt.Errorf("changing: %w", err)
	}
	return p.print(configs, func(w io.Writer) {
		for _, config := range configs {
			now := "no marks"
			if words := slices.Concat(decisions(config), config.Tags); len(words) > 0 {
				now = strings.Join(words, ", ")
			}
			fmt.Fprintf(w, "%d  %s: %s\n", config.ID, fit(config.Name, 60), fit(now, 200))
		}
	})
}
