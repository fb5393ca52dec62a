package postgres

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// authority signs the members' certificate. Its key is in memory only.
type authority struct {
	certificate *x509.Certificate
	signed      []byte
	key         *ecdsa.PrivateKey
}

// certify writes the certificate of all members, and makes the authority that signs it before the first.
func (c *Cluster) certify() error {
	if c.authority == nil {
		made, err := newAuthority(time.Now())
		if err != nil {
			return err
		}
		c.authority = made
		path := c.Authority()
		encoded := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made.signed})
		if err := errors.Join(os.WriteFile(path, encoded, 0o644), os.Chmod(path, 0o644)); err != nil { //nolint:gosec // whoever connects reads it
			return err
		}
	}
	names := append([]string{"localhost"}, c.options.Names...)
	for _, m := range c.options.Members {
		host, _, err := net.SplitHostPort(m.Address)
		if err != nil {
			return err
		}
		names = append(names, host)
	}
	certificate, key, err := c.authority.issue(names)
	if err != nil {
		return err
	}
	return errors.Join(
		c.write(filepath.Join(c.folder, "server.crt"), string(certificate)),
		c.write(filepath.Join(c.folder, "server.key"), string(key)),
	)
}

func newAuthority(now time.Time) (*authority, error) {
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tap: the local database's authority"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	signed, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	return &authority{root, signed, key}, err
}

// issue makes a certificate for the names, and its key, as PEM.
func (a *authority) issue(names []string) (certificate, key []byte, err error) {
	root := a.certificate
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "tap: the local database"},
		NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if address := net.ParseIP(name); address != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, address)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, name)
		}
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	encodedKey, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		return nil, nil, err
	}
	signed, err := x509.CreateCertificate(rand.Reader, leaf, root, leafKey.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	encode := func(kind string, content []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
	}
	return encode("CERTIFICATE", signed), encode("PRIVATE KEY", encodedKey), nil
}
