// Realm is the command line: it runs, describes and measures models in GGUF files. Each command has a file of its own
// here; what they share is in internal/cli. Start at app.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

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
			lsCommand(), rmCommand(), cacheCommand(), guestCommand(), versionCommand(),
		},
		Topics: []cli.Topic{namesTopic(), cli.ExitCodes()},
	}
}

func versionCommand() *cli.Command {
	return &cli.Command{
		Name:  "version",
		Short: "print the version",
		Usage: []string{"version"},
		Run: func(_ context.Context, env *cli.Env, _ []string) error {
			version := "devel"
			if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
				version = info.Main.Version
			}
			_, err := fmt.Fprintf(env.Stdout, "realm %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
