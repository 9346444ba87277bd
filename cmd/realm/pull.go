package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/cli"
)

const modelHelp = "the model: a GGUF file, the first part of a split one, or a name (realm help names)"

const namesHelp = `What names a model, for -m and for realm pull, inspect and rm:

  model.gguf               a file, or the first part of a split model
  file:model.gguf          the same, whatever it is called
  hf:ORG/REPO              from the Hugging Face hub: the repository's file in
                           Q4_K_M, else in Q8_0, else the first
  hf:ORG/REPO:QUANT        the one in that quantization, such as Q5_K_M
  hf:ORG/REPO/FILE.gguf    a certain file; of a split model, any part
  https://HOST/FILE.gguf   from any server

What is not on this machine is downloaded into the folder models of the cache
folder (realm help cache), checked against the hub's SHA-256, and kept there. An
interrupted download goes on where it ended. realm ls lists what is there, realm
rm removes it, and realm pull looks for a newer file.

  HF_TOKEN=TOKEN         for repositories that not everybody may read
  HF_ENDPOINT=URL        another server with the hub's API
  REALM_MIRROR=URL       a server to take the hub's files from where it can;
                         what they must be is still asked of the hub
  REALM_OFFLINE=1        download nothing, as --offline does
  HTTPS_PROXY=URL        go through a proxy
`

func namesTopic() cli.Topic {
	return cli.Topic{Name: "names", Short: "what names a model", Text: namesHelp}
}

// offlineFlag declares the flag for what commands with models have in common.
func offlineFlag(f *cli.Flags, offline *bool) {
	f.Bool(offline, "offline", "download nothing: the model is on this machine, or it is an error")
}

// pull returns the path of a model, which it downloads where need be, with a progress bar.
func pull(ctx context.Context, env *cli.Env, name string, o realm.PullOptions) (string, error) {
	progress := env.NewProgress("pull", cli.Bytes)
	begun := false
	o.Progress = func(done, total int64) {
		if !begun {
			begun = true
			progress.From(done)
		}
		progress.Update(done, total)
	}
	path, err := realm.Pull(ctx, name, o)
	progress.Clear()
	if err == nil && ctx.Err() != nil {
		err = cli.Interrupted
	}
	return path, err
}

const pullHelp = `
Downloads a model, or looks for a newer file of one that is there, and prints its path. realm help names says what names
there are, where models are kept, and which settings there are.

  realm pull hf:org/repo:Q4_K_M
  realm run -m hf:org/repo:Q4_K_M -p "Hello"    pulls it if need be

--json prints one object: name, path, bytes, files, sha256 (empty for several files), pulled.`

func pullCommand() *cli.Command {
	c := &cli.Command{
		Name:  "pull",
		Short: "download a model by its name",
		Usage: []string{"pull NAME [flags]"},
		Long:  pullHelp,
		Args:  [2]int{1, 1},
	}
	var asJSON bool
	o := realm.PullOptions{Update: true}
	c.Flags.Bool(&asJSON, "json", "print one JSON object")
	offlineFlag(&c.Flags, &o.Offline)
	c.Run = func(ctx context.Context, env *cli.Env, args []string) error {
		ctx, stop := env.Cancelable(ctx)
		defer stop()
		path, err := pull(ctx, env, args[0], o)
		if err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return cli.FileError(err)
		}
		if !asJSON {
			_, err := fmt.Fprintln(env.Stdout, path)
			return err
		}
		result := realm.PulledModel{Name: args[0], Path: path, Bytes: info.Size(), Files: 1}
		// A path needs no cache folder.
		models, _ := realm.Models()
		for _, m := range models {
			if m.Path == path {
				result = m
			}
		}
		return env.WriteJSON(cli.NewModelsResult([]realm.PulledModel{result})[0])
	}
	return c
}

func lsCommand() *cli.Command {
	c := &cli.Command{
		Name:  "ls",
		Short: "list the models that were downloaded",
		Usage: []string{"ls [--json]"},
		Long: `
Each line has a model's name, its size, and when it was downloaded, or that its download was interrupted: realm pull goes
on with it.

--json prints an array of objects: name, path (empty where interrupted), bytes, files, sha256, pulled.`,
	}
	var asJSON bool
	c.Flags.Bool(&asJSON, "json", "print one JSON array")
	c.Run = func(_ context.Context, env *cli.Env, _ []string) error {
		models, err := realm.Models()
		if err != nil {
			return err
		}
		if asJSON {
			return env.WriteJSON(cli.NewModelsResult(models))
		}
		w := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
		for _, m := range models {
			when := "interrupted"
			if m.Path != "" {
				when = m.Pulled.Local().Format(time.DateTime)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\n", cli.Printable(m.Name), cli.Bytes(float64(m.Bytes)), when)
		}
		return w.Flush()
	}
	return c
}

func rmCommand() *cli.Command {
	return &cli.Command{
		Name:  "rm",
		Short: "remove a model that was downloaded",
		Usage: []string{"rm NAME"},
		Long: `
Removes a model that realm ls lists, with the packed weights that were made of it. Any of its names will do if it is the
only one that is meant. A process that has the model open keeps it.`,
		Args: [2]int{1, 1},
		Run: func(_ context.Context, env *cli.Env, args []string) error {
			m, err := realm.RemoveModel(args[0])
			if err != nil {
				return err
			}
			env.Note("removed %s, %s", m.Name, cli.Bytes(float64(m.Bytes)))
			return nil
		},
	}
}
