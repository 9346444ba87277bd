//go:build !nofetch

package bridge

import (
	"sync"
	"time"

	"github.com/realm-ai/realm"
)

// named are the functions that take names of models. The tag nofetch leaves them out, and with them all that knows of hubs and
// of HTTP: more than a third of the addon. JavaScript has a process of its own look names up then.
func named() []Function { return []Function{{"loadModel", loadModel}, {"pullModel", pullModel}} }

// downloaded is how far a download is, as JavaScript gets it.
type downloaded struct {
	Bytes int64 `json:"bytes"`
	Total int64 `json:"total"` // 0 while it is not known
}

// reporter tells of a download: when it begins and ends, ten times a second while it goes on, once while it does not.
type reporter struct {
	tell func(any)
	stop chan struct{} // nil until it begins
	wait sync.WaitGroup

	mu     sync.Mutex
	at     downloaded
	told   downloaded
	toldAt time.Time
}

// progress is a realm.PullOptions.Progress.
func (r *reporter) progress(done, total int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = downloaded{done, total}
	if r.stop != nil {
		return
	}
	r.stop = make(chan struct{})
	r.report(time.Now())
	r.wait.Go(func() {
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case now := <-ticker.C:
				r.mu.Lock()
				if r.at != r.told || now.Sub(r.toldAt) >= time.Second {
					r.report(now)
				}
				r.mu.Unlock()
			case <-r.stop:
				return
			}
		}
	})
}

// report tells where the download is. The caller has the lock.
func (r *reporter) report(now time.Time) {
	r.told, r.toldAt = r.at, now
	r.tell(r.at)
}

// end tells what has not been told. There is no progress any more.
func (r *reporter) end() {
	if r.stop == nil {
		return
	}
	close(r.stop)
	r.wait.Wait()
	if r.at != r.told {
		r.report(time.Now())
	}
}

// loaded is a model that was loaded.
type loaded struct {
	ID   uint32 `json:"id"`
	Path string `json:"path"`
}

// loadModel(name, offline, update) stores the model of a name that realm.Pull takes, which it fetches where need be, and returns
// its id and the path of its file. It is an operation: it tells of the download as it goes on.
func loadModel(c *Call) (any, error) {
	path, err := pullModel(c)
	if err != nil {
		return nil, err
	}
	id, err := Models().StoreFile(c.Op.Context, path.(string))
	if err != nil {
		return nil, err
	}
	return loaded{id, path.(string)}, nil
}

// pullModel(name, offline, update) is loadModel without storing the model: it returns the path of its file.
func pullModel(c *Call) (any, error) {
	if c.Op == nil {
		return nil, &realm.Error{Code: realm.CodeInvalidArgument, Msg: "realm: " + c.Name + ": is an operation: begin it with start"}
	}
	name, err := c.Text(0, "a model's name or path")
	if err != nil {
		return nil, err
	}
	offline, err := c.Bool(1, "whether to do without a server")
	if err != nil {
		return nil, err
	}
	update, err := c.Bool(2, "whether to ask for a newer file")
	if err != nil {
		return nil, err
	}
	r := &reporter{tell: c.Op.Tell}
	path, err := realm.Pull(c.Op.Context, name, realm.PullOptions{Offline: offline, Update: update, Progress: r.progress})
	r.end()
	return path, err
}
