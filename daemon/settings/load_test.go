package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// write puts text into a settings file and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "settings.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultIsValid(t *testing.T) {
	if found := Default().check(); len(found) > 0 {
		t.Error(found)
	}
}

func TestLoadAbsentGivesDefaults(t *testing.T) {
	got, err := Load(filepath.Join(t.TempDir(), "none", "settings.toml"))
	if err != nil || !reflect.DeepEqual(got, Default()) {
		t.Errorf("Load = %+v, %v; want the defaults", got, err)
	}
}

func TestLoad(t *testing.T) {
	tests := []struct {
		name, text string
		change     func(*Settings)
	}{
		{"empty", "", func(*Settings) {}},
		{"comments", "# All of it.\n\n[front]\n#wait = \"1s\"\n", func(*Settings) {}},
		{"sections", "[front]\nsocks = \"[::1]:1\"\nwait = \"200ms\"\n[health]\nthreshold = 0\nurls = []\nenabled = false",
			func(s *Settings) {
				s.Front.SOCKS, s.Front.Wait = "[::1]:1", Duration(200*time.Millisecond)
				s.Health.Threshold, s.Health.URLs, s.Health.Enabled = 0, []string{}, false
			}},
		{"dotted and inline", "front.socks = 'localhost:1'\nhealth = { urls = [\"http://127.0.0.1:9/x\"] }\r\n",
			func(s *Settings) {
				s.Front.SOCKS, s.Health.URLs = "localhost:1", []string{"http://127.0.0.1:9/x"}
			}},
		{"exposed with credentials", "[front]\nsocks=\":1080\"\nusername=\"u\"\npassword=\"p\"",
			func(s *Settings) { s.Front.SOCKS, s.Front.Username, s.Front.Password = ":1080", "u", "p" }},
		{"no timer, no cooldown, no drain", "[rotation]\ninterval=\"0s\"\ncooldown=\"0\"\ndrain=\"0s\"",
			func(s *Settings) { s.Rotation.Cooldown, s.Rotation.Drain = 0, 0 }},
		{"same port on other addresses", "[front]\nsocks=\"127.0.0.1:80\"\nhttp=\"127.0.0.2:80\"",
			func(s *Settings) { s.Front.SOCKS, s.Front.HTTP = "127.0.0.1:80", "127.0.0.2:80" }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want := Default()
			test.change(&want)
			got, err := Load(write(t, test.text))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

// TestLoadProblems holds the whole text of errors, without the directory.
func TestLoadProblems(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string // each line of the error after "settings.toml"
	}{
		{"misspelled section", "\n\n[frnt]\nsocks = 1", []string{`:3:2: unknown key "frnt" (did you mean "front"?)`}},
		{"misspelled key", "[front]\nsokcs = \"127.0.0.1:1\"", []string{`:2:1: unknown key "front.sokcs" (did you mean "front.socks"?)`}},
		{"key without section", "interval = \"5s\"", []string{`:1:1: unknown key "interval" (did you mean "health.interval"?)`}},
		{"nothing near", "[zebra]\nx=1", []string{`:1:2: unknown key "zebra"`}},
		{"a key in another case", "[Front]\n", []string{`:1:2: unknown key "Front" (did you mean "front"?)`}},
		{"control characters in a key", "\"a\\u001b[31m\" = 1", []string{`:1:1: unknown key "\"a\\x1b[31m\""`}},
		{"too deep", "[front.socks.deep]\nx=1", []string{`:1:8: front.socks must be a string in quotes, not a section`}},
		{"section as value", "front = 3", []string{`:1:1: front is a section, not 3; write [front] on a line of its own, once, and its keys below`}},
		{"section as list", "[[front]]\nsocks='x'", []string{`:1:3: front is a section, not a list; write [front] on a line of its own, once, and its keys below`}},
		{"types", "[front]\nwait = 10\nsocks = true\n[health]\nenabled = \"yes\"\nthreshold = 1.5\nurls = [1, 2]\ntimeout=1979-05-27\n", []string{
			`:2:1: front.wait must be a duration in quotes such as "500ms", "15s" or "5m", not 10`,
			`:3:1: front.socks must be a string in quotes, not true`,
			`:5:1: health.enabled must be true or false, not "yes"`,
			`:6:1: health.threshold must be a whole number, not the fraction 1.5`,
			`:7:1: health.urls must be a list of strings such as ["one", "two"], not a list`,
			`:8:1: health.timeout must be a duration in quotes such as "500ms", "15s" or "5m", not a date or time`,
		}},
		{"bad duration", "[front]\nwait = \"10 s\"", []string{`:2:1: front.wait must be a duration in quotes such as "500ms", "15s" or "5m", not "10 s"`}},
		{"durations out of bounds", "[front]\nwait=\"99ms\"\n[health]\ninterval=\"0s\"\ntimeout=\"-1s\"\n[rotation]\ninterval=\"1ms\"\ncooldown=\"-1s\"\ndrain=\"25h\"", []string{
			`:2:1: front.wait must be from 100ms to 10m, not 99ms`,
			`:4:1: health.interval must be from 1s to 24h, not 0s`,
			`:5:1: health.timeout must be from 100ms to 5m, not -1s`,
			`:7:1: rotation.interval must be 0s for off, or from 1s to 8760h, not 1ms`,
			`:8:1: rotation.cooldown must be from 0s to 8760h, not -1s`,
			`:9:1: rotation.drain must be from 0s to 24h, not 25h`,
		}},
		{"addresses", "[front]\nsocks=\"10808\"\nhttp=\"127.0.0.1:70000\"", []string{
			`:2:1: front.socks "10808" is not host:port; write for example "127.0.0.1:10808" or "[::1]:10808"`,
			`:3:1: front.http "127.0.0.1:70000" has no valid port; it must be from 1 to 65535`,
		}},
		{"port 0", "[front]\nsocks=\"127.0.0.1:0\"\nhttp=\"localhost:00\"", []string{
			`:2:1: front.socks "127.0.0.1:0" would take another port at each start, where applications do not look; choose a port from 1 to 65535`,
			`:3:1: front.http "localhost:00" would take another port at each start, where applications do not look; choose a port from 1 to 65535`,
		}},
		{"host name", "[front]\nsocks=\"example.org:1\"", []string{`:2:1: front.socks "example.org:1": the host must be an IP address or localhost`}},
		{"same as the default of the other", "[front]\nsocks=\"localhost:10809\"", []string{
			`:2:1: front.socks localhost:10809 and front.http 127.0.0.1:10809 need the same port; give one of them another`}},
		{"collision with every address", "[front]\nsocks=\"0.0.0.0:10809\"\nusername='u'\npassword='p'", []string{
			`:2:1: front.socks 0.0.0.0:10809 and front.http 127.0.0.1:10809 need the same port; give one of them another`}},
		{"exposed", "[front]\nsocks=\"192.0.2.1:1080\"\nhttp=\"[::]:8080\"", []string{
			`:2:1: front.socks "192.0.2.1:1080" can be reached from other machines, and anybody there could use the proxy; set front.username and front.password, or listen on 127.0.0.1`,
			`:3:1: front.http "[::]:8080" can be reached from other machines, and anybody there could use the proxy; set front.username and front.password, or listen on 127.0.0.1`,
		}},
		{"half of the credentials", "[front]\nusername=\"u\"", []string{`:2:1: front.username is set but front.password is empty; set both, or neither`}},
		{"other half", "[front]\npassword=\"u\"", []string{`:2:1: front.password is set but front.username is empty; set both, or neither`}},
		{"a misread password is not also a missing one", "[front]\nusername=\"u\"\npassword=7", []string{`:3:1: front.password must be a string in quotes`}},
		{"credentials", "[front]\nusername=\"a:b\"\npassword=\"" + strings.Repeat("x", 256) + "\"", []string{
			`:2:1: front.username contains a colon, which HTTP does not allow`,
			`:3:1: front.password is 256 bytes long; SOCKS5 allows 255`,
		}},
		{"control characters", "[front]\nusername=\"a\"\npassword=\"b\\u0007\"", []string{`:3:1: front.password contains a control character, which HTTP does not allow`}},
		{"floor above ceiling", "[rescue]\nfloor = \"4s\"\n", []string{`:2:1: rescue.floor 4s is longer than rescue.ceiling 3s; exchange them`}},
		{"threshold", "[health]\nthreshold=101", []string{`:2:1: health.threshold must be from 0 to 100, not 101`}},
		{"rules", "[rotation]\nonly = [\"country:DE\", \"name:/(/\"]\nnever = [\"city:Berlin\"]", []string{
			":2:1: rotation.only: \"name:/(/\": missing closing ): `(`; the expressions are those of Go (RE2)",
			`:3:1: rotation.never: "city:Berlin": there are no rules by "city"; write name:TEXT, name:/REGEX/, country:DE, protocol:vless, subscription:NAME or tag:NAME`,
		}},
		{"urls", "[health]\nurls=[\"ftp://a/\", \"https:///x\", \"https://u:canary@a/\", \"http://canary:x\"]", []string{
			`:2:1: health.urls: "ftp://a/" is not an http or https address`,
			`:2:1: health.urls: "https:///x" names no host`,
			`:2:1: health.urls: "a" contains a user name; a probe sends no credentials, remove it`,
			`:2:1: health.urls: an address is not a URL; write for example "https://www.gstatic.com/generate_204"`,
		}},
		{"level", "[log]\nlevel=\"INFO\"", []string{`:2:1: log.level must be one of trace, debug, info, warn, error, fatal, panic, disabled, not "INFO"`}},
		{"core", "[core]\npath=\"~/bin/xray\"", []string{`:2:1: core.path "~/bin/xray" is not an absolute path; write it from the root on, without ~`}},
		{"syntax", "[front]\nsocks = \n", []string{`:2:9: is not TOML: unexpected character U+000A at start of value`}},
		{"twice", "[front]\nwait='1s'\nwait='1s'", []string{`:3:1: is not TOML: key wait is already defined`}},
		{"byte order mark", "\xef\xbb\xbf[front]", []string{`:1:1: starts with a byte order mark; save the file as UTF-8 without one`}},
		{"UTF-16", "\xff\xfe[\x00", []string{`:1:1: is UTF-16 text; save the file as UTF-8`}},
		{"not UTF-8", "[log]\n# caf\xe9", []string{`:2:6: is not UTF-8 text from here on; save the file as UTF-8`}},
		{"too large", strings.Repeat("#", maxFileSize+1), []string{`: is larger than 64 KiB, which no settings file is; is it another file under this name?`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := write(t, test.text)
			_, err := Load(path)
			if err == nil {
				t.Fatal("no error")
			}
			got := strings.ReplaceAll(err.Error(), path, "")
			if want := strings.Join(test.want, "\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if n := strings.Count(err.Error(), path); n != len(test.want) {
				t.Errorf("the file is named %d times in %d problems", n, len(test.want))
			}
			if _, ok := errors.AsType[*Problem](err); !ok {
				t.Errorf("%T holds no *Problem", err)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("a secret is in the error: %v", err)
			}
		})
	}
}

func TestLoadManyProblems(t *testing.T) {
	var text strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&text, "key%d = 1\n", i)
	}
	_, err := Load(write(t, text.String()))
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != maxProblems+1 || !strings.HasSuffix(lines[maxProblems], "4980 more problems like these") {
		t.Errorf("%d lines, the last is %q", len(lines), lines[len(lines)-1])
	}
}

func TestLoadNotAFile(t *testing.T) {
	dir := t.TempDir()
	dangling := filepath.Join(dir, "dangling")
	if err := os.Symlink(filepath.Join(dir, "nowhere"), dangling); err != nil {
		t.Fatal(err)
	}
	file := write(t, "")
	tests := []struct{ name, path, want string }{
		{"directory", dir, "is a directory"},
		{"dangling link", dangling, "symbolic link to a file that does not exist"},
		{"device", os.DevNull, "not a regular file"},
		{"below a file", filepath.Join(file, "settings.toml"), "not a directory"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Load(test.path)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.path) {
				t.Errorf("got %v, want it to name the file and to say %q", err, test.want)
			}
		})
	}
}

func TestPasswordIsHidden(t *testing.T) {
	const secret = "canary"
	s := Default()
	s.Front.Username, s.Front.Password = "user", secret
	for _, value := range []any{s, &s, s.Front, &s.Front, []Settings{s}, map[string]Front{"a": s.Front}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			text := fmt.Sprintf(verb, value)
			if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
				t.Errorf("%s of %T shows the password: %s", verb, value, text)
			}
		}
		text, err := json.Marshal(value)
		if err != nil || strings.Contains(string(text), secret) || !strings.Contains(string(text), redacted) {
			t.Errorf("JSON of %T: %s, %v", value, text, err)
		}
	}
	if text := fmt.Sprintf("%+v", s); !strings.Contains(text, "127.0.0.1:10808") || !strings.Contains(text, "15s") {
		t.Errorf("%%+v says too little: %s", text)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("[health]\nurls = [\"https://example.org/\"]\ninterval = \"1m\"\nenabled = true\nthreshold = 2"))
	f.Add([]byte("[front]\nsocks = \"[::1]:1\"\nfront.wait = 3"))
	f.Add([]byte("health = { urls = [[{a={b=1}}]], \"x.y\" = '''\n''' }"))
	f.Add([]byte("[[a.b]]\n[[a.b.c]]\n\"\" = inf"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if checkText("f", data) != nil {
			return
		}
		s, err := parse("f", data)
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				if !strings.HasPrefix(line, "f:") {
					t.Errorf("a line that does not begin with the file: %q", line)
				}
			}
			return
		}
		if found := s.check(); len(found) > 0 {
			t.Errorf("accepted invalid settings: %v", found)
		}
	})
}
