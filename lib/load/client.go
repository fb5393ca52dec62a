package load

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// API is a payment API and how it is reached.
type API struct {
	// URL is what the paths are added to, such as https://payments.example.com.
	URL string
	// Key is what merchants' credentials are made of: the value of API_KEY in the API's tasks.
	Key []byte
	// Dial connects; nil for this machine's own way.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS may be nil.
	TLS *tls.Config
}

// Credential is what a merchant sends after "Authorization: Bearer": its name and the name's HMAC-SHA256 under the API's key.
func Credential(key []byte, merchant string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(merchant))
	return merchant + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// client is an API that is being talked with.
type client struct {
	http http.Client
	base *url.URL
	key  []byte
	run  string // the beginning of all keys of this run
}

// client makes one that keeps as many connections as there may be requests in flight.
func (a API) client(inFlight int, timeout time.Duration) (*client, error) {
	base, err := url.Parse(a.URL)
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" {
		return nil, fmt.Errorf("%q is no URL of an API: https://HOST", a.URL)
	}
	if len(a.Key) == 0 {
		return nil, errors.New("the API's key is empty")
	}
	transport := &http.Transport{
		DialContext: a.Dial, TLSClientConfig: a.TLS,
		MaxIdleConns: inFlight, MaxIdleConnsPerHost: inFlight, IdleConnTimeout: 90 * time.Second,
		TLSHandshakeTimeout: timeout, DisableCompression: true,
	}
	return &client{
		http: http.Client{
			Transport: transport, Timeout: timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		base: base, key: a.Key, run: "load-" + rand.Text()[:10],
	}, nil
}

func (c *client) close() { c.http.CloseIdleConnections() }

// mostBytes are read of an answer.
const mostBytes = 64 << 10

// answer is what the API said.
type answer struct {
	status  int
	after   string // Retry-After
	content []byte
}

// do sends a request of a merchant's: about the payment with that id, or about none yet.
func (c *client) do(ctx context.Context, method, id, merchant, key string, body []byte) (answer, error) {
	address := c.base.JoinPath("/api/v1/payments", url.PathEscape(id)).String()
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Authorization", "Bearer "+Credential(c.key, merchant))
	request.Header.Set("User-Agent", "tapstack-load")
	if key != "" {
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(response.Body, mostBytes))
	return answer{response.StatusCode, response.Header.Get("Retry-After"), content}, err
}

// outcome is what became of a payment: acknowledged, refused, or neither.
type outcome struct {
	payment *Payment
	refused bool
}

// stored is as much of a payment as is compared.
type stored struct {
	ID       string `json:"id"`
	Status   string `json:"status"`
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

// send makes a payment, again and again where the options say so.
func (r *run) send(ctx context.Context, o order) outcome {
	body, _ := json.Marshal(o.body) // strings and numbers
	for attempt := 0; ; attempt++ {
		answer, err := r.client.do(ctx, http.MethodPost, "", o.merchant, o.key, body)
		if err != nil {
			r.saw(fault(err))
			if attempt == r.Retries {
				return outcome{}
			}
			pause(ctx, attempt, "")
			continue
		}
		status := answer.status
		var made stored
		if status == http.StatusCreated && (json.Unmarshal(answer.content, &made) != nil || made.ID == "") {
			r.saw("201 without an id")
			return outcome{}
		}
		r.saw(strconv.Itoa(status))
		again := status >= 500 || status == http.StatusTooManyRequests || status == http.StatusConflict
		switch {
		case status == http.StatusCreated:
			return outcome{payment: &Payment{made.ID, o.merchant, o.amount, o.currency}}
		case !again || attempt == r.Retries:
			return outcome{refused: status >= 400 && status < 500}
		}
		pause(ctx, attempt, answer.after)
	}
}

// pause waits before another attempt: at least as long as the answer asks for, else longer each time; and never just as long
// as others do.
func pause(ctx context.Context, attempt int, after string) {
	wait := min(50*time.Millisecond<<min(attempt, 10), 2*time.Second) / 2
	if seconds, err := strconv.Atoi(after); err == nil && seconds > 0 && seconds <= 60 {
		wait = time.Duration(seconds) * time.Second
	}
	wait += mathrand.N(wait) //nolint:gosec // no secret
	until(ctx, time.Now().Add(wait))
}

// fault is what went wrong, in words of which there are few.
func fault(err error) string {
	var timeout interface{ Timeout() bool }
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed"
	case errors.As(err, &certificate):
		return "certificate not trusted"
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case strings.Contains(err.Error(), "no such host"):
		return "no such host"
	}
	return "other error"
}
