package hub

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// asPull makes the test binary a process that pulls the model of that name.
const asPull = "REALM_TEST_PULL"

func TestMain(m *testing.M) {
	name := os.Getenv(asPull)
	if name == "" {
		os.Exit(m.Run())
	}
	if os.Getenv(asFullDisk) != "" {
		pullToFullDisk(name)
		return
	}
	path, err := Pull(context.Background(), name, Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(path)
}

// process is a pull in a process of its own.
type process struct {
	*exec.Cmd
	stdout, stderr bytes.Buffer
}

func newProcess(t *testing.T, h *fakeHub, name string, env ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0])}
	p.Env = append(append(os.Environ(), asPull+"="+name, "HF_ENDPOINT="+h.hub.URL), env...)
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	t.Cleanup(func() {
		if p.Process != nil && p.ProcessState == nil {
			_ = p.Process.Kill()
			_ = p.Wait()
		}
	})
	return p
}

func startProcess(t *testing.T, h *fakeHub, name string) *process {
	t.Helper()
	p := newProcess(t, h, name)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// path waits for the end and returns the path of the model.
func (p *process) path(t *testing.T) string {
	t.Helper()
	if err := p.Wait(); err != nil {
		t.Fatalf("%v: %s", err, p.stderr.String())
	}
	return strings.TrimSpace(p.stdout.String())
}

// TestTwoProcesses has three processes want one model at once.
func TestTwoProcesses(t *testing.T) {
	for _, url := range []bool{false, true} {
		dir := newCache(t)
		good := makeModel(t, 1, size, nil)
		h := newHub(t, map[string][]byte{"m.gguf": good})
		name := hubName
		if url {
			name = h.bytes.URL + "/m.gguf"
		}
		var processes []*process
		started := make(chan struct{})
		h.setFault(func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n == 1 {
				<-started // the first is at it when the others come
				time.Sleep(300 * time.Millisecond)
			}
			return false
		})
		for range 3 {
			processes = append(processes, startProcess(t, h, name))
		}
		close(started)
		for _, p := range processes {
			wantFile(t, p.path(t), good)
		}
		h.mu.Lock()
		if h.asked != 1 || h.sent != int64(len(good)) {
			t.Errorf("%s: three processes asked for the file %d times and were sent %d bytes", name, h.asked, h.sent)
		}
		h.mu.Unlock()
		wantSound(t, dir, good)
	}
}

// TestKilled kills a process in the middle of a download. One that waited for it goes on where it was.
func TestKilled(t *testing.T) {
	for _, url := range []bool{false, true} {
		dir := newCache(t)
		good := makeModel(t, 1, size, nil)
		h := newHub(t, map[string][]byte{"m.gguf": good})
		name := hubName
		if url {
			name = h.bytes.URL + "/m.gguf"
		}
		h.setFault(func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n == 1 {
				w.Header().Set("ETag", `"`+digest(good)[:16]+`"`)
				w.Header().Set("Content-Length", fmt.Sprint(len(good)))
				_, _ = w.Write(good[:size/2])
				w.(*counter).ResponseWriter.(http.Flusher).Flush()
				<-r.Context().Done()
			}
			return n == 1
		})
		first := startProcess(t, h, name)
		part := ""
		for deadline := time.Now().Add(20 * time.Second); part == "" && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			parts, _ := filepath.Glob(filepath.Join(dir, "*", partFolder, "*"+partSuffix))
			if len(parts) == 1 && bytesOf(parts[0]) == size/2 {
				part = parts[0]
			}
		}
		if part == "" {
			t.Fatalf("the first half never came: %s", first.stderr.String())
		}
		if _, err := Remove(name); err == nil || !strings.Contains(err.Error(), "being downloaded") {
			t.Errorf("removed while it is being downloaded: %v", err)
		}
		second := startProcess(t, h, name)
		time.Sleep(100 * time.Millisecond)
		wantSound(t, dir)
		if err := first.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = first.Wait()
		wantSound(t, dir)
		wantFile(t, second.path(t), good)
		wantSound(t, dir, good)
		if sent, _ := h.counts(); sent > size*5/4 {
			t.Errorf("%s: %d bytes were sent for a model of %d", name, sent, len(good))
		}
	}
}
