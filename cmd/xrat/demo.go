package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/runtime/lab"
	"github.com/xrat-tray/xrat/runtime/xray"
)

func demoCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Show all of it in half a minute, with servers on this machine",
		Long: `Start three proxy servers and a web site on this machine, a daemon of its own in
temporary directories, and traffic through it; rotate by hand, kill the server in
use, and show what became of the traffic. Nothing of yours is touched. Ends with 0
only if all that is promised has happened.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runDemo(c.Context(), a.out) },
	}
}

// demoTime bounds the whole demonstration.
const demoTime = 2 * time.Minute

// demo is everything a user has, in a temporary directory.
type demo struct {
	out     io.Writer
	began   time.Time
	dir     string
	env     []string
	program string
	client  *ipc.Client
	lab     *lab.Lab
	servers map[string]*lab.Server
}

func runDemo(ctx context.Context, out io.Writer) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, demoTime, fmt.Errorf("the demonstration took longer than %s", demoTime))
	defer cancel()
	core, err := xray.Locate("")
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program's file: %w", err)
	}
	dir, err := os.MkdirTemp("", "xrat-demo-")
	if err != nil {
		return fmt.Errorf("making a directory for the demonstration: %w", err)
	}
	d := &demo{out: out, began: time.Now(), dir: dir, program: program, servers: map[string]*lab.Server{}}
	defer func() {
		if cerr := d.cleanUp(); err == nil {
			err = cerr
		}
	}()
	if err := d.prepare(ctx, core); err != nil {
		return err
	}
	return d.play(ctx)
}

// say prints one line of the timeline.
func (d *demo) say(format string, args ...any) {
	fmt.Fprintf(d.out, "%6.2f s  %s\n", time.Since(d.began).Seconds(), fmt.Sprintf(format, args...))
}

// prepare starts the lab and writes the settings.
func (d *demo) prepare(ctx context.Context, core string) error {
	var err error
	d.lab, err = lab.New(ctx, lab.Options{Core: core, Dir: filepath.Join(d.dir, "lab"), Log: zerolog.Nop()})
	if err != nil {
		return fmt.Errorf("starting the lab: %w", err)
	}
	var addresses [2]string
	for i := range addresses {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("finding a free port: %w", err)
		}
		defer l.Close() // both at once, so that they differ
		addresses[i] = l.Addr().String()
	}
	for _, name := range []string{"home", "config/xrat", "data", "state", "run"} {
		if err := os.MkdirAll(filepath.Join(d.dir, name), 0o700); err != nil {
			return fmt.Errorf("preparing the directories: %w", err)
		}
	}
	settings := fmt.Sprintf("[core]\npath = %q\n[front]\nsocks = %q\nhttp = %q\n[health]\ninterval = \"1s\"\ntimeout = \"1s\"\nurls = [%q]\n",
		core, addresses[0], addresses[1], d.lab.Origin().URL("/generate_204"))
	if err := os.WriteFile(filepath.Join(d.dir, "config/xrat/settings.toml"), []byte(settings), 0o600); err != nil {
		return fmt.Errorf("writing the settings: %w", err)
	}
	d.client = &ipc.Client{Socket: filepath.Join(d.dir, "run/xrat/xrat.sock")}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "XDG_") && !strings.HasPrefix(v, "HOME=") {
			d.env = append(d.env, v)
		}
	}
	for name, dir := range map[string]string{"HOME": "home", "XDG_CONFIG_HOME": "config", "XDG_DATA_HOME": "data", "XDG_STATE_HOME": "state", "XDG_RUNTIME_DIR": "run"} {
		d.env = append(d.env, name+"="+filepath.Join(d.dir, dir))
	}
	return nil
}

// cleanUp stops everything and removes the directory.
func (d *demo) cleanUp() error {
	var errs []error
	if d.client != nil {
		// Not with the demonstration's context, which may have ended.
		if _, err := d.command(context.Background(), "", "daemon", "stop"); err != nil {
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != exitNotRunning {
				errs = append(errs, err)
			}
		}
	}
	if d.lab != nil {
		errs = append(errs, d.lab.Close())
	}
	errs = append(errs, os.RemoveAll(d.dir))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("cleaning up: %w", err)
	}
	return nil
}

// command runs this program as a user would.
func (d *demo) command(ctx context.Context, input string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, d.program, args...)
	cmd.Env = d.env
	cmd.Stdin = strings.NewReader(input)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("xrat %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(said.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// user runs a command, and shows it and the last line that it printed.
func (d *demo) user(ctx context.Context, input string, args ...string) error {
	out, err := d.command(ctx, input, args...)
	if err != nil {
		return err
	}
	d.say("$ xrat %s", strings.Join(args, " "))
	d.say("  %s", out[strings.LastIndexByte(out, '\n')+1:])
	return nil
}

// play is the demonstration. It returns an error as soon as a promise is broken.
func (d *demo) play(ctx context.Context) error {
	var links []string
	for _, name := range []string{"tokyo", "paris", "lima"} {
		server, err := d.lab.AddServer(name, map[string]lab.Kind{"tokyo": lab.VLESSReality, "paris": lab.Trojan, "lima": lab.VLESSWS}[name])
		if err != nil {
			return fmt.Errorf("starting the server %s: %w", name, err)
		}
		d.servers[name] = server
		links = append(links, server.Link())
	}
	d.say("three servers run on this machine: tokyo (VLESS, REALITY), paris (Trojan, TLS), lima (VLESS, WebSocket)")
	if err := d.user(ctx, strings.Join(links, "\n"), "import"); err != nil {
		return err
	}
	if err := d.user(ctx, "", "connect", "tokyo"); err != nil {
		return err
	}
	status, err := d.status(ctx)
	if err != nil {
		return err
	}
	if len(status.Inbounds) == 0 {
		return errors.New("the status names no address for applications")
	}
	traffic := startTraffic(status.Inbounds[0].Address, d.lab.Origin())
	defer traffic.stop()
	d.say("traffic begins: %d requests a second over new connections, and %d endless downloads, all to %s",
		trafficRate, trafficStreams, status.Inbounds[0].Address)
	if err := sleep(ctx, 2*time.Second); err != nil {
		return err
	}
	if err := d.expect(traffic, "tokyo", "connected"); err != nil {
		return err
	}

	if err := d.user(ctx, "", "rotate", "paris"); err != nil {
		return err
	}
	if err := sleep(ctx, 2*time.Second); err != nil {
		return err
	}
	if err := d.expect(traffic, "paris", "the rotation by hand"); err != nil {
		return err
	}
	return d.disaster(ctx, traffic)
}

// disaster kills the server in use and watches the traffic.
func (d *demo) disaster(ctx context.Context, traffic *traffic) error {
	before := traffic.numbers()
	if err := d.servers["paris"].Kill(); err != nil {
		return fmt.Errorf("killing paris: %w", err)
	}
	killed := time.Now()
	d.say("paris is killed")
	var last *ipc.RotationPayload
	for last == nil || last.Trigger != ipc.TriggerHealthCheckFailed {
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("waiting for the rotation away from paris: %w", err)
		}
		status, err := d.status(ctx)
		if err != nil {
			return err
		}
		last = status.LastRotation
	}
	d.say("rotated from %s to %s after %.1f s: %s", last.FromConfigName, last.ToConfigName, time.Since(killed).Seconds(), last.Reason)
	rotated := traffic.numbers()
	d.say("%d of %d requests failed while it was being found out", rotated.failed-before.failed, rotated.sent-before.sent)
	// Requests that were on their way through paris may still fail, later ones may not.
	if err := sleep(ctx, 2*time.Second); err != nil {
		return err
	}
	settled := traffic.numbers()
	if err := sleep(ctx, 2*time.Second); err != nil {
		return err
	}
	end := traffic.stop()
	d.say("since then %d of %d requests failed; the address refused a connection %d times", end.failed-settled.failed, end.sent-settled.sent, end.refused)
	switch {
	case end.failed > settled.failed:
		return fmt.Errorf("requests fail after the rotation: %w", end.err)
	case end.refused > 0:
		return errors.New("the address for applications was gone for a while")
	case end.exit == "paris":
		return errors.New("traffic still leaves through the server that was killed")
	}
	if err := d.user(ctx, "", "disconnect"); err != nil {
		return err
	}
	d.say("in all: %d requests sent, %d failed", end.sent, end.failed)
	return nil
}

// expect checks that nothing has failed so far and through which server traffic leaves.
func (d *demo) expect(t *traffic, exit, what string) error {
	n := t.numbers()
	d.say("%s: %d requests sent, %d failed, %d of %d downloads broken; they leave through %s", what, n.sent, n.failed, n.broken, trafficStreams, n.exit)
	switch {
	case n.sent == 0:
		return errors.New("no request was made")
	case n.failed > 0 || n.broken > 0:
		return fmt.Errorf("%s broke %d requests and %d downloads: %w", what, n.failed, n.broken, n.err)
	case n.exit != exit:
		return fmt.Errorf("traffic leaves through %q instead of %q", n.exit, exit)
	}
	return nil
}

func (d *demo) status(ctx context.Context) (ipc.StatusPayload, error) {
	status, err := d.client.Status(ctx)
	if err != nil {
		return status, fmt.Errorf("asking for the status: %w", err)
	}
	return status, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
