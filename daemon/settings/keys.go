package settings

import (
	"fmt"
	"strconv"
	"strings"
)

// key is one key of the settings file.
type key struct {
	section, name string
	comment       string              // one line for the template
	value         func(*Settings) any // a pointer to where the value lives
}

// path is the key's full name, as errors and the reference write it.
func (k key) path() string { return k.section + "." + k.name }

// keys lists every key of the file in the order of the template.
var keys = []key{
	{"core", "path", "the xray executable; empty: $XRAT_XRAY, beside xrat, then PATH",
		func(s *Settings) any { return &s.Core.Path }},

	{"front", "socks", "the address for SOCKS5 and HTTP; beyond loopback only with username and password",
		func(s *Settings) any { return &s.Front.SOCKS }},
	{"front", "http", "the address for HTTP; beyond loopback only with username and password",
		func(s *Settings) any { return &s.Front.HTTP }},
	{"front", "username", "what applications must send; both empty: nothing",
		func(s *Settings) any { return &s.Front.Username }},
	{"front", "password", "",
		func(s *Settings) any { return &s.Front.Password }},
	{"front", "wait", "how long a new connection waits while no server works",
		func(s *Settings) any { return &s.Front.Wait }},

	{"health", "enabled", "rotate when the server stops working",
		func(s *Settings) any { return &s.Health.Enabled }},
	{"health", "interval", "between two checks",
		func(s *Settings) any { return &s.Health.Interval }},
	{"health", "timeout", "of one check",
		func(s *Settings) any { return &s.Health.Timeout }},
	{"health", "threshold", "more failures in a row than this rotate",
		func(s *Settings) any { return &s.Health.Threshold }},
	{"health", "urls", "fetched through the proxy to see whether it works; []: only the proxy itself is checked",
		func(s *Settings) any { return &s.Health.URLs }},

	{"rotation", "enabled", "rotate without being asked: xrat proxy start and stop switch this",
		func(s *Settings) any { return &s.Rotation.Enabled }},
	{"rotation", "interval", "rotate this often; 0s: never by time",
		func(s *Settings) any { return &s.Rotation.Interval }},
	{"rotation", "cooldown", "how long a server that failed is left alone",
		func(s *Settings) any { return &s.Rotation.Cooldown }},
	{"rotation", "drain", "how long open connections may stay on the old server",
		func(s *Settings) any { return &s.Rotation.Drain }},
	{"rotation", "standby", "keep a second server verified and at hand",
		func(s *Settings) any { return &s.Rotation.Standby }},
	{"rotation", "cut", "reset connections that hang on a dead server, so that applications connect anew",
		func(s *Settings) any { return &s.Rotation.Cut }},

	{"rescue", "enabled", "try a connection that gets no answer through another server, where that is safe",
		func(s *Settings) any { return &s.Rescue.Enabled }},
	{"rescue", "floor", "never after less silence than this",
		func(s *Settings) any { return &s.Rescue.Floor }},
	{"rescue", "ceiling", "always after more silence than this",
		func(s *Settings) any { return &s.Rescue.Ceiling }},

	{"subscription", "interval", "update subscriptions this often, unless they or you say otherwise; 0s: only by hand",
		func(s *Settings) any { return &s.Subscription.Interval }},
	{"subscription", "direct", "fetch them without the proxy while that does not work",
		func(s *Settings) any { return &s.Subscription.Direct }},

	{"log", "level", "trace, debug, info, warn, error, fatal, panic or disabled",
		func(s *Settings) any { return &s.Log.Level }},
}

// Template returns a settings file that changes nothing: every key with its
// default value and what it means, all of them commented out, so that a later
// version may still choose better defaults.
func Template() string {
	defaults := Default()
	var b strings.Builder
	b.WriteString("# Settings of xrat. Take away the # before a key to change it.\n" +
		"# Durations are written as 500ms, 15s, 5m or 1h30m.\n")
	section := ""
	for _, k := range keys {
		if k.section != section {
			section = k.section
			fmt.Fprintf(&b, "\n[%s]\n", section)
		}
		if k.comment != "" {
			fmt.Fprintf(&b, "# %s\n", k.comment)
		}
		fmt.Fprintf(&b, "#%s = %s\n", k.name, literal(k.value(&defaults)))
	}
	return b.String()
}

// literal writes the value behind pointer as TOML does. It is used for the
// defaults only, whose strings are printable ASCII: there Go and TOML quote alike.
func literal(pointer any) string {
	switch v := pointer.(type) {
	case *string:
		return strconv.Quote(*v)
	case *Duration:
		return strconv.Quote(shortDuration(*v))
	case *[]string:
		quoted := make([]string, len(*v))
		for i, s := range *v {
			quoted[i] = strconv.Quote(s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case *int:
		return strconv.Itoa(*v)
	case *bool:
		return strconv.FormatBool(*v)
	}
	panic(fmt.Sprintf("settings: a key of type %T", pointer))
}

// shortDuration is d without the zero parts that time.Duration prints: "5m", not "5m0s".
func shortDuration(d Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
