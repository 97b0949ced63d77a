package xray

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/xrat-tray/xrat/runtime/link"
)

// Version is that of a core, such as 26.3.27; zero: not known.
type Version [3]int

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

// Before reports whether v is older than other.
func (v Version) Before(other Version) bool {
	for i := range v {
		if v[i] != other[i] {
			return v[i] < other[i]
		}
	}
	return false
}

// Cores take settings that they do not know for none at all, and a server that needs one is then
// silent for no reason that anybody could see. These are the oldest versions that were found to
// have what links can ask for, and what the core's infra/conf of the one before had not.
var (
	withHTTPUpgrade = Version{1, 8, 15}
	withXHTTP       = Version{25, 3, 6} // by this name
	withECH         = Version{25, 8, 3} // and the post-quantum keys of REALITY
	withEncryption  = Version{25, 8, 31}
	withMasks       = Version{26, 1, 13} // Hysteria 2 and pinned certificates as well
	withNames       = Version{26, 1, 31} // names that a certificate may have
)

// Lacks says what a core of version v cannot do for the server of l, in a sentence for people that
// names both versions; "" if nothing is known to be amiss.
func (v Version) Lacks(l link.Link) string {
	if v == (Version{}) {
		return ""
	}
	for _, need := range needs(l) {
		if v.Before(need.since) {
			return fmt.Sprintf("%s needs Xray %v or newer, and the core in use is %v: update it, or set core.path to a newer one", need.what, need.since, v)
		}
	}
	return ""
}

type need struct {
	what  string
	since Version
}

func needs(l link.Link) (all []need) {
	add := func(asked bool, what string, since Version) {
		if asked {
			all = append(all, need{what, since})
		}
	}
	if a, ok := l.Account.(link.VLESS); ok {
		add(a.Encryption.Reveal() != "" && a.Encryption.Reveal() != "none", "the encryption of VLESS", withEncryption)
	}
	switch t := l.Transport.(type) {
	case link.HTTPUpgrade:
		add(true, "the transport httpupgrade", withHTTPUpgrade)
	case link.XHTTP:
		add(true, "the transport xhttp", withXHTTP)
	case link.KCP:
		add(t.Header != "" || t.Seed != (link.Secret{}), "the disguise of mKCP", withMasks)
	case link.QUIC:
		add(true, "Hysteria 2", withMasks)
	}
	switch s := l.Secure.(type) {
	case link.TLS:
		add(s.VerifyNames != "", "a list of names for the certificate", withNames)
		add(s.PinnedCerts != "", "a pinned certificate", withMasks)
		add(s.ECH != "", "ECH", withECH)
	case link.REALITY:
		add(s.PostQuantum != (link.Secret{}), "the post-quantum key of REALITY", withECH)
	}
	return all
}

// Versions asks cores for their versions, each executable once. It is ready for use, and for
// several goroutines.
type Versions struct {
	mu    sync.Mutex
	known map[program]Version
}

// program is an executable as it was when it was asked.
type program struct {
	path     string
	size     int64
	modified time.Time
}

// Of returns the version of the core at path, zero if it does not say.
func (v *Versions) Of(ctx context.Context, path string) Version {
	info, err := os.Stat(path)
	if err != nil {
		return Version{}
	}
	p := program{path, info.Size(), info.ModTime()}
	v.mu.Lock()
	defer v.mu.Unlock()
	if version, known := v.known[p]; known {
		return version
	}
	version := readVersion(ctx, path)
	if ctx.Err() != nil {
		return Version{} // it may say another time
	}
	if v.known == nil {
		v.known = make(map[program]Version)
	}
	v.known[p] = version // also that it says none
	return version
}

// versionTime bounds how long a core may take to say its version.
const versionTime = 3 * time.Second

var versionText = regexp.MustCompile(`(?m)^Xray (\d{1,4})\.(\d{1,4})\.(\d{1,4})\b`)

// readVersion asks a core; zero: it does not say.
func readVersion(ctx context.Context, path string) Version {
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	command := exec.CommandContext(ctx, path, "version")
	command.Env = []string{} // XRAY_* variables can add whole configurations
	command.WaitDelay = time.Second
	said, err := command.Output()
	if err != nil {
		return Version{}
	}
	found := versionText.FindStringSubmatch(strings.ToValidUTF8(string(said), ""))
	if found == nil {
		return Version{}
	}
	var v Version
	for i := range v {
		v[i], _ = strconv.Atoi(found[i+1]) // digits, and few
	}
	return v
}
