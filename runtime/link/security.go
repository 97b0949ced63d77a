package link

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strings"
)

// TLS is transport security by TLS.
type TLS struct {
	ServerName  string // SNI; empty: the host of the link
	ALPN        string // protocols in the order offered, separated by commas; empty: the core's choice
	Fingerprint string // the browser whose ClientHello is imitated; empty: the core's default, Chrome
	PinnedCerts string // SHA-256 sums of certificates in lower-case hexadecimal, separated by commas
	VerifyNames string // names that the certificate may have instead of ServerName, separated by commas
	ECH         string // an ECHConfigList in base64, or where to ask for one, like "example.org+https://192.0.2.1/dns-query"
	ECHQuery    string // with a resolver: "none" or "half" go on without ECH if it does not answer; empty: the connection fails

	// AllowInsecure is kept for printing and changes nothing: the core no longer has such a setting
	// and always verifies certificates. A server that needs it works with PinnedCerts only.
	AllowInsecure bool
}

// REALITY is transport security that borrows the certificate of another site.
type REALITY struct {
	ServerName  string
	Fingerprint string // as in TLS
	PublicKey   Secret // 32 bytes, unpadded URL-safe base64
	ShortID     Secret // up to 16 hexadecimal digits
	SpiderX     string // begins with "/"
	PostQuantum Secret // ML-DSA-65 verification key, unpadded URL-safe base64; or empty
}

func (TLS) name() string     { return "tls" }
func (REALITY) name() string { return "reality" }

func (s TLS) params() params {
	p := params{
		{"security", "tls"}, {"sni", s.ServerName}, {"alpn", s.ALPN}, {"fp", s.Fingerprint},
		{"pcs", s.PinnedCerts}, {"vcn", s.VerifyNames}, {"ech", s.ECH}, {"echForceQuery", s.ECHQuery},
	}
	if s.AllowInsecure {
		p = append(p, param{"allowInsecure", "1"})
	}
	return p
}

func (s REALITY) params() params {
	return params{
		{"security", "reality"}, {"sni", s.ServerName}, {"fp", s.Fingerprint},
		{"pbk", s.PublicKey.Reveal()}, {"sid", s.ShortID.Reveal()}, {"spx", s.SpiderX}, {"pqv", s.PostQuantum.Reveal()},
	}
}

// parseSecurity reads the transport security; fallback is what leaving it out means.
func parseSecurity(q *query, fallback string, t Transport) Security {
	name := q.word("security")
	if name == "" {
		name = fallback
	}
	switch name {
	case "none", "false", "0":
		return nil
	case "tls", "true", "1":
		return parseTLS(q, t)
	case "reality":
		return parseREALITY(q, t)
	case "auto":
		q.fail(reject(CodeUnsupportedSecurity, "the security auto does not say whether the server expects tls; ask for a link with none, tls or reality"))
	case "xtls":
		q.fail(reject(CodeUnsupportedSecurity, "the security xtls was removed from the core; ask the provider for a link with tls or reality"))
	default:
		q.fail(reject(CodeUnsupportedSecurity, "the parameter security is not known; it can be none, tls or reality"))
	}
	return nil
}

func parseTLS(q *query, t Transport) Security {
	s := TLS{
		ServerName:    parseServerName(q),
		ALPN:          parseALPN(q.get("alpn")),
		Fingerprint:   parseFingerprint(q),
		PinnedCerts:   parsePinnedCerts(q),
		VerifyNames:   commaList(q.get("vcn", "verifyPeerCertByName")),
		AllowInsecure: q.flag("allowInsecure", "insecure", "allow_insecure", "skip-cert-verify"),
	}
	if s.ServerName == "" {
		// A link to an address of a CDN often names the site only in the Host header. Other clients
		// then take the server name from there, and links are made for those clients.
		s.ServerName = hostHeader(t)
	}
	if s.ECH = parseECH(q, cmp.Or(s.ServerName, q.host)); lookupHost(s.ECH) != "" {
		if force := q.word("echForceQuery"); force == "none" || force == "half" {
			s.ECHQuery = force
		}
	}
	if q.get("pinnedPeerCertificateChainSha256") != "" {
		q.fail(unsupportedParameter("pinnedPeerCertificateChainSha256", "was removed from the core; ask the provider for a link with pcs"))
	}
	return s
}

// parseServerName reads the SNI. Some panels write all names from which a client may choose.
func parseServerName(q *query) string {
	for name := range strings.SplitSeq(asciiNames(q.get("sni", "peer", "servername")), ",") {
		if name = given(name); name != "" {
			return name
		}
	}
	return ""
}

func parseREALITY(q *query, t Transport) Security {
	switch t.(type) {
	case Raw, GRPC, XHTTP:
	default:
		q.fail(reject(CodeUnsupportedSecurity, "reality works over tcp, grpc and xhttp only, not over "+t.Network()+"; check the parameters type and security"))
	}
	s := REALITY{ServerName: parseServerName(q), Fingerprint: parseFingerprint(q)}
	if s.Fingerprint == "unsafe" || s.Fingerprint == "hellogolang" {
		q.fail(badParameter("fp", "names no browser, which reality needs; use chrome"))
	}
	if s.ServerName == "" {
		s.ServerName = hostHeader(t)
	}

	key, ok := decodeBase64(keyText(q.get("pbk", "publicKey")))
	if !ok || len(key) != 32 {
		q.fail(reject(CodeBadKey, "the public key of reality (pbk) is missing or is not 32 bytes in base64; ask for a complete link"))
	}
	s.PublicKey = NewSecret(base64.RawURLEncoding.EncodeToString(key))

	id := word(q.get("sid"))
	if _, err := hex.DecodeString(id); err != nil || len(id) > 16 {
		q.fail(badParameter("sid", "is not an even number of at most 16 hexadecimal digits"))
	}
	s.ShortID = NewSecret(id)

	if s.SpiderX = slashed(q.get("spx")); s.SpiderX == "/" {
		s.SpiderX = "" // the core's default
	} else if _, err := url.Parse(s.SpiderX); err != nil {
		// It would crash the core.
		q.fail(badParameter("spx", "is not a valid path"))
	}

	if text := q.get("pqv"); text != "" {
		key, ok := decodeBase64(keyText(text))
		if !ok || len(key) != 1952 {
			q.fail(reject(CodeBadKey, "the post-quantum key of reality (pqv) is not 1952 bytes in base64; ask for a complete link"))
		}
		s.PostQuantum = NewSecret(base64.RawURLEncoding.EncodeToString(key))
	}
	return s
}

// keyText cuts off everything from the first character that is not base64.
func keyText(s string) string {
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte("+/-_=", s[i]) < 0 {
			return s[:i]
		}
	}
	return s
}

func parseALPN(s string) string {
	var protocols []string
	for p := range strings.SplitSeq(s, ",") {
		end := 0
		for p = strings.TrimSpace(p); end < len(p) && (isAlnum(p[end]) || strings.IndexByte("/.-", p[end]) >= 0); {
			end++
		}
		if end > 0 {
			protocols = append(protocols, strings.ToLower(p[:end]))
		}
	}
	return given(strings.Join(protocols, ","))
}

func commaList(s string) string {
	var list []string
	for v := range strings.SplitSeq(s, ",") {
		if v = strings.TrimSpace(v); v != "" {
			list = append(list, v)
		}
	}
	return given(strings.Join(list, ","))
}

func parsePinnedCerts(q *query) string {
	pins := commaList(strings.ToLower(strings.ReplaceAll(q.get("pcs", "pinnedPeerCertSha256", "pinSHA256"), ":", "")))
	if pins == "" {
		return ""
	}
	for pin := range strings.SplitSeq(pins, ",") {
		if b, err := hex.DecodeString(pin); err != nil || len(b) != 32 {
			q.fail(badParameter("pcs", "is not a list of SHA-256 sums in hexadecimal"))
		}
	}
	return pins
}

func parseFingerprint(q *query) string {
	fp := q.word("fp", "fingerprint")
	if fp == "" || fp == "none" {
		return ""
	}
	if !fingerprints[fp] {
		q.fail(badParameter("fp", "names a browser that the core cannot imitate; it can be chrome, firefox, safari, ios, android, edge, 360, qq, random or randomized"))
	}
	return fp
}

// fingerprints are the names that the core knows, from its package transport/internet/tls.
var fingerprints = func() map[string]bool {
	known := make(map[string]bool)
	for name := range strings.FieldsSeq(`
		chrome firefox safari ios android edge 360 qq random randomized randomizednoalpn unsafe
		hellogolang hellorandomized hellorandomizedalpn hellorandomizednoalpn
		hellofirefox_auto hellofirefox_55 hellofirefox_56 hellofirefox_63 hellofirefox_65 hellofirefox_99 hellofirefox_102 hellofirefox_105 hellofirefox_120
		hellochrome_auto hellochrome_58 hellochrome_62 hellochrome_70 hellochrome_72 hellochrome_83 hellochrome_87 hellochrome_96 hellochrome_100 hellochrome_102
		hellochrome_106_shuffle hellochrome_120 hellochrome_131 hellochrome_100_psk hellochrome_112_psk_shuf hellochrome_114_padding_psk_shuf
		hellochrome_115_pq hellochrome_115_pq_psk hellochrome_120_pq
		helloios_auto helloios_11_1 helloios_12_1 helloios_13 helloios_14 helloandroid_11_okhttp helloedge_auto helloedge_85 helloedge_106
		hellosafari_auto hellosafari_16_0 hello360_auto hello360_7_5 hello360_11_0 helloqq_auto helloqq_11_1`) {
		known[name] = true
	}
	return known
}()
