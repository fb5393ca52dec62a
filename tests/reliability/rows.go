//go:build linux

package reliability

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"tapstack/lib/cloud"
	"tapstack/lib/process/processtest"
)

// row is one of the table: a fault, and what is done about it.
type row struct {
	key, fault string
	run        func(r *round) error
	// points are all that make torture tries, of so many changing calls.
	points func(calls) []point
}

var shares = []float64{0.01, 0.05, 0.20}

// rows are those of the table that is printed.
var rows = []row{
	{"kill-up-destroy", "SIGKILL during up, then destroy", killUpDestroy, everyCall(upCalls, "both")},
	{"kill-up-up", "SIGKILL during up, then up", killUpUp, everyCall(upCalls, "both")},
	{"kill-tap", "SIGKILL of tap alone during up, then up", killUpUp, everyCall(upCalls, "tap")},
	{"kill-engine", "SIGKILL of the engine alone during up, then up", killUpUp, everyCall(upCalls, "engine")},
	{"kill-update", "SIGKILL during an up that changes the stack, then up", killUpdate, everyCall(updateCalls, "both")},
	{"kill-destroy", "SIGKILL during destroy, then destroy", killDestroy, everyCall(destroyCalls, "both")},
	{"kill-chain", "three kills in a row, then destroy", killChain, chains},
	{"sigint-twice", "SIGINT twice", signals(syscall.SIGINT, syscall.SIGINT), someCalls(8)},
	{"sigint", "SIGINT once", signals(syscall.SIGINT), someCalls(8)},
	{"sigterm", "SIGTERM", signals(syscall.SIGTERM), someCalls(8)},
	{"sighup", "SIGHUP: the terminal is closed", signals(syscall.SIGHUP), someCalls(8)},
	{"sigpipe", "SIGPIPE: | head", pipe, someCalls(4)},
	{"lost", "answer lost after effect", faulty(Lost), everyShare},
	{"cut", "answer cut short after effect", faulty(Cut), everyShare},
	{"dropped", "request dropped before effect", faulty(Dropped), everyShare},
	{"delays", "delays of up to a second", faulty(Delayed), everyShare},
	{"throttling", "throttling", faulty(Throttled), everyShare},
	{"500", "500 Internal Server Error", faulty(Failing), everyShare},
	{"503", "503 Service Unavailable", faulty(Unavailable), everyShare},
	{"not-found", "reads that do not yet find", faulty(NotFound), everyShare},
	{"full-disk", "full disk", fullDisk, someCalls(5)},
	{"silent", "endpoint silent in mid-flight", silent, silences},
	{"gone", "endpoint gone and back", gone, someCalls(5)},
	{"expired", "credentials expire in mid-flight", expiring, someCalls(5)},
	{"stopped", "the engine hangs; SIGINT twice", stopped, someCalls(5)},
	{"four", "4 stacks at once", four, someCalls(1)},
}

func upCalls(c calls) int      { return c.up }
func updateCalls(c calls) int  { return c.update }
func destroyCalls(c calls) int { return c.destroy }

func everyCall(of func(calls) int, who string) func(calls) []point {
	return func(c calls) []point {
		var all []point
		for at := 1; at <= of(c); at++ {
			all = append(all, point{at: at, who: who}, point{at: at, after: true, who: who})
		}
		return all
	}
}

// someCalls are spread over up.
func someCalls(count int) func(calls) []point {
	return func(c calls) []point {
		var all []point
		for i := range count {
			all = append(all, point{at: 1 + i*c.up/count + c.up/(2*count), after: i%2 == 1})
		}
		return all
	}
}

func everyShare(calls) []point {
	var all []point
	for _, share := range shares {
		for range 3 {
			all = append(all, point{share: share}, point{share: share, down: true})
		}
	}
	return all
}

// chains are three kills each: during up, during the up after it, and during destroy.
func chains(c calls) []point {
	chance := rand.New(rand.NewPCG(uint64(c.up), uint64(c.destroy))) //nolint:gosec // repeatable, not secret
	var all []point
	for i := range 20 {
		all = append(all, point{at: 1 + chance.IntN(c.up), after: i%2 == 1, who: "both", then: []int{1 + chance.IntN(c.up/2), 1 + chance.IntN(c.destroy/2)}})
	}
	return all
}

func killUpDestroy(r *round) error {
	if err := r.killed(r.point.at, r.point.after, r.point.who, "up"); err != nil {
		return err
	}
	return r.destroyed()
}

func killUpUp(r *round) error {
	if err := r.killed(r.point.at, r.point.after, r.point.who, "up"); err != nil {
		return err
	}
	return errors.Join(r.deployed(), r.destroyed())
}

func killUpdate(r *round) error {
	if err := r.deployed(); err != nil {
		return err
	}
	if err := r.killed(r.point.at, r.point.after, r.point.who, update...); err != nil {
		return err
	}
	return errors.Join(r.finish(update...), r.is(r.changed), r.destroyed())
}

func killDestroy(r *round) error {
	if err := r.deployed(); err != nil {
		return err
	}
	if err := r.killed(r.point.at, r.point.after, r.point.who, "destroy"); err != nil {
		return err
	}
	return r.destroyed()
}

func killChain(r *round) error {
	for _, kill := range []struct {
		at      int
		command string
	}{{r.point.at, "up"}, {r.point.then[0], "up"}, {r.point.then[1], "destroy"}} {
		if err := r.killed(kill.at, r.point.after, r.point.who, kill.command); err != nil {
			return err
		}
	}
	// The last kill may have come too late: destroy is then done, and there is no stack.
	return errors.Join(r.finish("destroy", "--if-exists"), r.clean())
}

// signals sends them to tap during up, one after the other. It must end by itself, and say how to go on.
func signals(sent ...syscall.Signal) func(*round) error {
	return func(r *round) error {
		code, err := r.under(Plan{At: r.point.at, After: r.point.after}, func(c *command) {
			c.signal(sent...)
		}, "up")
		switch {
		case err != nil:
			return err
		case code == -1:
			return errors.Join(errors.New("the signal killed tap"), r.destroyed())
		case code != 0 && !r.said(" destroy --target endpoint"):
			err = errors.New("no message says how to go on")
		}
		return errors.Join(err, r.destroyed())
	}
}

// pipe closes the reader of all that tap says after the first line. up must go on to its end.
func pipe(r *round) error {
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	r.proxy.Arm(Plan{At: r.point.at, After: r.point.after, Do: func() { _ = reader.Close() }})
	c, err := r.startTo(writer, "up")
	if err != nil {
		return err
	}
	if err := writer.Close(); err != nil {
		return err
	}
	go func() { _, _ = io.Copy(io.Discard, reader) }()
	code, err := r.end(c, r.limit)
	r.lift()
	if err == nil && code != 0 {
		err = fmt.Errorf("up that nobody listens to ends with %d", code)
	}
	if err == nil {
		err = r.entire()
	}
	return errors.Join(err, r.destroyed())
}

// faulty has a share of the calls go wrong. Then the command that failed is given again without faults.
func faulty(kind Kind) func(*round) error {
	return func(r *round) error {
		command, then := "up", r.deployed
		if r.point.down {
			if err := r.deployed(); err != nil {
				return err
			}
			command, then = "destroy", func() error { return nil }
		}
		code, err := r.under(Plan{Kind: kind, Share: r.point.share, Seed: r.point.seed}, nil, command)
		if r.point.down && err == nil && code == 0 {
			return r.clean()
		}
		if err == nil && code != 0 {
			err = then()
		} else if err == nil {
			err = r.entire()
		}
		return errors.Join(err, r.destroyed())
	}
}

// silences are spread over up, and over every other command that asks the cloud: from its start, and when it is at work.
func silences(c calls) []point {
	all := someCalls(5)(c)
	for _, command := range []string{"preview", "verify", "refresh", "prove", "sweep", "destroy"} {
		all = append(all, point{who: command, at: 1}, point{who: command, at: 30})
	}
	return all
}

// silent has the endpoint answer nothing from a call on: of up, or of another command on a deployed stack, which may only look.
func silent(r *round) error {
	if r.point.who == "" {
		return errors.Join(r.underSilence(Plan{At: r.point.at}, "up"), r.destroyed())
	}
	if err := r.deployed(); err != nil {
		return err
	}
	return errors.Join(r.underSilence(Plan{At: r.point.at, Any: true}, r.point.who), r.destroyed())
}

// underSilence runs a command that must end by itself, and say why, once the endpoint has fallen silent.
func (r *round) underSilence(plan Plan, command string) error {
	plan.Kind = Silent
	r.proxy.Arm(plan)
	c, err := r.start(command)
	if err != nil {
		return err
	}
	fell := func() bool {
		_, first, _ := r.proxy.Struck()
		return !first.IsZero()
	}
	wait := cloud.Wait{Limit: r.limit, First: 20 * time.Millisecond, Longest: 20 * time.Millisecond}
	_ = cloud.Poll(r.ctx, wait, func(context.Context) (bool, error) { return fell() || c.ended(), nil })
	_, r.began, _ = r.proxy.Struck() // the fault goes on, so that its beginning counts
	code, err := r.end(c, silenceLimit)
	met := fell()
	r.lift()
	if err == nil && met && (code == 0 || !r.said("answer")) {
		err = fmt.Errorf("no line says that %s does not answer", r.proxy.URL)
	}
	return err
}

// gone has the endpoint refuse everything for a while.
func gone(r *round) error {
	code, err := r.under(Plan{Kind: Gone, At: r.point.at}, nil, "up")
	if err == nil && code != 0 {
		err = r.deployed()
	}
	return errors.Join(err, r.entire(), r.destroyed())
}

// expiring has every call refused, from one on, as with temporary credentials whose time is up.
func expiring(r *round) error {
	code, err := r.under(Plan{Kind: Expired, At: r.point.at}, nil, "up")
	if err == nil && (code == 0 || !r.said("xpired")) {
		err = errors.New("nothing says that the credentials have expired")
	}
	return errors.Join(err, r.destroyed())
}

// stopped has what tap has started stand still at a call. Interrupted twice, tap must end all the same.
func stopped(r *round) error {
	_, err := r.under(Plan{At: r.point.at, After: r.point.after}, func(c *command) {
		for _, pid := range processtest.Descendants(c.Process.Pid) {
			_ = syscall.Kill(pid, syscall.SIGSTOP)
		}
		c.signal(syscall.SIGINT, syscall.SIGINT)
	}, "up")
	if err == nil && !r.said(" destroy --target endpoint") {
		err = errors.New("no message says how to go on")
	}
	return errors.Join(err, r.destroyed())
}

// four deploys and removes as many stacks at the same time.
func four(r *round) error {
	for _, command := range []string{"up", "destroy"} {
		var together errgroup.Group
		for i := range 4 {
			together.Go(func() error {
				code, err := r.run(command, "--suffix", fmt.Sprintf("%s-%d", r.suffix, i))
				if err == nil && code != 0 {
					err = fmt.Errorf("%s of stack %d fails", command, i)
				}
				return err
			})
		}
		if err := together.Wait(); err != nil {
			return err
		}
		r.began = time.Now()
	}
	return r.clean()
}

// fullDisk has the state on a disk of its own, which is full at a call and has room again after the command.
func fullDisk(r *round) error {
	disk, err := r.mountDisk()
	if err != nil {
		return err
	}
	defer disk.unmount()
	filler := filepath.Join(r.folder, "filler")
	code, err := r.under(Plan{At: r.point.at, After: r.point.after}, func(*command) {
		if err := fill(filler); err != nil {
			r.note("filling the disk: %s", err)
		}
	}, "up")
	if code == 0 {
		r.note("(up did not notice)")
	}
	return errors.Join(err, os.Remove(filler), r.destroyed())
}
