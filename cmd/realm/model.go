package main

import (
	"context"
	"time"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/cli"
)

// modelFlags say which model is to run, and how.
type modelFlags struct {
	name      string // as it was given
	path      string // of its file, once it is open
	offline   bool
	cacheType string
	options   realm.Options
}

// declare adds the flags to a command.
func (m *modelFlags) declare(f *cli.Flags) {
	m.cacheType = "f16"
	f.String(&m.name, "m, model", "MODEL", modelHelp)
	offlineFlag(f, &m.offline)
	f.Int(&m.options.Threads, "t, threads", "threads of arithmetic; 0 for one each processor. It changes no result")
	f.Int(&m.options.ContextLength, "ctx", "context length in tokens; 0 for what the model was trained for")
	f.Choice(&m.cacheType, "cache-type", []string{"f16", "f32"}, "number format of the KV cache")
	f.Int(&m.options.ChunkSize, "chunk", "prompt tokens computed at a time; 0 for a good number. It changes no result")
	f.String(&m.options.PreTokenizer, "pre", "NAME", "pre-tokenizer to use in place of the file's `tokenizer.ggml.pre`")
}

// check finds what is missing.
func (m *modelFlags) check(c *cli.Command) error {
	if m.name == "" {
		return c.Usagef("-m MODEL is missing")
	}
	return nil
}

// opened is a model that is ready to compute, a session, and how long it took to open and to prepare the model.
type opened struct {
	model         *realm.Model
	session       *realm.Session
	load, prepare time.Duration
}

// open opens the model, which is downloaded if need be, and prepares its weights, with progress bars.
func (m *modelFlags) open(ctx context.Context, env *cli.Env) (o opened, err error) {
	m.options.CacheF32 = m.cacheType == "f32"
	if m.path, err = pull(ctx, env, m.name, realm.PullOptions{Offline: m.offline}); err != nil {
		return o, err
	}
	start := time.Now()
	o.model, err = realm.Open(m.path, m.options)
	if err != nil {
		return o, err
	}
	if o.session, err = o.model.NewSession(); err == nil {
		o.load = time.Since(start)
		progress := env.NewProgress("prepare", cli.Bytes)
		start = time.Now()
		err = o.model.Prepare(ctx, progress.Update)
		o.prepare = time.Since(start)
		progress.Clear()
	}
	if err == nil && ctx.Err() != nil {
		err = cli.Interrupted
	}
	if err != nil {
		_ = o.model.Close()
	}
	return o, err
}

// ran says which model ran.
func (m *modelFlags) ran(i realm.Info) cli.ModelName {
	return cli.ModelName{File: m.name, Name: i.Name, Architecture: i.Architecture}
}
