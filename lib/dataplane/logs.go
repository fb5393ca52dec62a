package dataplane

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslogs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"tapstack/lib/cloud"
)

// The limits of PutLogEvents (CloudWatch Logs API reference): bytes with 26 for each event, and events.
const (
	mostLogBytes, bytesPerEvent = 1 << 20, 26
	mostLogEvents               = 10_000
	// mostWaiting is how many bytes of a stream wait at most: like the awslogs driver in non-blocking mode, the eldest are dropped.
	mostWaiting = 10 << 20
)

// logWriter carries lines of output to CloudWatch Logs, in batches.
type logWriter struct {
	client  *awslogs.Client
	mu      sync.Mutex
	streams map[string]*logStream
	wake    chan struct{}
}

// logStream is a stream with what waits for it.
type logStream struct {
	writer      *logWriter
	group, name string
	events      []logtypes.InputLogEvent
	bytes       int
	dropped     int
	ended       bool
}

func newLogWriter(client *awslogs.Client) *logWriter {
	return &logWriter{client: client, streams: map[string]*logStream{}, wake: make(chan struct{}, 1)}
}

// open makes a stream in a group that exists, as a task does that starts.
func (w *logWriter) open(ctx context.Context, group, name string, makeGroup bool) (*logStream, error) {
	make := func() error {
		_, err := w.client.CreateLogStream(ctx, &awslogs.CreateLogStreamInput{LogGroupName: &group, LogStreamName: &name})
		return err
	}
	err := make()
	if makeGroup && cloud.IsNotFound(err) {
		if _, err = w.client.CreateLogGroup(ctx, &awslogs.CreateLogGroupInput{LogGroupName: &group}); err == nil {
			err = make()
		}
	}
	if err != nil && !cloud.HasCode(err, "ResourceAlreadyExistsException") {
		return nil, err
	}
	s := &logStream{writer: w, group: group, name: name}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.streams[group+" "+name] = s
	return s, nil
}

// write adds a line to what waits.
func (s *logStream) write(line string) {
	if line == "" {
		return
	}
	s.writer.mu.Lock()
	defer s.writer.mu.Unlock()
	s.events = append(s.events, logtypes.InputLogEvent{Message: &line, Timestamp: aws.Int64(time.Now().UnixMilli())})
	s.bytes += len(line) + bytesPerEvent
	for s.bytes > mostWaiting {
		s.bytes -= len(*s.events[0].Message) + bytesPerEvent
		s.events = s.events[1:]
		s.dropped++
	}
	if s.bytes > mostLogBytes/2 || len(s.events) > mostLogEvents/2 {
		select {
		case s.writer.wake <- struct{}{}:
		default:
		}
	}
}

// end has the stream forgotten once it is written.
func (s *logStream) end() {
	s.writer.mu.Lock()
	defer s.writer.mu.Unlock()
	s.ended = true
}

// run writes what waits every so often until ctx ends, and then once more.
func (w *logWriter) run(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			w.flush(last)
			return
		case <-ticker.C:
		case <-w.wake:
		}
		w.flush(ctx)
	}
}

// flush writes what waits. A batch that is refused for a reason that may pass is kept; one without a group or stream is lost.
func (w *logWriter) flush(ctx context.Context) {
	w.mu.Lock()
	var due []*logStream
	for key, s := range w.streams {
		if len(s.events) > 0 {
			due = append(due, s)
		} else if s.ended {
			delete(w.streams, key)
		}
	}
	w.mu.Unlock()
	slices.SortFunc(due, func(a, b *logStream) int { return cmp.Compare(a.group+a.name, b.group+b.name) })
	for _, s := range due {
		for {
			batch := s.take()
			if len(batch) == 0 {
				break
			}
			_, err := w.client.PutLogEvents(ctx, &awslogs.PutLogEventsInput{LogGroupName: &s.group, LogStreamName: &s.name, LogEvents: batch})
			if err != nil && !cloud.IsNotFound(err) {
				s.putBack(batch)
				break
			}
		}
	}
}

// take takes a batch of what waits.
func (s *logStream) take() []logtypes.InputLogEvent {
	s.writer.mu.Lock()
	defer s.writer.mu.Unlock()
	if s.dropped > 0 {
		s.events = slices.Insert(s.events, 0, logtypes.InputLogEvent{
			Message: aws.String(fmt.Sprintf("(%d lines dropped: CloudWatch Logs took them too slowly)", s.dropped)), Timestamp: s.events[0].Timestamp,
		})
		s.dropped = 0
	}
	n, bytes := 0, 0
	for n < len(s.events) && n < mostLogEvents {
		size := len(*s.events[n].Message) + bytesPerEvent
		if bytes+size > mostLogBytes {
			break
		}
		bytes += size
		n++
	}
	batch := slices.Clone(s.events[:n])
	s.events, s.bytes = s.events[n:], max(0, s.bytes-bytes)
	return batch
}

func (s *logStream) putBack(batch []logtypes.InputLogEvent) {
	s.writer.mu.Lock()
	defer s.writer.mu.Unlock()
	s.events = append(batch, s.events...)
	for _, e := range batch {
		s.bytes += len(*e.Message) + bytesPerEvent
	}
}
