package main

import (
	"bufio"
	"context"
	"os"
	"os/signal"

	"github.com/realm-ai/realm/internal/cli"
	"github.com/realm-ai/realm/internal/hostpipe"
)

// hostCommand is for the Node package, whose backend in a child process it is. The command ends with its standard input, so
// that it never outlives who started it.
func hostCommand() *cli.Command {
	c := &cli.Command{
		Name:   "host",
		Hidden: true,
		Short:  "serve a program that started it",
		Usage:  []string{"host"},
		Long: `
What the Node package starts for {backend: 'process'}. It speaks frames over standard input and output, which are no
interface for other programs, and ends when its standard input does.`,
	}
	c.Run = func(ctx context.Context, env *cli.Env, _ []string) error {
		if env.StdinTerminal {
			return c.Usagef("is for programs: it reads frames from standard input")
		}
		// What is typed at a terminal reaches the whole group of processes; who started this one decides for it.
		signal.Ignore(os.Interrupt)
		ctx, stop := env.Cancelable(ctx)
		defer stop()
		runtime, err := newRuntime()
		if err != nil {
			return err
		}
		err = hostpipe.Serve(ctx, bufio.NewReaderSize(env.Stdin, 1<<16), unbuffered{env.Stdout}, runtime)
		if ctx.Err() != nil {
			return cli.Interrupted
		}
		return err
	}
	return c
}

// unbuffered writes through a buffer: what a host says is waited for.
type unbuffered struct {
	w *bufio.Writer
}

func (u unbuffered) Write(p []byte) (int, error) {
	n, err := u.w.Write(p)
	if err == nil {
		err = u.w.Flush()
	}
	return n, err
}
