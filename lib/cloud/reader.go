package cloud

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Reader reads an account and region. Each of its methods asks once, and whoever asks again or meanwhile shares the
// answer, errors included. Its clients ask anew with each call.
type Reader struct {
	*Clients
	Region string

	calls   calls
	mu      sync.Mutex
	answers map[string]*answer
}

type answer struct {
	once  sync.Once
	value any
	err   error
}

// NewReader prepares to read the account and region that cfg reaches. It asks nothing yet.
func NewReader(cfg aws.Config) *Reader {
	r := &Reader{Region: cfg.Region, answers: map[string]*answer{}, calls: calls{refused: map[string]bool{}}}
	cfg = cfg.Copy()
	cfg.APIOptions = append(slices.Clone(cfg.APIOptions), r.calls.record)
	r.Clients = NewClients(cfg)
	return r
}

func (r *Reader) answer(key string) *answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.answers[key]
	if !ok {
		a = &answer{}
		r.answers[key] = a
	}
	return a
}

// Once returns the reader's one answer for key, which fetch gets if nobody has asked yet. All who share a reader should
// share a context, or one's end spoils an answer that others wait for.
func Once[T any](ctx context.Context, r *Reader, key string, fetch func(context.Context) (T, error)) (T, error) {
	a := r.answer(key)
	a.once.Do(func() {
		defer func() {
			if p := recover(); p != nil {
				a.err = fmt.Errorf("reading %s: %v", key, p)
			}
		}()
		v, err := fetch(ctx)
		if err != nil {
			a.err = fmt.Errorf("reading %s: %w", key, err)
			return
		}
		a.value = v
	})
	v, _ := a.value.(T)
	return v, a.err
}

// Identity says whose cloud answered, and where.
type Identity struct {
	Account   string `json:"account"`
	Region    string `json:"region"`
	Partition string `json:"partition"`
	// Caller is who asks, as STS names it.
	Caller string `json:"-"`
}

// Identity asks whose account it is.
func (r *Reader) Identity(ctx context.Context) (Identity, error) {
	return Once(ctx, r, "sts:GetCallerIdentity", func(ctx context.Context) (Identity, error) {
		out, err := r.STS.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			return Identity{}, err
		}
		id := Identity{Account: aws.ToString(out.Account), Region: r.Region, Partition: "aws", Caller: aws.ToString(out.Arn)}
		if who, err := arn.Parse(aws.ToString(out.Arn)); err == nil && who.Partition != "" {
			id.Partition = who.Partition
		}
		if id.Account == "" {
			return id, errors.New("the answer names no account")
		}
		return id, nil
	})
}

// ARN builds the ARN of a resource whose API does not tell it, without an account where that is not known.
func (r *Reader) ARN(ctx context.Context, service, resource string) string {
	id, err := r.Identity(ctx)
	if err != nil {
		id = Identity{Partition: "aws"}
	}
	return arn.ARN{Partition: id.Partition, Service: service, Region: r.Region, AccountID: id.Account, Resource: resource}.String()
}

// EC2ARN builds the ARN of an EC2 resource of a type such as "subnet".
func (r *Reader) EC2ARN(ctx context.Context, resourceType, id string) string {
	return r.ARN(ctx, "ec2", resourceType+"/"+id)
}

// TagMap makes a map of a service's tags, or of other pairs of a key and a value.
func TagMap[T any](tags []T, pair func(T) (key, value *string)) map[string]string {
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		k, v := pair(t)
		m[aws.ToString(k)] = aws.ToString(v)
	}
	return m
}
