package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/cli"
	"github.com/realm-ai/realm/internal/synth"
)

const synthHelp = `
Writes a GGUF file with random weights in the exact shape of a real model, or a tiny one for tests. The same shape and
seed give the same bytes on every machine. The file appears under its name when it is complete.

  realm synth tinyllama-1.1b-q4_k_m model.gguf    668 MB, 201 tensors
  realm synth smollm2-135m-q4_1 model.gguf        98 MB, 272 tensors
  realm synth tiny-llama-q4_0 model.gguf          0.7 MB; --list has more`

func synthCommand() *cli.Command {
	c := &cli.Command{
		Name:  "synth",
		Short: "write a synthetic model for tests and benchmarks",
		Usage: []string{"synth SHAPE FILE [flags]", "synth --list"},
		Long:  synthHelp,
		Args:  [2]int{0, 2},
	}
	var seed uint64
	var list, force bool
	c.Flags.Uint64(&seed, "seed", "seed of the weights")
	c.Flags.Bool(&force, "force", "replace a file that is there already")
	c.Flags.Bool(&list, "list", "print the names of all shapes and write nothing")
	c.Run = func(ctx context.Context, env *cli.Env, args []string) error {
		switch {
		case list && len(args) > 0:
			return c.Usagef("--list takes no arguments")
		case list:
			for _, name := range synth.Shapes() {
				if _, err := fmt.Fprintln(env.Stdout, name); err != nil {
					return err
				}
			}
			return nil
		case len(args) < 2:
			return c.Usagef("SHAPE and FILE are needed; --list prints the shapes")
		}
		return writeSynth(ctx, env, args[0], args[1], seed, force)
	}
	return c
}

func writeSynth(ctx context.Context, env *cli.Env, shape, path string, seed uint64, force bool) error {
	if _, err := os.Lstat(path); err == nil && !force {
		return cli.Errorf(realm.CodeConflict, "%s is there already; --force replaces it", path)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return cli.FileError(err)
	}
	ctx, stop := env.Cancelable(ctx)
	defer stop()
	progress := env.NewProgress("write", cli.Bytes)
	defer progress.Clear()
	return synth.WriteFile(ctx, path, shape, synth.Options{Seed: seed, Progress: progress.Update})
}
