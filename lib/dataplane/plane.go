package dataplane

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"tapstack/lib/cloud"
	"tapstack/lib/dataplane/database"
	"tapstack/lib/dataplane/injection"
	"tapstack/lib/dataplane/postgres"
	"tapstack/lib/process"
)

const (
	// usualSpeed is Options.Speed when it is 0.
	usualSpeed = 10
	// logInterval is the time between two writes to CloudWatch Logs.
	logInterval = time.Second
	// keptStopped is how long a task that has stopped is told. On AWS it is about an hour.
	keptStopped = 5 * time.Minute
	// closeLimit bounds Close.
	closeLimit = 15 * time.Second
)

// Plane runs until Close, or until the process ends, however that ends.
type Plane struct {
	options   Options
	cfg       aws.Config
	clients   *cloud.Clients
	dir       string
	starter   *starter
	addresses *addressRange
	pool      *pool
	metadata  *metadata
	logs      *logWriter
	door      *door
	reporter  reporter
	account   cloud.Identity
	watcher   *watcher
	lb        loadBalancer
	access    accessLog
	meters    meters

	definitions definitions
	subnets     map[string]subnet

	mu            sync.Mutex
	reach         reach
	db            dbCluster
	services      map[string]*service // by ARN
	tasks         map[string]*task    // by ARN
	asked         []askedTask
	problems      map[string]string
	peersOnce     sync.Once
	peers         *database.Peers
	tellOutsiders atomic.Bool   // it was told that others may not connect to the database
	changed       chan struct{} // closed and made anew at each change
	wake          chan struct{}

	shared      *cloud.Reader
	sharedSince time.Time

	stock   *postgres.Stock
	running sync.WaitGroup
	stop    context.CancelFunc
	ended   chan struct{}
	closing sync.Once
	closed  error
}

// Start attaches a plane to the cloud. Nothing needs to be deployed yet. ctx bounds the start only.
func Start(ctx context.Context, options Options) (*Plane, error) {
	if options.Notify == nil {
		options.Notify = func(string) {}
	}
	if options.Speed <= 0 {
		options.Speed = usualSpeed
	}
	p := &Plane{
		options: options, cfg: options.AWS.Copy(), pool: newPool(), definitions: definitions{}, subnets: map[string]subnet{},
		services: map[string]*service{}, tasks: map[string]*task{}, problems: map[string]string{},
		changed: make(chan struct{}), wake: make(chan struct{}, 1), ended: make(chan struct{}), stop: func() {},
		door: newDoor(options.Door, options.Token),
	}
	if p.cfg.HTTPClient == nil {
		p.cfg.HTTPClient = awshttp.NewBuildableClient() // one for all readers, which keeps connections
	}
	p.clients = cloud.NewClients(p.cfg)
	p.watcher = newWatcher(p.door)
	if err := p.prepare(ctx); err != nil {
		return nil, errors.Join(err, p.release())
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	p.stop = stop
	if p.options.Database != "" {
		p.stock = postgres.NewStock()
		p.running.Go(func() { p.stock.Fill(life, p.dir, stocked) })
	}
	go p.loop(life)
	return p, nil
}

func (p *Plane) prepare(ctx context.Context) (err error) {
	if p.dir, err = process.Unprivileged().TempDir(p.options.Dir, "tapstack-plane-"); err != nil {
		return err
	}
	if p.starter, err = newStarter(p.dir); err != nil {
		return err
	}
	if err = os.Mkdir(filepath.Join(p.dir, "tasks"), 0o711); err != nil { //nolint:gosec // tasks run as other users
		return err
	}
	if p.addresses, err = claimRange(); err != nil {
		return err
	}
	if p.metadata, err = serveMetadata(p); err != nil {
		return err
	}
	if p.account, err = cloud.NewReader(p.cfg).Identity(ctx); err != nil {
		return err
	}
	p.logs = newLogWriter(p.clients.Logs)
	return p.door.attach(ctx, true, p.options)
}

// release gives back what prepare has taken.
func (p *Plane) release() error {
	var err error
	if p.metadata != nil {
		err = errors.Join(err, p.metadata.close())
	}
	if p.addresses != nil {
		err = errors.Join(err, p.addresses.close())
	}
	if p.starter != nil {
		return errors.Join(err, p.starter.close()) // removes the folder
	}
	return errors.Join(err, os.RemoveAll(p.dir))
}

// Close stops everything that runs, as ECS would stop it but with less patience, and detaches the plane.
func (p *Plane) Close() error {
	p.closing.Do(func() {
		p.stop()
		<-p.ended
		ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
		defer cancel()
		p.closed = errors.Join(p.door.attach(ctx, false, p.options), p.release())
	})
	return p.closed
}

// loop looks at the API and at what runs, again and again, and does what is to be done.
func (p *Plane) loop(ctx context.Context) {
	defer close(p.ended)
	writing := make(chan struct{})
	logging, stopLogging := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(writing)
		p.logs.run(logging, logInterval)
	}()
	ticker := time.NewTicker(askInterval)
	defer ticker.Stop()
	acted := time.Time{}
	for asked := true; ctx.Err() == nil; {
		changed := !asked
		if asked {
			changed = p.look(ctx)
		}
		if p.observe() || changed || time.Since(acted) > p.patience() {
			p.act(ctx)
			acted = time.Now()
		}
		p.problem("the access log", p.deliver(ctx, time.Duration(float64(deliveryInterval)/p.options.Speed)))
		p.measure(ctx)
		select {
		case <-ctx.Done():
		case <-ticker.C:
			asked = true
		case <-p.wake:
			asked = false
		}
	}
	p.endBalancer(logging)
	p.running.Wait()
	p.problem("the end of the database", p.endDatabase())
	stopLogging()
	<-writing
}

// patience is how long nothing has to be decided where nothing has changed: while a service is on its way, time decides much.
func (p *Plane) patience() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.services {
		if !s.steady {
			return 0
		}
	}
	return time.Second
}

// change does something that others are to see, and has the loop look at it.
func (p *Plane) change(f func()) {
	p.changeIf(func() bool { f(); return true })
}

// changeIf is change if f says that there was one.
func (p *Plane) changeIf(f func() bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !f() {
		return
	}
	p.announce()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// announce wakes those who wait for a change; p.mu is held.
func (p *Plane) announce() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// requestID differs with each answer.
var requestID = regexp.MustCompile(`RequestID: [^,]*, `)

// problem notes what cannot be done at present, or that it can be again. It is told once.
func (p *Plane) problem(what string, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	p.mu.Lock()
	before := p.problems[what]
	now := ""
	if err != nil {
		now = what + ": " + requestID.ReplaceAllString(err.Error(), "")
		p.problems[what] = now
	} else {
		delete(p.problems, what)
	}
	if now != before {
		p.announce()
	}
	p.mu.Unlock()
	if now != "" && now != before {
		p.options.Notify("The data plane: " + now)
	}
}

// look reads what has changed, and says whether it looked at anything.
func (p *Plane) look(ctx context.Context) (looked bool) {
	p.problem("the emulator", p.watcher.ask(ctx))
	reader := cloud.NewReader(p.cfg)
	for _, each := range []struct {
		what   string
		aspect *aspect
		read   func(context.Context, *cloud.Reader) error
	}{
		{"the database", databaseAspect, p.readDatabase},
		{"the cluster", clusterAspect, p.readServices},
		{"the network", networkAspect, p.readReach},
		{"the load balancer", balancerAspect, p.readBalancer},
		{"autoscaling", scalingAspect, p.readScaling},
	} {
		if !p.watcher.due(each.aspect) {
			continue
		}
		looked = true
		err := each.read(ctx, reader)
		if err != nil {
			p.watcher.failed(each.aspect)
		}
		p.problem("reading "+each.what, err)
	}
	return looked
}

func (p *Plane) readServices(ctx context.Context, reader *cloud.Reader) error {
	read, err := readCluster(ctx, reader, p.options.Cluster, p.expected())
	if err != nil {
		return err
	}
	return p.follow(ctx, reader, read)
}

// expected are the tasks that the API is to list as running.
func (p *Plane) expected() map[string]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := map[string]bool{}
	for arn, t := range p.tasks {
		if t.active() && p.reporter.told(arn) {
			known[arn] = true
		}
	}
	return known
}

// Status tells what runs.
func (p *Plane) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status()
}

// Wait waits until the status is as asked for; it returns what ends ctx, with the problems of the moment.
func (p *Plane) Wait(ctx context.Context, done func(Status) bool) error {
	for {
		p.mu.Lock()
		status, changed := p.status(), p.changed
		p.mu.Unlock()
		if done(status) {
			return nil
		}
		select {
		case <-changed:
		case <-p.ended:
			return errors.New("the data plane has ended")
		case <-ctx.Done():
			err := context.Cause(ctx)
			for _, problem := range status.Problems {
				err = fmt.Errorf("%w; %s", err, problem)
			}
			return err
		}
	}
}

func (p *Plane) status() Status {
	s := Status{Speed: p.options.Speed}
	for _, arn := range slices.Sorted(maps.Keys(p.services)) {
		service := p.services[arn]
		running, pending, healthy := 0, 0, 0
		for _, t := range p.tasks {
			if t.service != arn || !t.active() {
				continue
			}
			if t.status == statusRunning {
				running++
			} else {
				pending++
			}
			if t.healthy(service) {
				healthy++
			}
		}
		s.Services = append(s.Services, ServiceStatus{
			Name: service.name(), TaskDefinition: service.primary().definition, RolloutState: string(service.primary().state),
			Desired: int(service.api.DesiredCount), Pending: pending, Running: running, Healthy: healthy, Steady: service.steady,
		})
	}
	for _, t := range p.sorted() {
		told := TaskStatus{
			ID: t.id, Service: last(t.service), TaskDefinition: aws.ToString(t.definition.TaskDefinitionArn), LastStatus: t.status,
			HealthStatus: string(t.health), Zone: t.zone, PrivateAddress: t.private.String(), Host: t.host,
		}
		if t.ending != nil {
			told.StoppedReason = t.ending.reason
		}
		for _, r := range t.runners {
			told.Containers = append(told.Containers, ContainerStatus{aws.ToString(r.definition.Name), r.pid, r.exitCode, r.reason})
		}
		s.Tasks = append(s.Tasks, told)
	}
	if p.lb.addresses != nil {
		s.LoadBalancer = &LoadBalancerStatus{Name: p.lb.name, DNSName: p.lb.dnsName, Addresses: maps.Clone(p.lb.addresses), StandIns: p.lb.standIns}
	}
	s.Database = p.databaseStatus()
	for _, what := range slices.Sorted(maps.Keys(p.problems)) {
		s.Problems = append(s.Problems, p.problems[what])
	}
	return s
}

// sorted are the tasks, the oldest first; p.mu is held.
func (p *Plane) sorted() []*task {
	return slices.SortedFunc(maps.Values(p.tasks), func(a, b *task) int {
		if order := a.created.Compare(b.created); order != 0 {
			return order
		}
		return cmp.Compare(a.id, b.id)
	})
}

// DatabaseWriter is what Kill knows the writer of the database by.
const DatabaseWriter = "database-writer"

// ErrNoTask is what Kill meets where everybody is dead already.
var ErrNoTask = errors.New("no task runs")

// Kill kills a process of that container, in one task of those that run it, as an out-of-memory killer would (SIGKILL). The
// death of the DatabaseWriter is followed by a failover, as Aurora does. Where no task runs it, the error is ErrNoTask.
func (p *Plane) Kill(container string) error {
	if container == DatabaseWriter {
		return p.killWriter()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var pids []int
	for _, t := range p.tasks {
		for _, r := range t.runners {
			if aws.ToString(r.definition.Name) == container && r.pid != 0 && t.active() && t.status == statusRunning {
				pids = append(pids, r.pid)
			}
		}
	}
	if len(pids) == 0 {
		return fmt.Errorf("%w a container %s", ErrNoTask, container)
	}
	signalGroup(pids[rand.IntN(len(pids))], syscall.SIGKILL) //nolint:gosec // any will do
	return nil
}

// resolve is the environment that a task's definition gives a container, as its execution role may read it.
func (p *Plane) resolve(ctx context.Context, t *task, container string) (map[string]string, error) {
	values, err := injection.Resolve(ctx, injection.Source{Reader: p.sharedReader(), Task: t.arn}, *t.definition, container)
	var reason injection.StoppedReason
	if err != nil && !errors.As(err, &reason) {
		err = fmt.Errorf("ResourceInitializationError: unable to pull secrets or registry auth: %w", err)
	}
	return values, err
}

// sharedReader is one reader for all tasks that start at one time.
func (p *Plane) sharedReader() *cloud.Reader {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shared == nil || time.Since(p.sharedSince) > pollInterval {
		p.shared, p.sharedSince = cloud.NewReader(p.cfg), time.Now()
	}
	return p.shared
}

// Network resolves the load balancer's name and the database's endpoints.
func (p *Plane) Network() Network {
	return NetworkOf(func(context.Context) (Status, error) { return p.Status(), nil })
}
