package dataplane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"tapstack/lib/cloud"
	"tapstack/lib/dataplane/database"
	"tapstack/lib/dataplane/postgres"
	"tapstack/lib/reachability"
)

// dbCluster is the DB cluster that the plane serves. All is guarded by p.mu, save what is said.
type dbCluster struct {
	identifier string
	api        rdstypes.DBCluster
	endpoints  endpoints
	// pending says that the API has a cluster that takes no connections here yet.
	pending bool
	// serving is nil until it does.
	serving   *postgres.Cluster
	authority []byte
	fronts    []*database.Front
	busy      bool      // it starts, or promotes
	read      time.Time // when it was looked at last
	failed    bool      // it did not start
	servers   []reachability.Interface
	// used is what the servers had used when they were asked last; measuring says that they are being asked.
	used      map[string]serverUse
	measuring bool
	// tried is when it was to be started first, notBefore when it is tried again.
	tried, notBefore time.Time
}

// endpoints are where the servers of a cluster are reached: by name and port as the API tells them, and on this machine.
type endpoints struct {
	port           int
	writer, reader string
	instances      []instance
	// hosts are the addresses that stand for names which do not lead to this machine.
	hosts map[string]string
}

// instance is a DB instance: its identifier, its endpoint, and where its server listens behind it.
type instance struct{ name, host, behind string }

const (
	// serverThird is the third number of the servers' own addresses in the plane's range, endpointThird of those that stand for names.
	serverThird, endpointThird = 254, 253
	serverPort                 = 5432
	// stocked is how many instances data are kept ready for: one in each of three zones.
	stocked = 3
	// retryPause is the time before a database is started again that did not start.
	retryPause = 10 * time.Second
	// passwordPause is the time before the master user's password is looked for again, passwordPatience how long nobody is told that
	// it is missing.
	passwordPause, passwordPatience = time.Second, 30 * time.Second
	// startLimit bounds the start of the database, and a promotion; waitLimit how long a task waits for it.
	startLimit, waitLimit = 10 * time.Minute, 60 * time.Second
	// failoverCall bounds the call that asks for a failover.
	failoverCall = 15 * time.Second
)

// readDatabase reads the DB cluster, starts what serves it, promotes whom the API calls the writer, and ends what serves none.
func (p *Plane) readDatabase(ctx context.Context, r *cloud.Reader) error {
	began := time.Now()
	err := p.lookAtDatabase(ctx, r)
	p.change(func() { p.db.read = began })
	return err
}

func (p *Plane) lookAtDatabase(ctx context.Context, r *cloud.Reader) error {
	if p.options.Database == "" {
		return nil
	}
	all, err := r.DBClusters(ctx)
	if err != nil && !cloud.IsNotFound(err) {
		return err
	}
	i := slices.IndexFunc(all, func(c rdstypes.DBCluster) bool { return aws.ToString(c.DBClusterIdentifier) == p.options.Database })
	if i < 0 || len(all[i].DBClusterMembers) == 0 {
		p.change(func() { p.db.pending = i >= 0 })
		if i < 0 {
			p.closeDatabase()
		}
		return nil
	}
	found := all[i]
	instances, err := r.DBInstances(ctx)
	if err != nil {
		return err
	}
	ends := p.endpointsOf(found, instances)
	servers, err := p.databaseInterfaces(ctx, r, found)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.db.api, p.db.servers, p.db.identifier = found, servers, p.options.Database
	switch {
	case p.db.busy:
		p.watcher.failed(databaseAspect)
	case p.db.serving == nil:
		p.db.pending = !p.db.failed
		if ends.instances[0].host == "" || time.Now().Before(p.db.notBefore) {
			p.watcher.failed(databaseAspect) // look again soon
			return nil
		}
		// The others are added, be they there or not: the first task need not wait for the last replica.
		ends.instances = ends.instances[:1]
		ends.hosts = p.standIns(ends)
		p.db.busy, p.db.endpoints = true, ends
		if p.db.tried.IsZero() {
			p.db.tried = time.Now()
		}
		tried := p.db.tried
		p.running.Go(func() { p.startDatabase(ctx, found, ends, tried) })
	default:
		if !p.addInstance(ctx, ends) {
			p.promote(ctx, found)
		}
	}
	return nil
}

// addInstance has an instance served that the cluster did not have before, one at a time, and says whether there was any; p.mu
// is held.
func (p *Plane) addInstance(ctx context.Context, now endpoints) bool {
	known := p.db.endpoints
	i := slices.IndexFunc(now.instances, func(one instance) bool { return one.host != "" && known.behind(one.name) == "" })
	if i < 0 {
		return false
	}
	added := now.instances[i]
	added.behind = net.JoinHostPort(p.addresses.own(serverThird, byte(len(known.instances)+1)), strconv.Itoa(serverPort)) //nolint:gosec // a cluster has 16 instances at most
	if address, err := netip.ParseAddr(added.host); err != nil || !address.IsLoopback() {
		known.hosts = maps.Clone(known.hosts)
		known.hosts[added.host] = p.addresses.own(endpointThird, byte(len(known.hosts)+1)) //nolint:gosec // the same
	}
	known.instances = append(slices.Clip(known.instances), added)
	serving := p.db.serving
	p.db.busy = true
	p.running.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, startLimit)
		defer cancel()
		err := serving.Add(ctx, postgres.Member{Name: added.name, Address: added.behind}, added.host, known.host(added.host))
		var front *database.Front
		if err == nil {
			front = p.front(added.host, known, func() []string { return []string{added.behind} })
			err = front.Start(ctx)
		}
		p.problem("the instance "+added.name+" of the database", err)
		p.change(func() {
			p.db.busy = false
			if err == nil {
				p.db.endpoints, p.db.fronts = known, append(p.db.fronts, front)
			}
		})
		p.watcher.failed(databaseAspect)
	})
	return true
}

// endpointsOf reads the endpoints of a cluster, the writer's instance first.
func (p *Plane) endpointsOf(c rdstypes.DBCluster, all []rdstypes.DBInstance) endpoints {
	e := endpoints{port: int(aws.ToInt32(c.Port)), writer: aws.ToString(c.Endpoint), reader: aws.ToString(c.ReaderEndpoint)}
	if e.port == 0 {
		e.port = serverPort
	}
	members := slices.SortedStableFunc(slices.Values(c.DBClusterMembers), func(a, b rdstypes.DBClusterMember) int {
		if writer := btoi(aws.ToBool(b.IsClusterWriter)) - btoi(aws.ToBool(a.IsClusterWriter)); writer != 0 {
			return writer
		}
		return strings.Compare(aws.ToString(a.DBInstanceIdentifier), aws.ToString(b.DBInstanceIdentifier))
	})
	for i, m := range members {
		one := instance{name: aws.ToString(m.DBInstanceIdentifier), behind: net.JoinHostPort(p.addresses.own(serverThird, byte(i+1)), strconv.Itoa(serverPort))}
		for _, d := range all {
			if aws.ToString(d.DBInstanceIdentifier) == one.name && d.Endpoint != nil {
				one.host = aws.ToString(d.Endpoint.Address)
			}
		}
		e.instances = append(e.instances, one)
	}
	return e
}

// standIns are the addresses for the names of endpoints that do not lead to this machine.
func (p *Plane) standIns(e endpoints) map[string]string {
	hosts := map[string]string{}
	for _, name := range e.names() {
		if address, err := netip.ParseAddr(name); err != nil || !address.IsLoopback() {
			hosts[name] = p.addresses.own(endpointThird, byte(len(hosts)+1)) //nolint:gosec // they are few
		}
	}
	return hosts
}

// names are those of all endpoints.
func (e endpoints) names() (names []string) {
	for _, name := range append([]string{e.writer, e.reader}, e.instanceHosts()...) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func (e endpoints) instanceHosts() (hosts []string) {
	for _, i := range e.instances {
		hosts = append(hosts, i.host)
	}
	return hosts
}

// host is the address of this machine that stands for an endpoint.
func (e endpoints) host(name string) string {
	if stands, is := e.hosts[name]; is {
		return stands
	}
	return name
}

// startDatabase starts PostgreSQL for a cluster and the fronts for its endpoints; tried is when that was to be done first.
func (p *Plane) startDatabase(ctx context.Context, c rdstypes.DBCluster, e endpoints, tried time.Time) {
	log := p.databaseLog(ctx, c)
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	serving, fronts, err := p.openDatabase(ctx, c, e, log)
	var authority []byte
	if err == nil {
		authority, err = os.ReadFile(serving.Authority())
	}
	early := errors.Is(err, errNoPassword) && time.Since(tried) < passwordPatience
	if !early {
		p.problem("the database", err)
	}
	p.change(func() {
		p.db.busy, p.db.pending = false, early
		switch {
		case err == nil:
			p.db.serving, p.db.fronts, p.db.authority = serving, fronts, authority
		case early: // the secret is made after the cluster
			p.db.notBefore = time.Now().Add(passwordPause)
		default:
			p.db.failed = true
			p.db.notBefore = time.Now().Add(retryPause)
		}
	})
	p.watcher.failed(databaseAspect)
}

func (p *Plane) openDatabase(
	ctx context.Context, c rdstypes.DBCluster, e endpoints, log func(member, line string),
) (*postgres.Cluster, []*database.Front, error) {
	password, err := p.masterPassword(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	var members []postgres.Member
	for _, i := range e.instances {
		members = append(members, postgres.Member{Name: i.name, Address: i.behind})
	}
	names := e.names()
	for _, host := range e.hosts {
		names = append(names, host)
	}
	serving, err := postgres.Start(ctx, postgres.Options{
		Dir: p.dir, Stock: p.stock, Members: members, Names: names, Database: aws.ToString(c.DatabaseName), User: aws.ToString(c.MasterUsername), Password: password,
		Notify: func(text string) { p.options.Notify(text) }, Log: log,
	})
	if err != nil {
		return nil, nil, err
	}
	if len(e.hosts) > 0 {
		p.options.Notify("The data plane: the names of the database's endpoints do not lead to this machine: tasks get addresses in place of them")
	}
	fronts := p.fronts(serving, e)
	for i, f := range fronts {
		if err := f.Start(ctx); err != nil {
			for _, started := range fronts[:i] {
				err = errors.Join(err, started.Close())
			}
			return nil, nil, errors.Join(err, serving.Close())
		}
	}
	return serving, fronts, nil
}

// masterPassword asks the emulator's door, since RDS tells it to nobody. Where there is none, a secret may: one with the fields that RDS and
// the AWS clients keep of a user (AWS Secrets Manager user guide, "JSON structure of AWS Secrets Manager database credential secrets").
func (p *Plane) masterPassword(ctx context.Context, c rdstypes.DBCluster) (string, error) {
	if p.door == nil {
		return p.storedPassword(ctx, c)
	}
	var told struct{ MasterUserPassword string }
	err := p.door.secret(ctx, "cluster", aws.ToString(c.DBClusterIdentifier), &told)
	if err == nil && told.MasterUserPassword == "" {
		err = errors.New("the emulator does not know the master user's password")
	}
	return told.MasterUserPassword, err
}

func (p *Plane) storedPassword(ctx context.Context, c rdstypes.DBCluster) (string, error) {
	all, err := cloud.Pages(ctx, secretsmanager.NewListSecretsPaginator(p.clients.SecretsManager, &secretsmanager.ListSecretsInput{}),
		func(o *secretsmanager.ListSecretsOutput) []smtypes.SecretListEntry { return o.SecretList })
	if err != nil {
		return "", err
	}
	for _, one := range all {
		out, err := p.clients.SecretsManager.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: one.ARN})
		if err != nil {
			continue // it has no value, or is another's
		}
		var fields struct{ Host, Username, Password string }
		if json.Unmarshal([]byte(aws.ToString(out.SecretString)), &fields) == nil && fields.Password != "" &&
			fields.Host == aws.ToString(c.Endpoint) && fields.Username == aws.ToString(c.MasterUsername) {
			return fields.Password, nil
		}
	}
	return "", errNoPassword
}

var errNoPassword = errors.New("nobody tells the master user's password: the cloud has no door for a data plane, and no secret has the cluster's endpoint as host, " +
	"the master user as username and a password")

// fronts are the addresses of the endpoints: the writer's leads to whoever is, the reader's to the others in turn.
func (p *Plane) fronts(serving *postgres.Cluster, e endpoints) []*database.Front {
	var fronts []*database.Front
	add := func(name string, backend func() []string) {
		if name == "" {
			return
		}
		front := p.front(name, e, backend)
		if slices.ContainsFunc(fronts, func(f *database.Front) bool { return f.Listen == front.Listen }) {
			return
		}
		fronts = append(fronts, front)
	}
	add(e.writer, func() []string { return []string{p.endpointsNow().behind(serving.Writer())} })
	var turn atomic.Int64
	add(e.reader, func() []string {
		var readers []string
		e := p.endpointsNow()
		for _, i := range e.instances {
			if i.name != serving.Writer() {
				readers = append(readers, i.behind)
			}
		}
		if len(readers) == 0 { // as on Aurora
			return []string{e.behind(serving.Writer())}
		}
		first := int(turn.Add(1)) % len(readers)
		return append(slices.Clone(readers[first:]), readers[:first]...)
	})
	for _, i := range e.instances {
		add(i.host, func() []string { return []string{i.behind} })
	}
	return fronts
}

// front is the address of an endpoint, to which tasks are let as the network's rules let them.
func (p *Plane) front(name string, e endpoints, backend func() []string) *database.Front {
	p.peersOnce.Do(func() { p.peers = database.NewPeers(p.processes) })
	return &database.Front{
		Listen: net.JoinHostPort(e.host(name), strconv.Itoa(e.port)), Backend: backend, Peers: p.peers,
		Permit:  database.Rules{Network: p.networkNow, Task: p.interfaceOf, Servers: p.databaseServers, Port: int32(e.port)}.Permit, //nolint:gosec // a port
		Refused: p.refused,
	}
}

func (p *Plane) endpointsNow() endpoints {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.db.endpoints
}

func (e endpoints) behind(name string) string {
	for _, i := range e.instances {
		if i.name == name {
			return i.behind
		}
	}
	return ""
}

// refused tells, once, that somebody was kept from the database. The connections of a task that was killed come from nobody any
// more, as do those that are over before they are looked at.
func (p *Plane) refused(peer database.Peer, err error) {
	if peer.Task != "" {
		p.problem(blockedPrefix+"task "+peer.Task+" to the database", err)
	} else if !errors.Is(err, database.ErrGone) && !p.tellOutsiders.Swap(true) {
		p.options.Notify("The data plane: only tasks that the security groups let in may connect to the database, as on AWS: a connection of another process was refused")
	}
}

// processes are those of tasks, with the tasks' ids.
func (p *Plane) processes() map[int]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[int]string{}
	for _, t := range p.tasks {
		for _, r := range t.runners {
			if r.pid != 0 {
				all[r.pid] = t.id
			}
		}
	}
	return all
}

func (p *Plane) networkNow() (*reachability.Network, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reach.network == nil {
		return nil, errUnread
	}
	return p.reach.network, nil
}

func (p *Plane) interfaceOf(id string) (reachability.Interface, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.tasks {
		if t.id == id {
			return t.at(), nil
		}
	}
	return reachability.Interface{}, fmt.Errorf("there is no task %s", id)
}

func (p *Plane) databaseServers() ([]reachability.Interface, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.db.servers, nil
}

// databaseInterfaces are the interfaces of a cluster's instances: those that the API tells, else what stands for them in the
// cluster's subnets, with its security groups.
func (p *Plane) databaseInterfaces(ctx context.Context, r *cloud.Reader, c rdstypes.DBCluster) ([]reachability.Interface, error) {
	groups, err := r.DBSubnetGroups(ctx)
	if err != nil {
		return nil, err
	}
	var subnets, security []string
	for _, g := range groups {
		if aws.ToString(g.DBSubnetGroupName) == aws.ToString(c.DBSubnetGroup) {
			for _, s := range g.Subnets {
				subnets = append(subnets, aws.ToString(s.SubnetIdentifier))
			}
		}
	}
	for _, g := range c.VpcSecurityGroups {
		security = append(security, aws.ToString(g.VpcSecurityGroupId))
	}
	all, err := r.NetworkInterfaces(ctx)
	if err != nil {
		return nil, err
	}
	var told []reachability.Interface
	for _, one := range (reach{interfaces: all}).of("RDSNetworkInterface") {
		if slices.Contains(subnets, one.Subnet) && slices.Equal(slices.Sorted(slices.Values(one.Groups)), slices.Sorted(slices.Values(security))) {
			told = append(told, one)
		}
	}
	if len(told) > 0 {
		return told, nil
	}
	return p.standInInterfaces(ctx, security, subnets)
}

// standInInterfaces stand for interfaces that the API does not tell: one in each of some subnets.
func (p *Plane) standInInterfaces(ctx context.Context, security, subnets []string) (all []reachability.Interface, err error) {
	if err := p.learnSubnets(ctx, subnets); err != nil {
		return nil, err
	}
	for _, id := range subnets {
		prefix, err := netip.ParsePrefix(aws.ToString(p.subnets[id].CidrBlock))
		if err != nil {
			return nil, fmt.Errorf("subnet %s: %w", id, err)
		}
		const first = 4 // AWS keeps those before it
		all = append(all, reachability.Interface{Groups: security, Subnet: id, Address: plus(prefix.Masked().Addr(), first)})
	}
	return all, nil
}

// promote makes the instance the writer that the API calls so, if it is another; p.mu is held.
func (p *Plane) promote(ctx context.Context, c rdstypes.DBCluster) {
	serving, writer := p.db.serving, ""
	for _, m := range c.DBClusterMembers {
		if aws.ToBool(m.IsClusterWriter) {
			writer = aws.ToString(m.DBInstanceIdentifier)
		}
	}
	failing := aws.ToString(c.Status) == "failing-over"
	if writer == serving.Writer() && !failing || p.db.endpoints.behind(writer) == "" {
		return
	}
	p.db.busy = true
	fronts := p.db.fronts
	p.running.Go(func() {
		bounded, cancel := context.WithTimeout(ctx, startLimit)
		defer cancel()
		var err error
		if writer != serving.Writer() { // else only its end has not been told yet
			err = serving.Promote(bounded, writer)
			for _, f := range fronts[:1] {
				f.Cut() // whoever is still connected would go on with what was the writer
			}
			p.problem("the failover of the database", err)
		}
		if err == nil && failing {
			err = p.door.call(bounded, "POST", "", report{Clusters: []clusterReport{{aws.ToString(c.DBClusterIdentifier), "available"}}}, nil)
			p.problem("the end of the failover", err)
		}
		p.change(func() { p.db.busy = false })
		p.watcher.failed(databaseAspect)
	})
}

// killWriter kills the writer's server and has the API fail over to an instance that can take over at once, as Aurora does; where
// there is none, or it is failing over already, the writer comes back as what it was.
func (p *Plane) killWriter() error {
	p.mu.Lock()
	serving, id := p.db.serving, p.db.identifier
	p.mu.Unlock()
	if serving == nil {
		return errors.New("no database runs")
	}
	if err := serving.Kill(serving.Writer()); err != nil {
		return err
	}
	replica := serving.Replica()
	if replica == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), failoverCall)
	defer cancel()
	_, err := p.clients.RDS.FailoverDBCluster(ctx, &rds.FailoverDBClusterInput{DBClusterIdentifier: &id, TargetDBInstanceIdentifier: &replica})
	p.watcher.failed(databaseAspect) // there is something new
	if already := (*rdstypes.InvalidDBClusterStateFault)(nil); err != nil && !errors.As(err, &already) {
		return fmt.Errorf("failing over the database cluster %s: %w", id, err)
	}
	return nil
}

// databaseLog carries what the servers log to the log group of the cluster, where the cluster exports its log (Amazon Aurora user
// guide, "Publishing Aurora PostgreSQL logs to Amazon CloudWatch Logs").
func (p *Plane) databaseLog(ctx context.Context, c rdstypes.DBCluster) func(member, line string) {
	if !slices.Contains(c.EnabledCloudwatchLogsExports, "postgresql") {
		return nil
	}
	group := "/aws/rds/cluster/" + aws.ToString(c.DBClusterIdentifier) + "/postgresql"
	var mu sync.Mutex
	streams := map[string]*logStream{}
	stream := func(member string) *logStream {
		mu.Lock()
		defer mu.Unlock()
		if known, is := streams[member]; is {
			return known
		}
		opened, err := p.logs.open(ctx, group, member, false)
		p.problem("the database's log", err)
		streams[member] = opened
		return opened
	}
	return func(member, line string) {
		if of := stream(member); of != nil {
			of.write(line)
		}
	}
}

// closeDatabase ends what serves the cluster.
func (p *Plane) closeDatabase() {
	p.mu.Lock()
	busy, there := p.db.busy, p.db.identifier != ""
	p.mu.Unlock()
	if busy {
		p.watcher.failed(databaseAspect)
	}
	if busy || !there {
		return
	}
	p.running.Go(func() { p.problem("the end of the database", p.endDatabase()) })
}

func (p *Plane) endDatabase() error {
	p.mu.Lock()
	serving, fronts := p.db.serving, p.db.fronts
	p.db = dbCluster{}
	p.announce()
	p.mu.Unlock()
	if serving == nil {
		return nil
	}
	var faults []error
	for _, f := range fronts {
		faults = append(faults, f.Close())
	}
	return errors.Join(append(faults, serving.Close())...)
}

// awaitDatabase waits until the database that the API has now takes connections: on AWS it does when the API says so.
func (p *Plane) awaitDatabase(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	now := time.Now()
	p.watcher.failed(databaseAspect) // what is known of it may be from before it was made
	for {
		p.mu.Lock()
		pending, changed := p.db.pending || p.db.read.Before(now), p.changed
		p.mu.Unlock()
		if !pending {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// Database is the cluster that serves the database, nil until it does.
func (p *Plane) Database() *postgres.Cluster {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.db.serving
}

// authority is the PEM of who signs the database's certificate, nothing before there is one.
func (p *Plane) authority() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.db.authority
}

// local replaces the names of database endpoints that do not lead to this machine.
func (p *Plane) local(values map[string]string) {
	p.mu.Lock()
	hosts := maps.Clone(p.db.endpoints.hosts)
	p.mu.Unlock()
	for name, host := range hosts {
		for key, value := range values {
			values[key] = strings.ReplaceAll(value, name, host)
		}
	}
}

// databaseStatus tells where the endpoints lead; p.mu is held.
func (p *Plane) databaseStatus() *DatabaseStatus {
	if p.db.identifier == "" {
		return nil
	}
	s := &DatabaseStatus{Identifier: p.db.identifier, Leads: map[string]string{}}
	if p.db.serving == nil {
		return s
	}
	e := p.db.endpoints
	s.Ready, s.Writer = true, p.db.serving.Writer()
	socket := p.db.serving.Socket()
	s.Socket = &socket
	for _, i := range e.instances {
		s.Leads[i.host] = e.host(i.host)
		if i.name == s.Writer {
			s.Leads[e.writer] = e.host(i.host)
		} else {
			s.Leads[e.reader] = e.host(i.host)
		}
	}
	return s
}
