package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/cli"
)

const cacheHelp = `
When a model is first run, its weights are put into the order that this processor reads fastest, and kept in the cache
folder, in a file about as large as the model's own. Later runs start from it at once, and processes share its memory. It
may be removed at any time. The folder takes 32 GiB at most; the models that were not used for the longest time go first.

  realm cache ls           the models there: name, digest, size, last use
  realm cache rm 4b2f6d    remove the one whose digest begins with 4b2f6d
  realm cache rm --all     remove all, and what is remembered of files' digests

The folder is $REALM_CACHE, or realm in the user's cache folder. REALM_CACHE=off keeps nothing.

ls --json prints an array of objects: name, digest, bytes, last_used. rm --json prints one of what was removed.`

func cacheCommand() *cli.Command {
	c := &cli.Command{
		Name:  "cache",
		Short: "list or remove what is kept to start models quickly",
		Usage: []string{"cache ls [--json]", "cache rm DIGEST", "cache rm --all"},
		Long:  cacheHelp,
		Args:  [2]int{1, 2},
	}
	var asJSON, all bool
	c.Flags.Bool(&asJSON, "json", "print one JSON array")
	c.Flags.Bool(&all, "all", "remove all")
	c.Run = func(_ context.Context, env *cli.Env, args []string) error {
		var models []realm.CachedModel
		var err error
		switch {
		case args[0] == "ls" && len(args) == 1 && !all:
			models, err = realm.CachedModels()
		case args[0] == "rm" && len(args) == 1 && all:
			models, err = realm.ClearCache()
		case args[0] == "rm" && len(args) == 2 && !all:
			models, err = realm.RemoveCached(args[1])
		default:
			return c.Usagef("want ls, rm DIGEST or rm --all")
		}
		if err != nil {
			return err
		}
		if asJSON {
			return env.WriteJSON(cli.NewCacheResult(models))
		}
		return writeCache(env, models, args[0] == "rm")
	}
	return c
}

func writeCache(env *cli.Env, models []realm.CachedModel, removed bool) error {
	total := int64(0)
	w := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	for _, m := range models {
		total += m.Bytes
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", cli.Printable(m.Name), m.Digest, cli.Bytes(float64(m.Bytes)), m.LastUsed.Local().Format(time.DateTime))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if removed {
		env.Note("removed %s", cli.Bytes(float64(total)))
	}
	return nil
}
