package xray

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"
)

const (
	// redacted stands for a secret in a text.
	redacted = "[secret]"
	// minSecret is the length in bytes from which a value counts as a secret: shorter ones would
	// blank out parts of ordinary words.
	minSecret = 4
	// maxReason bounds what is shown of a core's output, in runes.
	maxReason = 300
)

// secretFields are the fields of an outbound whose values are secrets or may contain one.
var secretFields = []string{
	"id", "password", "pass", "user", "email", "encryption", "publicKey", "shortId", "spiderX",
	"mldsa65Verify", "seed", "path", "serviceName", "authority", "key", "auth", "secretKey", "preSharedKey",
}

// findSecrets collects the strings in an outbound that must not be shown.
func findSecrets(outbound json.RawMessage) []string {
	var tree any
	if json.Unmarshal(outbound, &tree) != nil {
		return nil
	}
	var secrets []string
	var walk func(field string, node any)
	walk = func(field string, node any) {
		switch node := node.(type) {
		case map[string]any:
			for name, child := range node {
				if field == "headers" {
					name = "key" // a secret: any header may carry a token
				}
				walk(name, child)
			}
		case []any:
			for _, child := range node {
				walk(field, child)
			}
		case string:
			if len(node) >= minSecret && node != "none" && slices.Contains(secretFields, field) {
				secrets = append(secrets, node)
			}
		}
	}
	walk("", tree)
	return secrets
}

// clean makes a line of a core's output fit to show: secrets blanked out, no control or formatting
// characters, bounded.
func clean(line string, secrets []string) string {
	for _, secret := range secrets {
		if len(secret) >= minSecret {
			line = strings.ReplaceAll(line, secret, redacted)
		}
	}
	line = strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) || unicode.In(r, unicode.Bidi_Control) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(line, ""))
	line = strings.TrimSpace(line)
	if runes := []rune(line); len(runes) > maxReason {
		line = string(runes[:maxReason-1]) + "…"
	}
	return line
}
