package postgres

import (
	"context"
	"os"
	"path/filepath"
	"strconv"

	"tapstack/lib/process"
)

// Stock has data folders for members to come, filled while nobody waits for them: that takes longer than to start a server.
type Stock struct{ folders chan string }

// NewStock has nothing until it is filled.
func NewStock() *Stock { return &Stock{make(chan string)} }

// Fill copies the template into folders in dir, which the server's user must get to, for as many members as are said, until all are
// taken or ctx ends. It fetches no server and makes no template: whoever needs those first does.
func (s *Stock) Fill(ctx context.Context, dir string, members int) {
	defer close(s.folders)
	server, err := Find(ctx)
	if err != nil || !server.Ready {
		return
	}
	template, err := templateOf(server)
	if err != nil {
		return
	}
	if _, err := os.Stat(template); err != nil {
		return
	}
	account := process.Unprivileged(serverUser)
	for i := range members {
		folder := filepath.Join(dir, "stock-"+strconv.Itoa(i))
		if own(account, folder) != nil || copyTree(ctx, template, folder, account, nil) != nil {
			return
		}
		select {
		case s.folders <- folder:
		case <-ctx.Done():
			return
		}
	}
}

// take has one become a folder that does not exist, and says whether there was any. It waits for one that is being filled.
func (s *Stock) take(to string) bool {
	if s == nil {
		return false
	}
	folder, is := <-s.folders
	return is && os.Rename(folder, to) == nil
}
