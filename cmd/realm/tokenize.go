package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/cli"
)

const tokenizeHelp = `
Reads text from standard input, byte for byte: a newline at the end counts. Each line of the result has a token ID, a
tab, and the token's text in quotes, with bytes that are no whole character escaped. --json prints the IDs only, as one
array.

The file may hold a vocabulary and no weights. The texts of control tokens are plain text unless --parse-special is
set.

  printf 'Hello world' | realm tokenize -m model.gguf --json`

func tokenizeCommand() *cli.Command {
	c := &cli.Command{
		Name:  "tokenize",
		Short: "print the token IDs of standard input",
		Usage: []string{"tokenize -m MODEL [flags] < TEXT"},
		Long:  tokenizeHelp,
	}
	var name, pre string
	var noBOS, parseSpecial, asJSON, offline bool
	c.Flags.String(&name, "m, model", "MODEL", modelHelp)
	offlineFlag(&c.Flags, &offline)
	c.Flags.Bool(&noBOS, "no-bos", "add no BOS, EOS, CLS or SEP; else what the model asks for is added")
	c.Flags.Bool(&parseSpecial, "parse-special", "read the texts of control tokens as these tokens")
	c.Flags.String(&pre, "pre", "NAME", "pre-tokenizer to use in place of the file's `tokenizer.ggml.pre`")
	c.Flags.Bool(&asJSON, "json", "print one array of token IDs")
	c.Run = func(ctx context.Context, env *cli.Env, _ []string) error {
		if name == "" {
			return c.Usagef("-m MODEL is missing")
		}
		ctx, stop := env.Cancelable(ctx)
		defer stop()
		path, err := pull(ctx, env, name, realm.PullOptions{Offline: offline})
		if err != nil {
			return err
		}
		t, err := realm.OpenTokenizer(path, pre)
		if err != nil {
			return err
		}
		text, err := env.ReadAll(ctx, maxText)
		if err != nil {
			return err
		}
		tokens, err := t.Encode(text, realm.EncodeOptions{AddSpecial: !noBOS, ParseSpecial: parseSpecial})
		if err != nil {
			return err
		}
		if asJSON {
			return env.WriteJSON(append([]int32{}, tokens...)) // [] and not null where there are none
		}
		for _, id := range tokens {
			if _, err := fmt.Fprintf(env.Stdout, "%d\t%s\n", id, strconv.Quote(string(t.Piece(id, true)))); err != nil {
				return err
			}
		}
		return nil
	}
	return c
}
