package main

import (
	"context"
	"io"
	"iter"
	"os"
	"path/filepath"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/cli"
	"github.com/realm-ai/realm/wasm"
)

// embeddedGuest returns the module of cmd/realm-guest, which make build puts into the binary under the build tag
// embed_guest.
func embeddedGuest() ([]byte, error) {
	if len(guestModule) == 0 {
		return nil, &realm.Error{
			Code: realm.CodeUnsupported,
			Msg:  "this binary was built without the guest: build it with make build, or run with --native or --guest FILE",
		}
	}
	return guestModule, nil
}

// guestFlags say whether a guest answers, which, and what it may use.
type guestFlags struct {
	native     bool
	file       string
	memoryMiB  int
	fuel       uint64
	dumpMemory string
}

// defaultMemoryMiB is far more than the shipped guest takes, with the largest vocabularies too.
const defaultMemoryMiB = 64

func (g *guestFlags) declare(f *cli.Flags) {
	g.memoryMiB, g.fuel = defaultMemoryMiB, wasm.DefaultLimits().Fuel
	f.Bool(&g.native, "native", "answer without a guest, by the same code in the program itself, with the same result")
	f.String(&g.file, "guest", "FILE", "a guest of your own: a WebAssembly module that follows docs/abi.md")
	f.Int(&g.memoryMiB, "limit-memory", "MiB of memory that the guest may have")
	f.Uint64(&g.fuel, "limit-fuel", "units of fuel that an answer may take, about one for each instruction; 0 for no limit")
	f.String(&g.dumpMemory, "dump-memory", "FILE", "write the guest's memory at the end to a file")
}

// check finds flags that contradict one another.
func (g *guestFlags) check(c *cli.Command) error {
	ofGuest := ""
	for _, name := range []string{"guest", "limit-memory", "limit-fuel", "dump-memory"} {
		if c.Flags.Given(name) {
			ofGuest = "--" + name
		}
	}
	switch {
	case g.native && ofGuest != "":
		return c.Usagef("%s belongs to a guest, which --native leaves out", ofGuest)
	case g.memoryMiB < 1 || g.memoryMiB > 2048:
		return c.Usagef("--limit-memory %d: want 1 to 2048", g.memoryMiB)
	}
	return nil
}

// loadedGuest is a guest that is ready to answer.
type loadedGuest struct {
	runtime *wasm.Runtime
	guest   *wasm.Guest
	flags   *guestFlags
}

// load compiles the guest, or takes it from the cache folder.
func (g *guestFlags) load(ctx context.Context) (*loadedGuest, error) {
	var module []byte
	var err error
	if g.file == "" {
		module, err = embeddedGuest()
	} else if module, err = os.ReadFile(g.file); err != nil {
		err = cli.FileError(err)
	}
	if err != nil {
		return nil, err
	}
	runtime, err := newRuntime()
	if err != nil {
		return nil, err
	}
	guest, err := runtime.Load(ctx, module, wasm.GuestOptions{MemoryBytes: int64(g.memoryMiB) << 20})
	if err != nil {
		_ = runtime.Close()
		return nil, err
	}
	return &loadedGuest{runtime, guest, g}, nil
}

// newRuntime makes a runtime that keeps compiled guests in the cache folder, if there is one.
func newRuntime() (*wasm.Runtime, error) {
	var o wasm.Options
	if dir, err := realm.CacheDir(); err == nil {
		o.CacheDir = filepath.Join(dir, "guests")
	}
	runtime, err := wasm.NewRuntime(o)
	if realm.CodeOf(err) == realm.CodeIO { // a folder that cannot be written to: without it, then
		return wasm.NewRuntime(wasm.Options{})
	}
	return runtime, err
}

func (l *loadedGuest) close() { _ = l.runtime.Close() }

// generate answers by the guest, and says in used what that took. The session keeps what a conversation computed.
func (l *loadedGuest) generate(ctx context.Context, m *realm.Model, s *realm.Session, r realm.Request, used *cli.GuestResult) iter.Seq2[realm.Chunk, error] {
	return func(yield func(realm.Chunk, error) bool) {
		limits := wasm.DefaultLimits()
		limits.Fuel, limits.Time = l.flags.fuel, 0
		var dump io.Writer
		if l.flags.dumpMemory != "" {
			f, err := os.Create(l.flags.dumpMemory)
			if err != nil {
				yield(realm.Chunk{Token: -1}, cli.FileError(err))
				return
			}
			defer f.Close()
			dump = f
		}
		var result wasm.Result
		defer func() {
			*used = cli.GuestResult{
				MemoryBytes: result.MemoryBytes, WeightBytes: result.WeightBytes, Fuel: result.Fuel, HostCalls: result.HostCalls,
			}
		}()
		for c, err := range l.guest.Generate(ctx, m, r, wasm.RunOptions{Limits: limits, DumpMemory: dump, Session: s, Result: &result}) {
			if !yield(c, err) {
				return
			}
		}
	}
}

const guestHelp = `
A guest is a WebAssembly module that decides how a model answers. guest inspect shows what a module imports and exports,
its memory, the version of the host ABI that it was built for and, if it cannot be run, why.

  realm guest inspect guest.wasm

--json prints one object: file, file_bytes, abi_version (0 for what is no guest), memory_min_bytes, memory_max_bytes (0
where the module leaves that open), imports and exports (module, name, type), and refused (why it cannot be run, empty
if it can).`

func guestCommand() *cli.Command {
	c := &cli.Command{
		Name:  "guest",
		Short: "describe a guest: imports, exports, memory, ABI version",
		Usage: []string{"guest inspect FILE [--json]"},
		Long:  guestHelp,
		Args:  [2]int{2, 2},
	}
	var asJSON bool
	c.Flags.Bool(&asJSON, "json", "print one JSON object")
	c.Run = func(ctx context.Context, env *cli.Env, args []string) error {
		if args[0] != "inspect" {
			return c.Usagef("want inspect FILE")
		}
		ctx, stop := env.Cancelable(ctx)
		defer stop()
		module, err := os.ReadFile(args[1])
		if err != nil {
			return cli.FileError(err)
		}
		runtime, err := newRuntime()
		if err != nil {
			return err
		}
		defer runtime.Close()
		d, err := runtime.Describe(ctx, module)
		if err != nil {
			return err
		}
		result := cli.NewGuestDescription(args[1], len(module), d)
		if asJSON {
			return env.WriteJSON(result)
		}
		return result.WriteText(env.Stdout)
	}
	return c
}
