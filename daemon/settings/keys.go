package settings

import "strings"

// key is one key of the settings file.
type key struct {
	section, name string
	value         func(*Settings) any // a pointer to where the value lives
}

// path is the key's full name, as errors and the reference write it.
func (k key) path() string { return k.section + "." + k.name }

// keys lists every key of the file in the order of the reference, docs/settings.md.
var keys = []key{
	{"core", "path", func(s *Settings) any { return &s.Core.Path }},

	{"front", "socks", func(s *Settings) any { return &s.Front.SOCKS }},
	{"front", "http", func(s *Settings) any { return &s.Front.HTTP }},
	{"front", "username", func(s *Settings) any { return &s.Front.Username }},
	{"front", "password", func(s *Settings) any { return &s.Front.Password }},
	{"front", "wait", func(s *Settings) any { return &s.Front.Wait }},
	{"front", "drain", func(s *Settings) any { return &s.Front.Drain }},

	{"health", "enabled", func(s *Settings) any { return &s.Health.Enabled }},
	{"health", "interval", func(s *Settings) any { return &s.Health.Interval }},
	{"health", "timeout", func(s *Settings) any { return &s.Health.Timeout }},
	{"health", "threshold", func(s *Settings) any { return &s.Health.Threshold }},
	{"health", "urls", func(s *Settings) any { return &s.Health.URLs }},
	{"health", "statuses", func(s *Settings) any { return &s.Health.Statuses }},
	{"health", "work_urls", func(s *Settings) any { return &s.Health.WorkURLs }},

	{"rotation", "enabled", func(s *Settings) any { return &s.Rotation.Enabled }},
	{"rotation", "interval", func(s *Settings) any { return &s.Rotation.Interval }},
	{"rotation", "cooldown", func(s *Settings) any { return &s.Rotation.Cooldown }},
	{"rotation", "drain", func(s *Settings) any { return &s.Rotation.Drain }},
	{"rotation", "standby", func(s *Settings) any { return &s.Rotation.Standby }},
	{"rotation", "cut", func(s *Settings) any { return &s.Rotation.Cut }},
	{"rotation", "only", func(s *Settings) any { return &s.Rotation.Only }},
	{"rotation", "never", func(s *Settings) any { return &s.Rotation.Never }},

	{"rescue", "enabled", func(s *Settings) any { return &s.Rescue.Enabled }},
	{"rescue", "floor", func(s *Settings) any { return &s.Rescue.Floor }},
	{"rescue", "ceiling", func(s *Settings) any { return &s.Rescue.Ceiling }},

	{"subscription", "interval", func(s *Settings) any { return &s.Subscription.Interval }},
	{"subscription", "direct", func(s *Settings) any { return &s.Subscription.Direct }},

	{"log", "level", func(s *Settings) any { return &s.Log.Level }},
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
