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

// certify makes an authority, whose key is kept nowhere, and the certificate of all members.
func (c *Cluster) certify() error {
	names := append([]string{"localhost"}, c.options.Names...)
	for _, m := range c.options.Members {
		host, _, err := net.SplitHostPort(m.Address)
		if err != nil {
			return err
		}
		names = append(names, host)
	}
	authority, certificate, key, err := certificates(names, time.Now())
	if err != nil {
		return err
	}
	path := c.Authority()
	return errors.Join(
		os.WriteFile(path, authority, 0o644), os.Chmod(path, 0o644), //nolint:gosec // whoever connects reads it
		c.write(filepath.Join(c.folder, "server.crt"), string(certificate)),
		c.write(filepath.Join(c.folder, "server.key"), string(key)),
	)
}

// certificates are an authority's, and one for the names with its key, as PEM.
func certificates(names []string, now time.Time) (authority, certificate, key []byte, err error) {
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tap: the local database's authority"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "tap: the local database"},
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
		return nil, nil, nil, err
	}
	encodedKey, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		return nil, nil, nil, err
	}
	signedRoot, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	if err != nil {
		return nil, nil, nil, err
	}
	signed, err := x509.CreateCertificate(rand.Reader, leaf, root, leafKey.Public(), rootKey)
	if err != nil {
		return nil, nil, nil, err
	}
	encode := func(kind string, content []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
	}
	return encode("CERTIFICATE", signedRoot), encode("CERTIFICATE", signed), encode("PRIVATE KEY", encodedKey), nil
}
