package lab

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net"
	"strings"
	"time"
)

// serverName is the name that certificates and REALITY use. The domain is reserved for tests by RFC
// 6761.
const serverName = "lab.test"

// certificate is made anew for each lab, so that nothing secret is in the repository. Clients know
// it by its pin.
type certificate struct {
	tls        tls.Certificate
	chain, key []string // PEM, line by line, as the core wants it
	pin        string   // SHA-256 in hexadecimal
}

func newCertificate() (certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return certificate{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: serverName},
		DNSNames:     []string{serverName},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(48 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return certificate{}, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return certificate{}, err
	}
	pin := sha256.Sum256(der)
	return certificate{
		tls:   tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		chain: pemLines("CERTIFICATE", der),
		key:   pemLines("PRIVATE KEY", keyDER),
		pin:   hex.EncodeToString(pin[:]),
	}, nil
}

func pemLines(kind string, der []byte) []string {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// newX25519 makes a key pair for REALITY, in the form that the core uses.
func newX25519() (private, public string, err error) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return "", "", err
	}
	encode := base64.RawURLEncoding.EncodeToString
	return encode(key.Bytes()), encode(key.PublicKey().Bytes()), nil
}
