package postgres

import (
	"path/filepath"
	"strconv"
	"strings"
)

// access is pg_hba.conf. Over TCP nothing goes without TLS and a password. The Unix socket is in a folder of the server's user,
// who could change this file as well.
const access = `local   all         all           trust
local   replication all           trust
hostssl all         rdsadmin all  reject
hostssl all         all      all  scram-sha-256
`

// standbys says whom a commit at a member waits for: one of the others who can be promoted, or are about to be. Where there are
// none it waits for nobody, as on Aurora, where it waits for the storage alone: what a lone writer has, no other can replace.
func (c *Cluster) standbys(at *member) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for _, m := range c.members {
		if m != at && (!m.away || m.entrusted) {
			names = append(names, `"`+strings.ReplaceAll(m.Name, `"`, `""`)+`"`)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "ANY 1 (" + strings.Join(names, ", ") + ")"
}

// settings are a member's. What the stack's parameter group sets is set where this server has it.
func (c *Cluster) settings(m *member) [][2]string {
	return [][2]string{
		{"listen_addresses", m.host},
		{"port", strconv.Itoa(m.port)},
		{"unix_socket_directories", m.socket},
		{"unix_socket_permissions", "0700"},
		{"max_connections", "500"}, // for 20 tasks with pools of 20, and some
		{"ssl", "on"},
		{"ssl_cert_file", filepath.Join(c.folder, "server.crt")},
		{"ssl_key_file", filepath.Join(c.folder, "server.key")},
		{"ssl_min_protocol_version", "TLSv1.2"},
		{"password_encryption", "scram-sha-256"},
		{"timezone", "UTC"},
		{"log_timezone", "UTC"},

		// The stack's parameter group, and RDS's prefix of lines.
		{"log_connections", "on"},
		{"log_disconnections", "on"},
		{"wal_level", "logical"},
		{"log_line_prefix", "%t:%r:%u@%d:[%p]:"},

		// A commit is acknowledged when a replica has it, as Aurora's storage has it on several machines.
		{"synchronous_commit", "on"},
		{"synchronous_standby_names", c.standbys(m)},
		{"hot_standby", "on"},
		{"max_wal_senders", "10"},
		{"wal_keep_size", "1GB"}, // for replicas that begin anew
		{"wal_retrieve_retry_interval", "50ms"},
		{"wal_receiver_timeout", "10s"},

		// The data does not outlive the machine, and no memory is left to others.
		{"fsync", "off"},
		{"dynamic_shared_memory_type", "mmap"},
		{"max_logical_replication_workers", "0"},
	}
}
