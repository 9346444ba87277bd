package hub

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
)

// asFullDisk makes a process that pulls mount a small file system for the cache folder first.
const asFullDisk = "REALM_TEST_FULL_DISK"

// pullToFullDisk pulls a model of a megabyte to a file system of half a megabyte, and again when that has become larger. It prints
// the error, the models that are there then, and the digest of the file that comes in the end.
func pullToFullDisk(name string) {
	dir := os.Getenv("REALM_CACHE")
	err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	if err == nil {
		err = syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=600k")
	}
	if err != nil {
		fmt.Println("skip:", err)
		return
	}
	_, err = Pull(context.Background(), name, Options{})
	fmt.Println(err)
	models, err := Models()
	for _, m := range models {
		fmt.Println("has", m.Name, m.Path, m.Bytes)
	}
	if err == nil {
		err = syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=8m")
	}
	path := ""
	if err == nil {
		path, err = Pull(context.Background(), name, Options{})
	}
	data, failed := os.ReadFile(path)
	fmt.Printf("%x %v %v\n", sha256.Sum256(data), err, failed)
}

// TestDiskFull runs out of room, where that could have been known and where it could not.
func TestDiskFull(t *testing.T) {
	for _, known := range []bool{true, false} {
		newCache(t)
		good := makeModel(t, 1, size, nil)
		h := newHub(t, map[string][]byte{"m.gguf": good})
		name := hubName
		if !known {
			name = h.bytes.URL + "/m.gguf"
			h.setFault(func(w http.ResponseWriter, _ *http.Request, n int) bool {
				if n == 1 { // no length, so that the disk is seen to be full when it is
					w.Header().Set("ETag", `"`+digest(good)[:16]+`"`)
					w.(*counter).ResponseWriter.(http.Flusher).Flush()
					_, _ = w.Write(good)
				}
				return n == 1
			})
		}
		p := newProcess(t, h, name, asFullDisk+"=1")
		p.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		}
		if err := p.Start(); err != nil {
			t.Skipf("no file systems of one's own here: %v", err)
		}
		out := p.path(t)
		if strings.HasPrefix(out, "skip:") {
			t.Skip(out)
		}
		lines := strings.Split(out, "\n")
		if !strings.Contains(lines[0], "is full") || known && !strings.Contains(lines[0], fmt.Sprintf("%d bytes more", len(good))) {
			t.Errorf("the error is %q", lines[0])
		}
		if known && len(lines) != 2 {
			t.Errorf("bytes were written to a disk that has no room: %q", lines)
		}
		if !known && (len(lines) != 3 || !strings.HasPrefix(lines[1], "has "+name+"  ")) {
			t.Errorf("what came is not kept: %q", lines)
		}
		if last := lines[len(lines)-1]; last != digest(good)+" <nil> <nil>" {
			t.Errorf("with room: %q", last)
		}
	}
}
