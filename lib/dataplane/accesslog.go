package dataplane

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"tapstack/lib/cloud"
	"tapstack/lib/dataplane/balancer"
)

// deliveryInterval is the time between two objects of the access log on AWS.
const deliveryInterval = 5 * time.Minute

// accessLog is what waits to be delivered to the load balancer's bucket.
type accessLog struct {
	mu    sync.Mutex
	lines []string
	since time.Time
}

// add takes finished lines.
func (l *accessLog) add(lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) == 0 {
		l.since = time.Now()
	}
	l.lines = append(l.lines, lines...)
}

// take takes what has waited for so long.
func (l *accessLog) take(age time.Duration) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) == 0 || time.Since(l.since) < age {
		return nil
	}
	lines := l.lines
	l.lines = nil
	return lines
}

// deliver writes what has waited for so long to the bucket that the load balancer's attributes name. What cannot be delivered is
// lost, as on AWS, where delivery is best effort.
func (p *Plane) deliver(ctx context.Context, age time.Duration) error {
	attributes := p.lb.state.Attributes
	if p.lb.serving == nil || attributes["access_logs.s3.enabled"] != "true" {
		return nil
	}
	lines := p.access.take(age)
	if len(lines) == 0 {
		return nil
	}
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	_, _ = writer.Write([]byte(strings.Join(lines, "\n") + "\n"))
	_ = writer.Close()
	key := balancer.LogKey(attributes["access_logs.s3.prefix"], p.account.Account, p.cfg.Region, p.lb.state.ARN, time.Now(),
		p.addresses.own(balancerThird, balancerFourth), strings.ToLower(rand.Text()[:8]))
	bucket := attributes["access_logs.s3.bucket"]
	if p.door != nil { // the bucket's policy need not let anybody else write than the service that delivers
		return p.door.call(ctx, http.MethodPost, "", report{Objects: []objectReport{{bucket, key, packed.Bytes()}}}, nil)
	}
	_, err := p.clients.S3.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(packed.Bytes())})
	if cloud.IsNotFound(err) {
		return nil
	}
	return err
}
