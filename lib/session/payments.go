package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"tapstack/lib"
	"tapstack/lib/cloud"
	"tapstack/lib/inventory"
	"tapstack/lib/load"
	"tapstack/lib/verify/grants"
)

const (
	// settleLimit bounds the wait for the last payment to be worked off, steadyLimit that for a service or the database.
	settleLimit = 2 * time.Minute
	steadyLimit = 2 * time.Minute
	// paymentTries and tryLimit are how often a payment is tried that is not acknowledged, and for how long each time.
	paymentTries = 60
	tryLimit     = 10 * time.Second
)

// PaymentsResult is what came of payments, as merchants saw it and as the database has it.
type PaymentsResult struct {
	load.Result
	Settlement Settlement `json:"settlement"`
}

// Holds says that every payment was acknowledged and settled, none twice, and that the ledger adds up.
func (r PaymentsResult) Holds() bool { return r.Acknowledged == r.Planned && r.Settlement.Holds() }

func (r PaymentsResult) String() string {
	if r.Planned == 0 {
		return ""
	}
	text := fmt.Sprintf("%d of %d acknowledged; %s", r.Acknowledged, r.Planned, r.Settlement)
	var seen []string
	for _, it := range r.Seeing() {
		if it.What != fmt.Sprint(http.StatusCreated) {
			seen = append(seen, fmt.Sprintf("%d × %s", it.Count, it.What))
		}
	}
	if len(seen) > 0 {
		text += "; tried again after " + strings.Join(seen, ", ")
	}
	return text
}

// Settlement is what the database says of all payments.
type Settlement struct {
	// Accepted payments were taken, Settled are those of them that the job processor has worked off, Twice those that it has
	// worked off more than once.
	Accepted int `json:"accepted"`
	Settled  int `json:"settled"`
	Twice    int `json:"twice"`
	// Lost were acknowledged and are not there.
	Lost int `json:"lost"`
	// LedgerSum adds up what the entries of each payment differ from nil by.
	LedgerSum int64 `json:"ledgerSum"`
}

// Holds says that everything accepted was settled, once, nothing acknowledged was lost, and the ledger adds up.
func (p Settlement) Holds() bool {
	return p.Lost == 0 && p.Twice == 0 && p.LedgerSum == 0 && p.Accepted == p.Settled
}

func (p Settlement) String() string {
	return fmt.Sprintf("%d accepted, %d settled, %d twice, %d lost, ledger sum %d", p.Accepted, p.Settled, p.Twice, p.Lost, p.LedgerSum)
}

// Disturbance is something that happens to a stack while payments are made.
type Disturbance struct {
	Name string
	// At is when it begins, from the first payment on.
	At time.Duration
	Do func(s *Session, ctx context.Context) error //nolint:revive // a method
}

// Disturbances of a demo: what happens to every stack in its life.
func Disturbances() []Disturbance {
	return []Disturbance{
		{"killing a task of payment-api", 500 * time.Millisecond, func(s *Session, ctx context.Context) error { return s.Plane.Kill(ctx, "payment-api") }},
		{"releasing another image of payment-api", 200 * time.Millisecond, (*Session).release},
		{"failing over the database", 1500 * time.Millisecond, (*Session).failOver},
	}
}

// Payments has merchants pay through the deployed load balancer, each payment tried until it is acknowledged, while disturbances
// take place. It waits until all is worked off, and asks the database for the proof. It needs a data plane.
func (s *Session) Payments(ctx context.Context, options load.Options, disturbances []Disturbance) (PaymentsResult, error) {
	ctx, stop := s.watch(ctx, Payments)
	defer stop()
	s.progress.Begin(Payments, int(options.Duration.Milliseconds()))
	result, err := s.payments(ctx, options, disturbances)
	return result, s.end(ctx, result.String(), err)
}

func (s *Session) payments(ctx context.Context, options load.Options, disturbances []Disturbance) (result PaymentsResult, err error) {
	if s.Plane == nil {
		return result, errors.New("nothing runs the services here: the data plane is off")
	}
	if options.API, err = s.PaymentAPI(ctx, "", ""); err != nil {
		return result, err
	}
	options.Retries, options.Timeout, options.Progress = paymentTries, tryLimit, s.progress.Loaded
	var happening errgroup.Group
	for _, it := range disturbances {
		happening.Go(func() error {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(it.At):
			}
			began := time.Now()
			if err := it.Do(s, ctx); err != nil {
				return fmt.Errorf("%s: %w", it.Name, err)
			}
			s.progress.Note(fmt.Sprintf("While merchants pay: %s took %.1f s.", it.Name, time.Since(began).Seconds()))
			return nil
		})
	}
	result.Result, err = load.Run(ctx, options)
	if err = errors.Join(err, happening.Wait()); err != nil {
		return result, err
	}
	result.Settlement, err = s.Settlement(ctx, result.Payments, settleLimit)
	return result, err
}

// Settlement waits until everything accepted is settled, or no longer, and tells what the database has.
func (s *Session) Settlement(ctx context.Context, acknowledged []load.Payment, limit time.Duration) (proof Settlement, err error) {
	database, err := s.Database(ctx)
	if err != nil {
		return proof, err
	}
	defer func() { _ = database.Close(context.WithoutCancel(ctx)) }()
	var ids []string
	for _, payment := range acknowledged {
		ids = append(ids, payment.ID)
	}
	err = cloud.Poll(ctx, cloud.Wait{Limit: limit, First: 20 * time.Millisecond, Longest: 500 * time.Millisecond}, func(ctx context.Context) (bool, error) {
		err := database.QueryRow(ctx, `SELECT accepted, settled, twice, ledger_sum,
				(SELECT count(*) FROM unnest($1::text[]) AS acknowledged (id) WHERE NOT EXISTS (SELECT FROM payments p WHERE p.id = acknowledged.id))
			FROM settlement_proof`, ids).Scan(&proof.Accepted, &proof.Settled, &proof.Twice, &proof.LedgerSum, &proof.Lost)
		return proof.Accepted == proof.Settled, err
	})
	switch {
	case errors.Is(err, cloud.ErrTimeout): // the proof tells
		return proof, nil
	case err != nil:
		return proof, fmt.Errorf("reading the proof from the database: %w", err)
	}
	return proof, nil
}

// Database connects to the database's writer as its superuser, which the data plane's owner alone can.
func (s *Session) Database(ctx context.Context) (*pgx.Conn, error) {
	status, err := s.Plane.Status(ctx)
	if err != nil {
		return nil, err
	}
	if status.Database == nil || status.Database.Socket == nil {
		return nil, errors.New("the data plane runs no database")
	}
	outputs, err := s.Stack.Outputs(ctx)
	if err != nil {
		return nil, err
	}
	name, _ := outputs[lib.OutputDBName].(string)
	connection, err := status.Database.Socket.Connect(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("connecting to the database: %w", err)
	}
	return connection, nil
}

// grants asks the database what the services' users may do; nil where it cannot be asked.
func (s *Session) grants() func(context.Context) ([]grants.Grant, error) {
	if s.Plane == nil {
		return nil
	}
	return func(ctx context.Context) ([]grants.Grant, error) {
		database, err := s.Database(ctx)
		if err != nil {
			return nil, err
		}
		defer func() { _ = database.Close(context.WithoutCancel(ctx)) }()
		rows, err := database.Query(ctx, grants.Query, []string{grants.PaymentAPI, grants.JobProcessor})
		if err != nil {
			return nil, fmt.Errorf("asking the database for the grants of its users: %w", err)
		}
		return pgx.CollectRows(rows, pgx.RowToStructByPos[grants.Grant])
	}
}

// release deploys another image of payment-api: its task definition gets a new revision, and the service rolls to it.
func (s *Session) release(ctx context.Context) error {
	config := s.options.Config
	image := config[lib.ConfigPaymentAPIImage]
	if config[lib.ConfigPaymentMigrateImage] == "" { // which is payment-api's, and is to stay
		config[lib.ConfigPaymentMigrateImage] = image
	}
	config[lib.ConfigPaymentAPIImage] = tagged(image, "released-"+strconv.FormatInt(time.Now().Unix(), 10))
	_, err := s.Stack.Up(ctx)
	return err
}

// tagged is the image of the same repository with another tag.
func tagged(image, tag string) string {
	repository, _, _ := strings.Cut(image, "@")
	if colon := strings.LastIndex(repository, ":"); colon > strings.LastIndex(repository, "/") {
		repository = repository[:colon]
	}
	return repository + ":" + tag
}

// failOver makes another instance of the database the writer.
func (s *Session) failOver(ctx context.Context) error {
	id, clients := s.nameOf(inventory.DBCluster), cloud.NewClients(s.Cloud.Config)
	before, err := s.writer(ctx)
	if err == nil {
		_, err = clients.RDS.FailoverDBCluster(ctx, &rds.FailoverDBClusterInput{DBClusterIdentifier: &id})
	}
	if err != nil {
		return err
	}
	return cloud.Poll(ctx, cloud.Wait{Limit: steadyLimit, First: 50 * time.Millisecond, Longest: 500 * time.Millisecond}, func(ctx context.Context) (bool, error) {
		now, err := s.writer(ctx)
		return now != "" && now != before, err
	})
}

// writer is the instance that writes, empty while there is none.
func (s *Session) writer(ctx context.Context) (string, error) {
	status, err := s.Plane.Status(ctx)
	if err != nil || status.Database == nil || !status.Database.Ready {
		return "", err
	}
	return status.Database.Writer, nil
}
