package subscription

import (
	"fmt"
	"net/netip"
	"slices"
)

// DropPrivate turns the entries whose server is this machine or in a private network into problems.
// Whoever serves the list cannot know what is there, and has no business with it. If nothing is
// left, the error is an *Error. A few entries that are all for this machine are a message of the
// provider, and become notices.
func (b *Body) DropPrivate() error {
	had := len(b.Entries)
	if b.takeMessage(); had > 0 && len(b.Entries) == 0 {
		err := noticeOnly(b.Notices)
		err.Message += " (if these are servers on this machine, allow them with `xrat subscription add URL --private`)"
		return err
	}
	kept := b.Entries[:0]
	dropped := collector{body: Body{Problems: b.Problems, Unlisted: b.Unlisted}}
	for _, e := range b.Entries {
		if !privateHost(e.Link.Host) && !slices.ContainsFunc(e.Link.Others(), privateHost) {
			kept = append(kept, e)
			continue
		}
		dropped.problem(Problem{Position: e.Position, Name: cleanName(e.Link.Name), Code: CodePrivate, Message: fmt.Sprintf(
			"its server %s, or another host that the entry names, is this machine or in a private network: a subscription may name those only if you allow it with `xrat subscription add URL --private`",
			cleanHost(e.Link.Host))})
	}
	b.Entries, b.Problems, b.Unlisted = kept, dropped.body.Problems, dropped.body.Unlisted
	if had > 0 && len(kept) == 0 {
		return fail(CodePrivate, "all servers of the subscription are this machine, or in a private network; if that is what you want, allow it with `xrat subscription add URL --private`")
	}
	return nil
}

// privateHost reports whether a server at host would be this machine or in a network around it. A
// name may still resolve to such an address.
func privateHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return !publicName(host)
	}
	ip = embedded(ip)
	return ip.Zone() != "" || !ip.IsGlobalUnicast() || ip.IsPrivate() || sharedSpace.Contains(ip) || thisNetwork.Contains(ip)
}

// thisNetwork is RFC 1122's "this host on this network": to a socket, 0.0.0.0 is this machine.
var thisNetwork = netip.MustParsePrefix("0.0.0.0/8")
