package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/runtime/subscription"
)

// options reads flags as "set" does.
func options(t *testing.T, args ...string) (ipc.SubscriptionOptions, error) {
	t.Helper()
	var f optionFlags
	var o ipc.SubscriptionOptions
	c := &cobra.Command{Use: "set", SilenceUsage: true, SilenceErrors: true, RunE: func(c *cobra.Command, _ []string) (err error) {
		o, err = f.read(c)
		return err
	}}
	f.addTo(c)
	c.SetArgs(args)
	return o, c.ExecuteContext(t.Context())
}

// A flag that is not given changes nothing, and an empty one takes away what was set.
func TestOptionFlags(t *testing.T) {
	o, err := options(t)
	if a := o.SubscriptionArguments; err != nil || o.Private != nil || a.UserAgent != nil || a.Headers != nil || a.HWID != nil || a.CA != nil || a.Pin != nil || a.Only != nil || a.Never != nil {
		t.Errorf("%+v, %v", o, err)
	}
	o, err = options(t, "--user-agent=", "--header=", "--hwid=false", "--pin=", "--only=", "--never=", "--private=false")
	if a := o.SubscriptionArguments; err != nil || *o.Private || *a.UserAgent != "" || a.Headers == nil || *a.HWID || *a.Pin != "" || a.Only == nil || a.Never == nil ||
		len(a.Headers)+len(a.Only)+len(a.Never) != 0 {
		t.Errorf("%+v, %v", o, err)
	}
	o, err = options(t, "--user-agent=clash", "--header=A=1", "--header", "B: x, y", "--hwid", "--pin=p", "--only=name:/a,b/", "--only=country:DE", "--never=tag:x")
	if a := o.SubscriptionArguments; err != nil || *a.UserAgent != "clash" || !slices.Equal(a.Headers, []string{"A=1", "B: x, y"}) || !*a.HWID || *a.Pin != "p" ||
		!slices.Equal(a.Only, []string{"name:/a,b/", "country:DE"}) || !slices.Equal(a.Never, []string{"tag:x"}) {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err = options(t, "--interval=5m"); exitCode(err) != exitUsage {
		t.Errorf("%v", err)
	}
	if _, err = options(t, "--ca=x", "--pin=y"); err == nil {
		t.Error("a certificate and a pin")
	}
}

// Headers and certificates come from files, where others do not see them.
func TestOptionsFromFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	o, err := options(t, "--header=@"+file("headers", "A: 1\r\n\n B=2 \n"), "--header=C=3", "--ca=")
	if err != nil || !slices.Equal(o.Headers, []string{"A: 1", "B=2", "C=3"}) || *o.CA != "" {
		t.Errorf("%+v, %v", o, err)
	}
	for _, args := range [][]string{
		{"--header=@" + filepath.Join(dir, "none")}, {"--ca=" + filepath.Join(dir, "none")}, {"--ca=" + file("ca", "no certificate")},
	} {
		if _, err := options(t, args...); exitCode(err) != exitUsage {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// The help names every client, in lines that fit a terminal.
func TestOptionsHelp(t *testing.T) {
	help := optionsHelp()
	for _, name := range subscription.Clients() {
		if !strings.Contains(help, name) {
			t.Errorf("the help does not name %s", name)
		}
	}
	for line := range strings.Lines(help) {
		if len(line) > 88 {
			t.Errorf("too long: %s", line)
		}
	}
}
