// Command tinyguest builds the guest that ships with TinyGo, which makes it a tenth of the size: below 600 KB with a
// template engine in it. It is for releases. It needs what TinyGo is made with, on Debian
//
//	apt-get install llvm-19-dev libclang-19-dev clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32
//
// and npm, for binaryen's wasm-opt. Everything else comes from the Go module of TinyGo. The first run takes some minutes.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	// maxSize is what the module may have at most.
	maxSize = 600_000

	tinygoModule   = "github.com/tinygo-org/tinygo"
	tinygoVersion  = "v0.41.0"
	binaryen       = "binaryen@132.0.0"
	libraryModule  = "github.com/ardanlabs/jinja"
	libraryVersion = "v1.5.0"
)

func main() {
	b := builder{}
	flag.StringVar(&b.root, "root", "..", "the repository")
	flag.StringVar(&b.llvm, "llvm", "/usr/lib/llvm-19", "where LLVM 19 is")
	flag.StringVar(&b.libc, "libc", "/usr", "where wasi-libc is: its include and lib")
	flag.StringVar(&b.work, "work", "", "where the toolchain is kept; by default in the user's cache folder")
	flag.Parse()
	if err := b.run(); err != nil {
		fmt.Fprintln(os.Stderr, "tinyguest:", err)
		os.Exit(1)
	}
}

// builder keeps what it makes in the folder work and uses it again.
type builder struct {
	root, llvm, libc, work string
}

func (b *builder) run() error {
	var err error
	if b.root, err = filepath.Abs(b.root); err != nil {
		return err
	}
	if b.work == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return err
		}
		b.work = filepath.Join(cache, "realm-tinyguest")
	}
	if b.work, err = filepath.Abs(b.work); err != nil {
		return err
	}
	if err := os.MkdirAll(b.work, 0o777); err != nil {
		return err
	}
	if err := b.toolchain(); err != nil {
		return err
	}
	modfile, err := b.library()
	if err != nil {
		return err
	}
	// The functions that are left out of the library must be those that templates never reach.
	if err := b.command(b.root, nil, "go", "test", "-short", "-modfile="+modfile, "./internal/chat"); err != nil {
		return err
	}
	large := filepath.Join(b.work, "guest.wasm")
	// A panic traps without a message: the host throws the instance away either way.
	if err := b.command(b.root, []string{"GOFLAGS=-modfile=" + modfile}, filepath.Join(b.work, "tinygo"), "build",
		"-target="+filepath.Join(b.work, "target.json"), "-buildmode=c-shared", "-opt=z", "-panic=trap", "-o", large,
		"./cmd/realm-guest"); err != nil {
		return err
	}
	out := filepath.Join(b.root, "build", "realm-guest-tiny.wasm")
	if err := b.command(b.root, nil, b.wasmOpt(), "--enable-bulk-memory", "--enable-sign-ext",
		"--enable-nontrapping-float-to-int", "--enable-mutable-globals", "-Oz", "--converge", "--strip-debug",
		"--strip-producers", "--reorder-functions", large, "-o", out); err != nil {
		return err
	}
	info, err := os.Stat(out)
	if err != nil {
		return err
	}
	if info.Size() > maxSize {
		return fmt.Errorf("%s has %d bytes, want at most %d", out, info.Size(), maxSize)
	}
	return nil
}

// command runs a program with further environment variables, TinyGo's among them.
func (b *builder) command(dir string, env []string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, os.Stderr, os.Stderr
	cmd.Env = append(append(os.Environ(), env...), "TINYGOROOT="+b.source(), "WASMOPT="+b.wasmOpt(),
		"PATH="+filepath.Join(b.llvm, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"))
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", filepath.Base(name), args[0], err)
	}
	return nil
}

// module copies the files of a Go module from the module cache, which is read-only, and fetches it first where it is not
// there.
func (b *builder) module(path, version, to string) error {
	cmd := exec.Command("go", "mod", "download", "-json", path+"@"+version)
	cmd.Dir, cmd.Stderr = b.root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("fetch %s: %w", path, err)
	}
	var info struct{ Dir string }
	if err := json.Unmarshal(out, &info); err != nil {
		return err
	}
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return os.CopyFS(to, os.DirFS(info.Dir))
}
