package balancer

import (
	"net/http"
	"slices"
	"strings"
)

// refuse is the status for a request that goes no further, 0 for one that does. Of what an Application Load Balancer calls
// severe Go's parser has refused all before.
func (x *exchange) refuse() int {
	r := x.r
	if r.Method == http.MethodTrace || r.Method == http.MethodConnect {
		return http.StatusMethodNotAllowed
	}
	if len(r.RequestURI) > maxLine {
		return http.StatusRequestURITooLong
	}
	size, addresses := len(r.Method)+len(r.RequestURI)+len(r.Proto)+4+len("Host: \r\n\r\n")+len(r.Host), 0
	for name, values := range r.Header {
		for _, value := range values {
			line := len(name) + len(value) + 4
			if line > maxLine {
				return http.StatusBadRequest
			}
			size += line
			if name == "X-Forwarded-For" {
				addresses += 1 + strings.Count(value, ",")
			}
		}
	}
	x.in.Add(int64(size))
	if size > maxHeaders {
		return http.StatusBadRequest
	}
	if addresses > maxForwards {
		return tooManyForwards
	}
	return x.desync()
}

// desync classifies what Go's parser lets pass and RFC 7230 does not, or not without doubt:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html#desync-mitigation-mode.
// Whether both Transfer-Encoding and Content-Length were sent cannot be seen here: Go goes by the former, as RFC 9112 says,
// and the request to the target has one of them.
func (x *exchange) desync() int {
	for name, values := range x.r.Header {
		if strings.Contains(name, "_") {
			switch strings.ToLower(strings.ReplaceAll(name, "_", "-")) {
			case "transfer-encoding", "content-length":
				x.severity, x.reason = "Ambiguous", "SuspiciousHeader"
			}
		}
		if x.severity == "" && slices.ContainsFunc(values, notASCII) {
			x.severity, x.reason = "Acceptable", "NonCompliantHeader"
		}
	}
	if x.severity == "" && x.r.Header.Get("Content-Length") == "0" && (x.r.Method == http.MethodGet || x.r.Method == http.MethodHead) {
		x.severity, x.reason = "Acceptable", "GetHeadZeroContentLength"
	}
	switch {
	case x.severity != "" && x.site.desync == "strictest":
		return http.StatusBadRequest
	case x.severity == "Ambiguous" && x.site.desync == "defensive":
		x.Header().Set("Connection", "close")
	}
	return 0
}

// notASCII says whether a value has a control character or one that is not ASCII.
func notASCII(value string) bool {
	for i := range len(value) {
		if c := value[i]; c > '~' || c < ' ' && c != '\t' {
			return true
		}
	}
	return false
}

// validName says whether a header field's name is of letters, digits and hyphens, as routing.http.drop_invalid_header_fields
// wants it.
func validName(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case c == '-', '0' <= c && c <= '9', 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z':
		default:
			return false
		}
	}
	return true
}
