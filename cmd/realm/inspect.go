package main

import (
	"context"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/cli"
)

const inspectHelp = `
Shows the metadata of a GGUF file, which is downloaded where a name says so (realm help names), its tensors, their sizes by dtype and, if Realm can run the model, its shape and the
memory that a session needs. A file that cannot be run is described all the same, with the reason.

--json prints one object: file, gguf_version, parts, file_bytes, tensor_bytes, parameters, supported,
unsupported_reason, model, session (kv_bytes_per_token, kv_bytes_full_context), metadata (by key: type, value and an
array's length), dtypes and tensors (name, dtype, shape with the row length first, bytes).`

func inspectCommand() *cli.Command {
	c := &cli.Command{
		Name:  "inspect",
		Short: "describe a GGUF file: metadata, tensors, sizes, memory",
		Usage: []string{"inspect MODEL [flags]"},
		Long:  inspectHelp,
		Args:  [2]int{1, 1},
	}
	var asJSON, digest, all, offline bool
	c.Flags.Bool(&asJSON, "json", "print one JSON object")
	c.Flags.Bool(&digest, "digest", "compute the file's SHA-256, or recall it if the file is known")
	c.Flags.Bool(&all, "all", "show arrays and long texts of the metadata in full")
	offlineFlag(&c.Flags, &offline)
	c.Run = func(ctx context.Context, env *cli.Env, args []string) error {
		ctx, stop := env.Cancelable(ctx)
		defer stop()
		path, err := pull(ctx, env, args[0], realm.PullOptions{Offline: offline})
		if err != nil {
			return err
		}
		result, err := inspect(ctx, env, path, digest, all)
		if err != nil {
			return err
		}
		if asJSON {
			return env.WriteJSON(result)
		}
		return result.WriteText(env.Stdout, all)
	}
	return c
}

func inspect(ctx context.Context, env *cli.Env, path string, digest, all bool) (*cli.InspectResult, error) {
	shown := cli.ShownElements
	if all {
		shown = 0
	}
	description, err := realm.Inspect(path, shown)
	if err != nil {
		return nil, err
	}
	result := cli.NewInspectResult(path, description)
	if model, err := realm.Open(path, realm.Options{}); err != nil {
		result.Reason = err.Error()
	} else {
		result.SetModel(model.Info())
		_ = model.Close()
	}
	if digest {
		progress := env.NewProgress("hash", cli.Bytes)
		result.SHA256, err = realm.FileDigest(ctx, path, progress.Update)
		progress.Clear()
		if err != nil {
			return nil, err
		}
	}
	if ctx.Err() != nil {
		return nil, cli.Interrupted
	}
	return result, nil
}
