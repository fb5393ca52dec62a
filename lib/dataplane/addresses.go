package dataplane

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Loopback addresses. A plane has 127.S.0.0/16 of this machine, for an S that no other has: a task at a private address of which
// the last two numbers are a and b is reached at 127.S.a.b. A VPC is no larger than that (/16, "VPC CIDR blocks").
const (
	firstRange, lastRange = 10, 250
	// claimPort is where a plane listens at 127.S.255.254 as long as it has S.
	claimPort = 5999
	// reservedFrom is the third number from which on addresses are the plane's own: load balancer, database, claim.
	reservedFrom = 240
)

// addressRange is a claimed 127.S.0.0/16.
type addressRange struct {
	second byte
	claim  net.Listener
}

// claimRange claims a range that nobody on this machine has.
func claimRange() (*addressRange, error) {
	var last error
	for second := firstRange; second <= lastRange; second++ {
		//nolint:noctx // it is not waited for
		claim, err := net.Listen("tcp4", fmt.Sprintf("127.%d.255.254:%d", second, claimPort))
		if err == nil {
			return &addressRange{byte(second), claim}, nil
		}
		last = err
	}
	return nil, fmt.Errorf("no range of loopback addresses is free for the data plane: %w. On Linux all of 127.0.0.0/8 is there; elsewhere it is not", last)
}

func (r *addressRange) close() error { return r.claim.Close() }

// host is the loopback address that stands for a private one.
func (r *addressRange) host(private netip.Addr) string {
	four := private.As4()
	return netip.AddrFrom4([4]byte{127, r.second, four[2], four[3]}).String()
}

// own is an address of the plane's own: 127.S.third.fourth.
func (r *addressRange) own(third, fourth byte) string {
	return netip.AddrFrom4([4]byte{127, r.second, third, fourth}).String()
}

// pool hands out private addresses of subnets.
type pool struct {
	mu   sync.Mutex
	used map[netip.Addr]bool
	next map[string]netip.Addr
}

func newPool() *pool { return &pool{used: map[netip.Addr]bool{}, next: map[string]netip.Addr{}} }

// take hands out an address of a subnet. It starts in the middle, since others take the lowest, and comes back to one that was
// given back as late as can be. AWS keeps the first four addresses of a subnet and the last for itself.
func (p *pool) take(subnet ec2types.Subnet) (netip.Addr, error) {
	id := aws.ToString(subnet.SubnetId)
	prefix, err := netip.ParsePrefix(aws.ToString(subnet.CidrBlock))
	if err != nil || !prefix.Addr().Is4() {
		return netip.Addr{}, fmt.Errorf("subnet %s has the address range %q, of which no task can have an address", id, aws.ToString(subnet.CidrBlock))
	}
	prefix = prefix.Masked()
	size := 1 << (32 - prefix.Bits())
	p.mu.Lock()
	defer p.mu.Unlock()
	candidate, known := p.next[id]
	if !known {
		candidate = plus(prefix.Addr(), size/2)
	}
	for range size {
		address := candidate
		if candidate = candidate.Next(); !prefix.Contains(plus(candidate, 1)) {
			candidate = plus(prefix.Addr(), 4)
		}
		if p.used[address] || address.As4()[2] >= reservedFrom {
			continue
		}
		p.used[address], p.next[id] = true, candidate
		return address, nil
	}
	return netip.Addr{}, fmt.Errorf("subnet %s has no free address", id)
}

func (p *pool) release(address netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.used, address)
}

// plus is the address that is n further.
func plus(a netip.Addr, n int) netip.Addr {
	four := a.As4()
	binary.BigEndian.PutUint32(four[:], binary.BigEndian.Uint32(four[:])+uint32(n)) //nolint:gosec // within a subnet
	return netip.AddrFrom4(four)
}
