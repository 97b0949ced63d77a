package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

// editCommands are "edit", which can change everything at once, and short words for
// what is changed most.
func (a *app) editCommands() []*cobra.Command {
	yes, no := true, false
	commands := []*cobra.Command{a.editCommand()}
	for _, word := range []struct {
		use, short, undo string // a word that only undoes another has no undo, and is not in the overview
		change           ipc.Request
	}{
		{"pin", "Prefer configs to all others", "unpin", ipc.Request{Pinned: &yes}},
		{"unpin", "Prefer configs no longer", "", ipc.Request{Pinned: &no}},
		{"exclude", "Never choose configs without being asked for", "include", ipc.Request{Excluded: &yes}},
		{"include", "Choose configs again that were excluded", "", ipc.Request{Excluded: &no}},
		{"favourite", "Mark configs as favourites", "unfavourite", ipc.Request{Favourite: &yes}},
		{"unfavourite", "Take the mark from favourites", "", ipc.Request{Favourite: &no}},
	} {
		long := word.short + "."
		if word.undo != "" {
			long += fmt.Sprintf(" `xrat %s` undoes it.", word.undo)
		}
		commands = append(commands, &cobra.Command{
			Use: word.use + " REF...", Short: word.short, Long: long + "\n\n" + refHelp, Args: cobra.MinimumNArgs(1), Hidden: word.undo == "",
			RunE: func(c *cobra.Command, args []string) error { return a.edit(c, args, word.change) },
		})
	}
	return append(commands,
		&cobra.Command{
			Use: "tag REF TAG...", Short: "Give tags to a config", Long: "Give tags to a config, for `xrat list --tag`. `xrat untag` takes them.\n\n" + refHelp, Args: cobra.MinimumNArgs(2),
			RunE: func(c *cobra.Command, args []string) error {
				return a.edit(c, args[:1], ipc.Request{AddTags: args[1:]})
			},
		},
		&cobra.Command{
			Use: "untag REF TAG...", Short: "Take tags from a config", Long: "Take tags from a config.\n\n" + refHelp, Args: cobra.MinimumNArgs(2), Hidden: true,
			RunE: func(c *cobra.Command, args []string) error {
				return a.edit(c, args[:1], ipc.Request{RemoveTags: args[1:]})
			},
		},
		&cobra.Command{
			Use: "rename REF NAME", Short: "Give a config another name", Args: cobra.ExactArgs(2),
			Long: "Give a config another name. It keeps that, whatever its subscription calls it.\n\n" + refHelp,
			RunE: func(c *cobra.Command, args []string) error {
				if args[1] == "" {
					return &exitError{exitUsage, fmt.Errorf("the name is empty")}
				}
				return a.edit(c, args[:1], ipc.Request{Name: args[1]})
			},
		})
}

func (a *app) editCommand() *cobra.Command {
	var r ipc.Request
	switches := []struct {
		on, off, help string
		value         **bool
	}{
		{"pin", "unpin", "prefer to all others", &r.Pinned},
		{"exclude", "include", "never choose without being asked for", &r.Excluded},
		{"favourite", "unfavourite", "mark as favourite", &r.Favourite},
	}
	c := &cobra.Command{
		Use: "edit REF...", Short: "Change what you decided about configs: pins, tags, names", Args: cobra.MinimumNArgs(1),
		Long: `Change what you decided about configs. A pinned one is preferred to all others, an
excluded one is never chosen without being asked for; the newer of the two counts.
For most of it there are short words: pin, exclude, favourite, tag, rename.

` + refHelp,
		RunE: func(c *cobra.Command, args []string) error {
			for _, s := range switches {
				for _, name := range []string{s.on, s.off} {
					if set, _ := c.Flags().GetBool(name); set {
						on := name == s.on
						*s.value = &on
					}
				}
			}
			return a.edit(c, args, r)
		},
	}
	for _, s := range switches {
		c.Flags().Bool(s.on, false, s.help)
		c.Flags().Bool(s.off, false, "undo --"+s.on)
		c.MarkFlagsMutuallyExclusive(s.on, s.off)
	}
	c.Flags().StringSliceVar(&r.AddTags, "tag", nil, "give tags")
	c.Flags().StringSliceVar(&r.RemoveTags, "untag", nil, "take tags")
	c.Flags().StringVar(&r.Name, "name", "", "give a name, which no subscription changes")
	return c
}

// edit has the daemon change the configs.
func (a *app) edit(c *cobra.Command, refs []string, r ipc.Request) error {
	found, err := a.chosen(c.Context(), refs)
	if err != nil {
		return err
	}
	r.Type, r.IDs = ipc.KindConfigUpdate, ids(found)
	var p ipc.ConfigUpdatePayload
	if _, err := a.client.Do(c.Context(), r, &p); err != nil {
		return fmt.Errorf("changing: %w", err)
	}
	return a.print(p.Configs, func(w io.Writer) {
		for _, config := range p.Configs {
			now := "no marks"
			if words := slices.Concat(decisions(config), config.Tags); len(words) > 0 {
				now = strings.Join(words, ", ")
			}
			fmt.Fprintf(w, "%d  %s: %s\n", config.ID, fit(config.Name, 60), fit(now, 200))
		}
	})
}
