package subscription

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"net/url"
	"strings"
)

// MaxCA bounds the certificates of ReadCA, in bytes of PEM.
const MaxCA = 32 << 10

// ReadCA reads the certificates that a provider's may be signed with, in PEM or, if it is one, in
// DER. It returns them in PEM, without what else there was: a file may have a private key, too. The
// error is an *Error with CodeBadRequest.
func ReadCA(data []byte) (string, error) {
	var out bytes.Buffer
	add := func(der []byte) error {
		if _, err := x509.ParseCertificate(der); err != nil {
			return fail(CodeBadRequest, "a certificate in the file cannot be read; ask the provider for it in PEM")
		}
		return pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if err := add(block.Bytes); err != nil {
			return "", err
		}
	}
	if _, err := x509.ParseCertificate(data); out.Len() == 0 && err == nil {
		if err := add(data); err != nil {
			return "", err
		}
	}
	switch {
	case out.Len() == 0:
		return "", fail(CodeBadRequest, "there is no certificate in the file; ask the provider for it in PEM")
	case out.Len() > MaxCA:
		return "", fail(CodeBadRequest, "the certificates have more than 32 KiB; give only the one that signs the provider's")
	}
	return out.String(), nil
}

// ParsePin reads the SHA-256 hash of a certificate's public key (SubjectPublicKeyInfo), in hex or
// in base64, with or without the "sha256//" of curl or the "sha256/" of others in front. It returns
// it in base64. The error is an *Error with CodeBadRequest.
func ParsePin(text string) (string, error) {
	text = strings.TrimSpace(text)
	for _, prefix := range []string{"sha256//", "sha256/", "sha256:", "SHA256:"} {
		text = strings.TrimPrefix(text, prefix)
	}
	hash, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
	if err != nil {
		hash, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	}
	if err != nil || len(hash) != sha256.Size {
		return "", fail(CodeBadRequest, "the pin is not the SHA-256 hash of a public key: 64 digits in hex, or 44 characters in base64")
	}
	return base64.StdEncoding.EncodeToString(hash), nil
}

// CheckSecured returns an *Error unless address is one at which a certificate is shown.
func CheckSecured(address string) error {
	u, err := parseURL(address)
	if err != nil {
		return err
	}
	if u.Scheme != "https" {
		return fail(CodeBadRequest, "a certificate can be given or pinned only for an address that begins with https://")
	}
	return nil
}

// tlsConfig returns how the servers of one fetch are verified: that of the address as the request
// says, and those to which it may redirect as always.
func (r Request) tlsConfig(g *guard) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if r.CA == "" && r.Pin == "" {
		return config, nil
	}
	var roots *x509.CertPool
	if r.CA != "" {
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM([]byte(r.CA)) {
			return nil, fail(CodeBadRequest, "the certificates that were given for the subscription cannot be read; give them again")
		}
	}
	config.InsecureSkipVerify = true // not at all: VerifyConnection does it
	config.VerifyConnection = func(state tls.ConnectionState) error {
		at := g.current()
		if !strings.EqualFold(at.Hostname(), g.start.Hostname()) {
			return verify(state, at, nil)
		}
		if r.Pin != "" {
			return checkPin(state, at, r.Pin)
		}
		return verify(state, at, roots)
	}
	return config, nil
}

// verify is what crypto/tls does; nil roots are those of the system.
func verify(state tls.ConnectionState, at *url.URL, roots *x509.CertPool) error {
	if len(state.PeerCertificates) == 0 {
		return &tls.CertificateVerificationError{Err: errors.New("there is no certificate")}
	}
	options := x509.VerifyOptions{DNSName: at.Hostname(), Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	if _, err := state.PeerCertificates[0].Verify(options); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
	}
	return nil
}

// checkPin accepts a certificate for its public key alone, whoever has signed it and for whatever
// name and time.
func checkPin(state tls.ConnectionState, at *url.URL, pin string) error {
	if len(state.PeerCertificates) > 0 {
		sum := sha256.Sum256(state.PeerCertificates[0].RawSubjectPublicKeyInfo)
		if base64.StdEncoding.EncodeToString(sum[:]) == pin {
			return nil
		}
	}
	return fail(CodeBadCertificate, "the certificate of "+Redact(at.String())+
		" has another public key than the one that is pinned: somebody may be in between, or the provider has a new key; ask for it before you set another --pin")
}
