//go:build linux

package xray

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xrat-tray/xrat/runtime/link"
)

func TestLocate(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "xray")
	plain := filepath.Join(dir, "plain")
	for path, mode := range map[string]os.FileMode{good: 0o700, plain: 0o600} {
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	missing := filepath.Join(dir, "missing")
	for _, test := range []struct {
		name, configured, variable, path string
		want                             string
		problems                         []string
	}{
		{name: "settings", configured: good, variable: missing, want: good},
		{name: "variable", variable: good, want: good},
		{name: "PATH", path: dir, want: good},
		{name: "nowhere", path: "", problems: []string{"core.path", EnvCore, filepath.Dir(self(t)), "PATH"}},
		{name: "relative PATH is not taken", path: ".", problems: []string{"no Xray core found"}},
		{name: "settings, missing", configured: missing, variable: good, problems: []string{"core.path", missing, "does not exist"}},
		{name: "settings, folder", configured: dir, problems: []string{"core.path", dir, "is a folder"}},
		{name: "settings, not executable", configured: plain, problems: []string{"core.path", plain, "chmod +x"}},
		{name: "settings, device", configured: os.DevNull, problems: []string{"not a regular file"}},
		{name: "variable, missing", variable: missing, path: dir, problems: []string{EnvCore, missing, "does not exist"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Chdir(dir)
			t.Setenv(EnvCore, test.variable)
			t.Setenv("PATH", test.path)
			got, err := Locate(test.configured)
			if got != test.want || (err == nil) != (test.problems == nil) {
				t.Fatalf("got %q, %v; want %q", got, err, test.want)
			}
			for _, problem := range test.problems {
				if !strings.Contains(err.Error(), problem) {
					t.Errorf("%v: no %q in it", err, problem)
				}
			}
		})
	}
}

// TestConfigure makes sure that the configuration holds what was planned and
// nothing else.
func TestConfigure(t *testing.T) {
	in, err := newInbound()
	if err != nil {
		t.Fatal(err)
	}
	text, secrets, err := configure(mustLink(), in)
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]json.RawMessage
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for key := range config {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	if got := strings.Join(keys, " "); got != "inbounds log outbounds policy" {
		t.Errorf("sections %s", got)
	}
	port := in.Address[strings.LastIndexByte(in.Address, ':')+1:]
	want := fmt.Sprintf(`[{"tag":"in","listen":"127.0.0.1","port":%s,"protocol":"socks","settings":{"auth":"password",`+
		`"accounts":[{"user":%q,"pass":%q}],"udp":true,"ip":"127.0.0.1"},"sniffing":{"enabled":false}}]`, port, in.User, in.Password)
	if got := string(config["inbounds"]); got != want {
		t.Errorf("inbounds %s\nwant     %s", got, want)
	}
	for _, secret := range []string{canary, in.User, in.Password} {
		if !slices.Contains(secrets, secret) {
			t.Errorf("%q is not known for a secret", secret)
		}
	}
	if other, _ := newInbound(); other.Password == in.Password || other.User == in.User || len(in.Password) < 32 {
		t.Error("the inbound's password is weak")
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if shown := fmt.Sprintf(verb, in) + fmt.Sprintf(verb, &in); strings.Contains(shown, in.Password) || strings.Contains(shown, in.User) {
			t.Errorf("%s shows a secret: %s", verb, shown)
		}
	}
}

// TestDetour makes sure that what leads through the core a second time is on
// loopback, behind a password, and for TCP alone.
func TestDetour(t *testing.T) {
	in, err := newInbound()
	if err != nil {
		t.Fatal(err)
	}
	server, err := link.Parse("ss://aes-128-gcm:password@127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	text, _, err := configure(server, in)
	if err != nil {
		t.Fatal(err)
	}
	port := in.Address[strings.LastIndexByte(in.Address, ':')+1:]
	for _, want := range []string{
		`{"tag":"detour","listen":"127.0.0.2","port":` + port + `,"protocol":"trojan","settings":{"clients":[{"password":"` + in.Password + `"}]}`,
		`{"tag":"detour","protocol":"trojan","settings":{"servers":[{"address":"127.0.0.2","port":` + port + `,"password":"` + in.Password + `"}]}}`,
		`"routing":{"rules":[{"inboundTag":["in"],"network":"tcp","outboundTag":"detour"}]}`,
		`"outbounds":[{"protocol":"shadowsocks"`, // the default stays the server's
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
}

func TestFindSecrets(t *testing.T) {
	got := findSecrets([]byte(`{"protocol":"vless","settings":{"vnext":[{"address":"example.org","users":[{"id":"secret-1","encryption":"none"}]}],
		"servers":[{"password":"secret-2","user":"abc"}]},"streamSettings":{"wsSettings":{"path":"/secret-3","headers":{"X-Token":"secret-4"}},"realitySettings":{"shortId":"secret-5"}}}`))
	slices.Sort(got)
	if want := "/secret-3 secret-1 secret-2 secret-4 secret-5"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %s", got, want)
	}
	if got := findSecrets([]byte("{")); got != nil {
		t.Errorf("from garbage: %q", got)
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                      "plain",
		" \x1b[31mred\x1b[0m\x00 ":   "[31mred[0m",
		"a\u202eb\u2066c":            "abc",
		"bad \xff utf8":              "bad  utf8",
		"key s3cr3t, again s3cr3t":   "key [secret], again [secret]",
		strings.Repeat("é", 1000):    strings.Repeat("é", 299) + "…",
		"tab\tand\r\nnewline":        "tabandnewline",
		strings.Repeat("s3cr3t", 60): strings.Repeat("[secret]", 37) + "[se…",
	} {
		if got := clean(in, []string{"s3cr3t", "a"}); got != want {
			t.Errorf("%q gave %q, want %q", in, got, want)
		}
	}
}

func TestCapLog(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "core.log")
	if err := CapLog(path, 1000); err != nil {
		t.Errorf("a missing file: %v", err)
	}
	var content bytes.Buffer
	for i := range 1000 {
		fmt.Fprintf(&content, "line %d\n", i)
	}
	if err := os.WriteFile(path, content.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	writer, err := openLog(path, os.O_WRONLY|os.O_APPEND)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	if err := CapLog(path, int64(content.Len())); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Size() != int64(content.Len()) {
		t.Errorf("a file at its limit was cut to %d bytes", info.Size())
	}
	if err := CapLog(path, 1000); err != nil {
		t.Fatal(err)
	}
	if _, err := writer.WriteString("after\n"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) > 506 || len(got) < 490 || !bytes.HasPrefix(got, []byte("line ")) || !bytes.HasSuffix(got, []byte("line 999\nafter\n")) {
		t.Errorf("%d bytes: %q", len(got), got)
	}
	target := filepath.Join(dir, "target")
	if err := os.WriteFile(target, content.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	symlink := filepath.Join(dir, "link")
	if err := os.Symlink(target, symlink); err != nil {
		t.Fatal(err)
	}
	if err := CapLog(symlink, 10); err == nil {
		t.Error("a symbolic link was followed")
	}
	if _, err := openLog(symlink, os.O_WRONLY|os.O_APPEND|os.O_CREATE); err == nil {
		t.Error("a symbolic link was opened")
	}
	if got, _ := os.ReadFile(target); !bytes.Equal(got, content.Bytes()) {
		t.Error("the link's target was changed")
	}
	if _, err := os.Stat(filepath.Join(dir, "nothing")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a file was made")
	}
}

func TestCoreLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "core.log")
	before, own := "an earlier core with s3cr3t\n", "one s3cr3t two s3cr3t\nlast s3cr3t\n\n"
	if err := os.WriteFile(path, []byte(before+own), 0o600); err != nil {
		t.Fatal(err)
	}
	l := coreLog{path: path, from: int64(len(before))}
	if got := l.lastLine([]string{"s3cr3t"}); got != "last [secret]" {
		t.Errorf("last line %q", got)
	}
	if err := l.mask([]string{"s3cr3t", ""}); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); string(got) != before+"one ****** two ******\nlast ******\n\n" {
		t.Errorf("masked: %q", got)
	}
	if got := (coreLog{path: path, from: int64(len(before) + len(own))}).lastLine(nil); got != "" {
		t.Errorf("nothing was written, the last line is %q", got)
	}
	if got := (coreLog{path: path + "x"}).lastLine(nil); got != "" {
		t.Errorf("no file: %q", got)
	}
}
