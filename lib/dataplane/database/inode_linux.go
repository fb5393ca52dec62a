package database

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"strconv"
	"syscall"
)

// inodeOf is the inode of the socket that has a connection. The kernel is asked for the one connection (sock_diag(7)), or,
// where it does not answer that, for the list of all, which takes milliseconds when there are thousands.
func inodeOf(c connection) (uint64, error) {
	inode, err := askKernel(c)
	if errors.Is(err, syscall.ENOENT) {
		return 0, ErrGone
	}
	if err != nil {
		inode, err = lookUp(c)
	}
	if err == nil && inode == 0 {
		return 0, ErrGone // no process has it open any more
	}
	return inode, err
}

const (
	sockDiagByFamily = 20 // SOCK_DIAG_BY_FAMILY
	netlinkSockDiag  = 4  // NETLINK_SOCK_DIAG
	anyDevice        = 0
	noCookie         = ^uint64(0)
	allStates        = ^uint32(0)
	// inodeAt is the place of idiag_inode in struct inet_diag_msg (linux/inet_diag.h).
	inodeAt = 68
)

func askKernel(c connection) (uint64, error) {
	socket, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, netlinkSockDiag)
	if err != nil {
		return 0, err
	}
	defer func() { _ = syscall.Close(socket) }()
	patience := syscall.NsecToTimeval(int64(dialBound))
	if err := syscall.SetsockoptTimeval(socket, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &patience); err != nil {
		return 0, err
	}
	if err := syscall.Sendto(socket, c.question(), 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return 0, err
	}
	buffer := make([]byte, os.Getpagesize())
	n, _, err := syscall.Recvfrom(socket, buffer, 0)
	if err != nil {
		return 0, err
	}
	messages, err := syscall.ParseNetlinkMessage(buffer[:n])
	if err != nil || len(messages) == 0 {
		return 0, errors.Join(err, errors.New("no answer of the kernel's"))
	}
	return readAnswer(messages[0])
}

// question asks for the connection of exactly these addresses: a header and struct inet_diag_req_v2, in which ports and
// addresses are in the network's byte order.
func (c connection) question() []byte {
	family := byte(syscall.AF_INET)
	if c.local.Addr().Is6() {
		family = syscall.AF_INET6
	}
	body := []byte{family, syscall.IPPROTO_TCP, 0, 0}
	body = binary.NativeEndian.AppendUint32(body, allStates)
	for _, port := range []uint16{c.local.Port(), c.remote.Port()} {
		body = binary.BigEndian.AppendUint16(body, port)
	}
	for _, address := range []netip.Addr{c.local.Addr(), c.remote.Addr()} {
		var place [16]byte
		copy(place[:], address.AsSlice())
		body = append(body, place[:]...)
	}
	body = binary.NativeEndian.AppendUint32(body, anyDevice)
	body = binary.NativeEndian.AppendUint64(body, noCookie)
	var header []byte
	header = binary.NativeEndian.AppendUint32(header, uint32(syscall.NLMSG_HDRLEN+len(body))) //nolint:gosec // 72
	header = binary.NativeEndian.AppendUint16(header, sockDiagByFamily)
	header = binary.NativeEndian.AppendUint16(header, syscall.NLM_F_REQUEST)
	header = append(header, make([]byte, 8)...) // sequence and port
	return append(header, body...)
}

func readAnswer(message syscall.NetlinkMessage) (uint64, error) {
	switch data := message.Data; {
	case message.Header.Type == syscall.NLMSG_ERROR && len(data) >= 4:
		return 0, syscall.Errno(-int32(binary.NativeEndian.Uint32(data))) //nolint:gosec // an errno, negated
	case message.Header.Type == sockDiagByFamily && len(data) >= inodeAt+4:
		return uint64(binary.NativeEndian.Uint32(data[inodeAt:])), nil
	}
	return 0, errors.New("an answer of the kernel's that is none")
}

// lookUp reads both tables of connections: a program may reach IPv4 by a socket for IPv6.
func lookUp(c connection) (uint64, error) {
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		table, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // a machine may be without IPv6
			return 0, err
		}
		if inode, ok := c.in(table); ok {
			return inode, nil
		}
	}
	return 0, ErrGone
}

// in finds a connection in a table (proc_net(5)), whose lines have the addresses in the fields 2 and 3, the inode in field 10.
func (c connection) in(table []byte) (inode uint64, ok bool) {
	for line := range bytes.Lines(table) {
		fields := bytes.Fields(line)
		if len(fields) < 10 {
			continue
		}
		local, ok1 := parseAddress(fields[1])
		remote, ok2 := parseAddress(fields[2])
		if ok1 && ok2 && c == (connection{local, remote}) {
			inode, err := strconv.ParseUint(string(fields[9]), 10, 64)
			return inode, err == nil
		}
	}
	return 0, false
}

// parseAddress reads "0100007F:1538": the address in groups of four bytes, each in this machine's order, and the port.
func parseAddress(text []byte) (netip.AddrPort, bool) {
	address, port, _ := bytes.Cut(text, []byte(":"))
	number, err := strconv.ParseUint(string(port), 16, 16)
	if err != nil || len(address) != 8 && len(address) != 32 {
		return netip.AddrPort{}, false
	}
	raw := make([]byte, 0, 16)
	for ; len(address) > 0; address = address[8:] {
		group, err := strconv.ParseUint(string(address[:8]), 16, 32)
		if err != nil {
			return netip.AddrPort{}, false
		}
		raw = binary.NativeEndian.AppendUint32(raw, uint32(group))
	}
	parsed, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(parsed.Unmap(), uint16(number)), true
}
