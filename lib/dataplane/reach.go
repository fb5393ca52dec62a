package dataplane

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"tapstack/lib/cloud"
	"tapstack/lib/reachability"
)

// reach is who may connect to whom, as the security groups and routes of a VPC are at present. Its network is nil until it is read.
type reach struct {
	network    *reachability.Network
	interfaces []ec2types.NetworkInterface
}

// blockedPrefix begins the problems that the network is, which may be over when it has changed.
const blockedPrefix = "from "

// errUnread passes as soon as the network is read.
var errUnread = errors.New("the security groups are not read yet")

// blockedError is what the network is in the way of. On AWS such packets are lost, and the connection times out.
type blockedError struct{ error }

func (blockedError) Timeout() bool   { return true }
func (blockedError) Temporary() bool { return true }
func (e blockedError) Unwrap() error { return e.error }

// readReach reads the VPC that the tasks are in.
func (p *Plane) readReach(ctx context.Context, r *cloud.Reader) error {
	vpc := p.vpc()
	if vpc == "" {
		p.watcher.failed(networkAspect)
		return nil
	}
	network, err := reachability.Read(ctx, r, vpc)
	if err != nil {
		return err
	}
	interfaces, err := r.NetworkInterfaces(ctx)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reach = reach{network, interfaces}
	maps.DeleteFunc(p.problems, func(what, _ string) bool { return strings.HasPrefix(what, blockedPrefix) })
	return nil
}

// vpc is that of the subnets that are known.
func (p *Plane) vpc() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lb.vpc != "" {
		return p.lb.vpc
	}
	for _, s := range p.subnets {
		return aws.ToString(s.VpcId)
	}
	return ""
}

// mayConnect says what is in the way from one of some interfaces to another, or nil.
func (n reach) mayConnect(from []reachability.Interface, to reachability.Interface, port int32) error {
	if n.network == nil {
		return errUnread
	}
	if len(from) == 0 {
		return fmt.Errorf("nothing is known of what connects to %s", to.Address)
	}
	var last error
	for _, one := range from {
		if last = n.network.MayConnect(one, to, port); last == nil {
			return nil
		}
	}
	return last
}

// of are the interfaces whose description begins with a text.
func (n reach) of(description string) (found []reachability.Interface) {
	for _, i := range n.interfaces {
		if one := reachability.InterfaceOf(i); one.Address.IsValid() && strings.HasPrefix(aws.ToString(i.Description), description) {
			found = append(found, one)
		}
	}
	return found
}

// at is a task's interface.
func (t *task) at() reachability.Interface {
	return reachability.Interface{Groups: t.groups, Subnet: t.subnet, Address: t.private}
}
