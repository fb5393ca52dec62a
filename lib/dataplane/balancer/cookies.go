package balancer

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"time"
)

// Names of AWS's cookies, each of which has a twin for other origins: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/sticky-sessions.html
const (
	groupCookie  = "AWSALBTG"
	targetCookie = "AWSALB"
	cookieLife   = 7 * 24 * time.Hour // AWS's; how long one binds is in its value
)

// cookies bind a client to a target group or target. A value is when that ends and a code over that and the name, so that it
// tells clients nothing and they cannot make one.
type cookies struct{ key []byte }

func newCookies() *cookies {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return &cookies{key}
}

func (c *cookies) sum(cookie, name string, end []byte) []byte {
	code := hmac.New(sha256.New, c.key)
	code.Write(end)
	code.Write([]byte(cookie + "\x00" + name))
	return append(end[:8:8], code.Sum(nil)...)
}

// mint makes a cookie and its twin.
func (c *cookies) mint(cookie, name string, now time.Time, life time.Duration) []*http.Cookie {
	end := binary.BigEndian.AppendUint64(nil, uint64(now.Add(life).Unix())) //nolint:gosec // after 1970
	value := base64.RawURLEncoding.EncodeToString(c.sum(cookie, name, end))
	expires := now.Add(cookieLife).UTC()
	return []*http.Cookie{
		{Name: cookie, Value: value, Path: "/", Expires: expires},                                                         //nolint:gosec // AWS's has no further attributes
		{Name: cookie + "CORS", Value: value, Path: "/", Expires: expires, SameSite: http.SameSiteNoneMode, Secure: true}, //nolint:gosec // likewise
	}
}

// find is the one of the names that the client is bound to, "" if to none.
func (c *cookies) find(r *http.Request, cookie string, now time.Time, names []string) string {
	for _, each := range r.Cookies() {
		value, err := base64.RawURLEncoding.DecodeString(each.Value)
		if each.Name != cookie && each.Name != cookie+"CORS" || err != nil || len(value) < 8 ||
			int64(binary.BigEndian.Uint64(value)) < now.Unix() { //nolint:gosec // checked below
			continue
		}
		for _, name := range names {
			if hmac.Equal(value, c.sum(cookie, name, value[:8])) {
				return name
			}
		}
	}
	return ""
}
