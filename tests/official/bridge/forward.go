package bridge

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
)

// certificate is the authority that AWS gives a new database instance (RDS user guide, "Using SSL/TLS"). moto gives another,
// which the official provider then changes: each instance modified and rebooted, with three and a half minutes of waiting.
const certificate = "&CACertificateIdentifier=rds-ca-rsa2048-g1"

// Forward is a server that hands every request on to the emulator at an endpoint, where new database instances get AWS's
// certificate authority. It shows each request to see, if that is given. Close it when done.
func Forward(endpoint string, see func(r *http.Request, body []byte)) (*httptest.Server, error) {
	to, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(to) }}
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if see != nil {
			see(r, body)
		}
		if bytes.HasPrefix(body, []byte("Action=CreateDBInstance&")) {
			body = append(body, certificate...)
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
		proxy.ServeHTTP(w, r)
	})), nil
}
