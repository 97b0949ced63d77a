package subscription

import (
	"fmt"
	"slices"
	"strings"
)

// elsewhere tells of servers that are not in the body but at addresses that it names.
func (c *collector) elsewhere(addresses []string) {
	if len(addresses) == 0 {
		return
	}
	const most = 3
	var shown []string
	for _, address := range addresses {
		if redacted := Redact(address); !slices.Contains(shown, redacted) && len(shown) <= most {
			shown = append(shown, redacted)
		}
	}
	if len(shown) > most {
		shown[most] = "…"
	}
	providers := "the address of another provider"
	if len(addresses) > 1 {
		providers = fmt.Sprintf("the addresses of %d other providers", len(addresses))
	}
	message := "there are no servers here, but " + providers
	if len(c.body.Entries) > 0 {
		message = "beside its servers the subscription names " + providers
	}
	c.problem(Problem{
		Code: CodeElsewhere, Kept: len(c.body.Entries) > 0,
		Message: message + ", which xrat does not follow (" + strings.Join(shown, ", ") + "); add with `xrat subscription add` what you want of it",
	})
}
