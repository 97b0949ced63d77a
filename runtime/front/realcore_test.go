package front

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// realCore is an Xray process with one authenticated SOCKS inbound and a direct way out.
type realCore struct {
	cmd   *exec.Cmd
	addr  string
	open  string // the same without authentication, for comparison
	relay string // Trojan, for datagrams
	log   string
}

const testUser, testPassword = "front", "s3cret"

func coreExecutable(t testing.TB) string {
	t.Helper()
	if p := os.Getenv("XRAT_XRAY"); p != "" {
		return p
	}
	p, err := filepath.Abs("../../bin/xray")
	if err == nil {
		_, err = os.Stat(p)
	}
	if err != nil {
		t.Fatalf("no core: set XRAT_XRAY or build bin/xray: %v", err)
	}
	return p
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func startRealCore(t testing.TB) *realCore {
	t.Helper()
	return startRealCoreTo(t, map[string]any{"protocol": "freedom", "settings": map[string]any{
		"finalRules": []any{map[string]any{"action": "allow"}}}})
}

// startRealCoreTo starts a core with that way out.
func startRealCoreTo(t testing.TB, outbound map[string]any) *realCore {
	t.Helper()
	port, open, relay := freePort(t), freePort(t), freePort(t)
	config := map[string]any{
		"log": map[string]any{"loglevel": "warning", "access": "none"},
		"inbounds": []any{
			map[string]any{"protocol": "socks", "listen": "127.0.0.1", "port": port, "settings": map[string]any{
				"auth": "password", "accounts": []any{map[string]any{"user": testUser, "pass": testPassword}}}},
			map[string]any{"protocol": "socks", "listen": "127.0.0.1", "port": open, "settings": map[string]any{}},
			map[string]any{"protocol": "trojan", "listen": "127.0.0.1", "port": relay, "settings": map[string]any{
				"clients": []any{map[string]any{"password": testPassword}}}},
		},
		"outbounds": []any{outbound},
	}
	body, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	out, err := os.Create(filepath.Join(dir, "core.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(coreExecutable(t), "run", "-c", "stdin:")
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = dir, bytes.NewReader(body), out, out, []string{}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	at := func(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
	k := &realCore{cmd: cmd, addr: at(port), open: at(open), relay: at(relay), log: out.Name()}
	t.Cleanup(k.kill)
	eventually(t, "the core answers", func() bool {
		for _, addr := range []string{k.addr, k.open, k.relay} {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				return false
			}
			c.Close()
		}
		return true
	})
	return k
}

// startTunnellingCore starts a Shadowsocks server, and a core that goes out through it.
func startTunnellingCore(b testing.TB) (*realCore, *exec.Cmd) {
	b.Helper()
	port := freePort(b)
	const method, password = "aes-128-gcm", "benchmark"
	config, err := json.Marshal(map[string]any{
		"log": map[string]any{"loglevel": "warning", "access": "none"},
		"inbounds": []any{map[string]any{"protocol": "shadowsocks", "listen": "127.0.0.1", "port": port,
			"settings": map[string]any{"method": method, "password": password, "network": "tcp"}}},
		"outbounds": []any{map[string]any{"protocol": "freedom", "settings": map[string]any{
			"finalRules": []any{map[string]any{"action": "allow"}}}}},
	})
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(coreExecutable(b), "run", "-c", "stdin:")
	cmd.Dir, cmd.Stdin, cmd.Env = b.TempDir(), bytes.NewReader(config), []string{}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	address := fmt.Sprintf("127.0.0.1:%d", port)
	eventually(b, "the server answers", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return startRealCoreTo(b, map[string]any{"protocol": "shadowsocks", "settings": map[string]any{"servers": []any{
		map[string]any{"address": "127.0.0.1", "port": port, "method": method, "password": password}}}}), cmd
}

func (k *realCore) kill() {
	k.cmd.Process.Kill()
	k.cmd.Wait()
}

func (k *realCore) target(id int64) *Target {
	return &Target{ID: id, Address: k.addr, Relay: k.relay, User: testUser, Password: testPassword}
}
