package link

import (
	"crypto/mlkem"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/google/uuid"
)

// VLESS is an account of a VLESS server.
type VLESS struct {
	UUID       Secret
	Flow       string // "", "xtls-rprx-vision" or "xtls-rprx-vision-udp443"
	Encryption Secret // "none", or the settings and keys of VLESS encryption
}

func (VLESS) protocol() Protocol { return ProtocolVLESS }

func (a VLESS) uri(l Link) string {
	p := append(params{{"encryption", a.Encryption.Reveal()}, {"flow", a.Flow}}, l.streamParams()...)
	return printGeneric("vless", escape(a.UUID.Reveal(), ""), l, p)
}

func (r *reader) parseVLESS(body, name string) (Link, *Error) {
	g, err := r.split(body, 0, "user ID")
	if err != nil {
		return Link{}, err
	}
	q := &g.query
	var a VLESS
	if a.UUID, err = parseUUID(unescape(g.user)); err != nil {
		return Link{}, err
	}
	switch a.Flow = q.word("flow"); a.Flow {
	case "", "xtls-rprx-vision", "xtls-rprx-vision-udp443":
	case "none":
		a.Flow = ""
	case "xtls-rprx-direct", "xtls-rprx-splice", "xtls-rprx-origin":
		q.fail(reject(CodeUnsupportedFlow, "the flow "+a.Flow+" was removed from the core; ask the provider for xtls-rprx-vision"))
	default:
		q.fail(reject(CodeUnsupportedFlow, "the parameter flow is not known; it can be empty or xtls-rprx-vision"))
	}
	a.Encryption = parseEncryption(q)

	l, err := g.link(a, name, "none")
	if a.Flow != "" && l.Mux != 0 {
		// Panels set it for every server, and servers break off connections that have both.
		l.Mux = 0
		r.leave("the multiplexer (mux), which cannot be used together with flow; the server works without")
	}
	return l, err
}

// parseEncryption reads the parameter encryption: "none", or a cipher with its settings and keys,
// separated by dots. See XTLS/Xray-core pull request 5067.
func parseEncryption(q *query) Secret {
	text := q.get("encryption")
	if w := word(text); w == "" || w == "none" {
		return NewSecret("none")
	}
	end := 0
	for end < len(text) && (isAlnum(text[end]) || strings.IndexByte("._-", text[end]) >= 0) {
		end++
	}
	text = text[:end]
	if err := checkEncryption(strings.Split(text, ".")); err != nil {
		q.fail(err)
	}
	return NewSecret(text)
}

func checkEncryption(fields []string) *Error {
	if len(fields) < 4 || fields[0] != "mlkem768x25519plus" {
		return reject(CodeUnsupportedCipher, "the parameter encryption is not known; it can be none or begin with mlkem768x25519plus")
	}
	switch fields[1] {
	case "native", "xorpub", "random":
	default:
		return badParameter("encryption", "has an unknown appearance; it can be native, xorpub or random")
	}
	switch fields[2] {
	case "0rtt", "1rtt":
	default:
		return badParameter("encryption", "has an unknown handshake; it can be 0rtt or 1rtt")
	}
	keys := 0
	for _, field := range fields[3:] {
		if len(field) < 20 {
			continue // padding
		}
		key, err := base64.RawURLEncoding.DecodeString(field)
		if err != nil || len(key) != 32 && len(key) != 1184 {
			return reject(CodeBadKey, "a key in the parameter encryption is neither 32 nor 1184 bytes in base64; ask for a complete link")
		}
		if len(key) > 32 {
			if _, err := mlkem.NewEncapsulationKey768(key); err != nil {
				return reject(CodeBadKey, "the long key in the parameter encryption is none of ML-KEM-768, and the core would not start with it; ask for a complete link")
			}
		}
		keys++
	}
	if keys == 0 {
		return reject(CodeBadKey, "the parameter encryption has no key; ask for a complete link")
	}
	return nil
}

// parseUUID reads a user ID as the core does: a UUID with or without dashes, or a text of up to 30
// bytes from which a UUID is derived (version 5, in the null namespace). The result has the usual
// form.
func parseUUID(s string) (Secret, *Error) {
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return Secret{}, reject(CodeMissingCredentials, "the link has no user ID; ask for a complete link")
	case len(s) <= 30:
		return NewSecret(uuid.NewSHA1(uuid.Nil, []byte(s)).String()), nil
	case len(s) >= 32 && len(s) <= 36:
		var id uuid.UUID
		if n, err := hex.Decode(id[:], []byte(strings.ReplaceAll(s, "-", ""))[:min(32, len(s)-strings.Count(s, "-"))]); err == nil && n == len(id) {
			return NewSecret(id.String()), nil
		}
	}
	return Secret{}, reject(CodeBadUUID, "the user ID of the link is not a UUID; ask for a complete link")
}
