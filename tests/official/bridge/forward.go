package bridge

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// certificate is the authority that AWS gives a new database instance (RDS user guide, "Using SSL/TLS"). moto gives another,
// which the official provider then changes: each instance modified and rebooted, with three and a half minutes of waiting.
const certificate = "&CACertificateIdentifier=rds-ca-rsa2048-g1"

// Forward is a server of the Handler. Close it when done.
func Forward(endpoint string, see func(r *http.Request, body []byte)) (*httptest.Server, error) {
	handler, err := Handler(endpoint, see)
	if err != nil {
		return nil, err
	}
	return httptest.NewServer(handler), nil
}

// Handler hands every request on to the emulator at an endpoint, where new database instances get AWS's certificate
// authority. It shows each request to see, if that is given.
func Handler(endpoint string, see func(r *http.Request, body []byte)) (http.Handler, error) {
	to, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(to) }}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
	}), nil
}

var (
	reads = regexp.MustCompile(`^\S+ (Describe|Get|List|Lookup|HEAD|GET)`)
	scope = regexp.MustCompile(`Credential=[^/]+/\d+/[^/]+/([^/]+)/`)
)

// Reads says whether an operation, as Operation names it, only looks.
func Reads(operation string) bool { return reads.MatchString(operation) }

// Operation names a request by service and operation, whichever of AWS's protocols it speaks.
func Operation(r *http.Request, body []byte) string {
	service := "unsigned"
	if found := scope.FindStringSubmatch(r.Header.Get("Authorization")); found != nil {
		service = found[1]
	}
	if header := r.Header.Get("X-Amz-Target"); header != "" {
		return service + " " + header[strings.LastIndex(header, ".")+1:]
	}
	if _, name, found := strings.Cut(r.URL.Path, "/operation/"); found {
		return service + " " + name
	}
	if form, err := url.ParseQuery(string(body)); err == nil && form.Get("Action") != "" {
		return service + " " + form.Get("Action")
	}
	query := r.URL.Query()
	query.Del("x-id")
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", service, r.Method, strings.Join(slices.Sorted(maps.Keys(query)), "&")))
}
