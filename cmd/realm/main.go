// Realm is the command line: it runs, describes and measures models in GGUF files. Each command has a file of its own
// here; what they share is in internal/cli. Start at app.
package main

import (
	"context"
	"os"

	"github.com/realm-ai/realm/internal/cli"
)

func main() {
	os.Exit(app().Main(context.Background(), cli.ProcessEnv(), os.Args[1:]))
}

// app makes the program. Flags keep what they are set to, so each run of Main needs an app of its own.
func app() *cli.App {
	return &cli.App{
		Name:  "realm",
		Short: "realm runs large language models from GGUF files.",
		Commands: []*cli.Command{
			runCommand(), inspectCommand(), tokenizeCommand(), benchCommand(), synthCommand(), pullCommand(),
			lsCommand(), rmCommand(), cacheCommand(), guestCommand(), hostCommand(), versionCommand(),
		},
		Topics: []cli.Topic{namesTopic(), cli.ExitCodes()},
	}
}
