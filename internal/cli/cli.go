// Package cli owns what the commands of `realm` share: commands and their flags, help, errors and exit codes, the
// streams and signals of the process, progress bars, the chat loop, and the shapes of what is printed.
//
// It knows package realm and, for the likeness of names, errs. What a command does is in cmd/realm; everything here can be tested without
// a process. Start at App.Main.
package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/realm-ai/realm/internal/errs"
)

// App is a program of several commands.
type App struct {
	Name     string
	Short    string // what the program is, in one line
	Commands []*Command
	Topics   []Topic // pages of help that belong to no command
}

// Command is one of an App's commands.
type Command struct {
	Name  string
	Short string   // what it does, in one line
	Usage []string // command lines, without the program's name
	Long  string   // what the list of flags does not say, in paragraphs
	Flags Flags
	// Hidden keeps the command out of the list of commands: it is for programs, not for people.
	Hidden bool
	// Args is the number of arguments that are no flags, at least and at most.
	Args [2]int
	// Run does the work. Its arguments are those that are no flags.
	Run func(ctx context.Context, env *Env, args []string) error
}

// Topic is a page of help.
type Topic struct {
	Name  string
	Short string
	Text  string
}

// Main runs the command that args ask for and returns the exit code. args do not have the program's name.
func (a *App) Main(ctx context.Context, env *Env, args []string) int {
	err := a.dispatch(ctx, env, args)
	// An answer is flushed before the message that it was cut short.
	if flushed := env.Stdout.Flush(); flushed != nil {
		err = outputError(flushed)
	}
	return a.report(env, err)
}

func (a *App) dispatch(ctx context.Context, env *Env, args []string) error {
	if len(args) == 0 {
		return a.writeHelp(env.Stdout)
	}
	switch name := args[0]; name {
	case "help", "-h", "-help", "--help":
		return a.help(env, args[1:])
	case "-version", "--version":
		args = append([]string{"version"}, args[1:]...)
	default:
		if strings.HasPrefix(name, "-") {
			return usagef("", "unknown flag %s: the command comes first", name)
		}
	}
	c := a.command(args[0])
	if c == nil {
		return a.unknown("command", args[0])
	}
	rest, err := c.Flags.parse(args[1:])
	switch {
	case err == errHelp:
		return a.writeCommandHelp(env.Stdout, c)
	case err != nil:
		return usagef(c.Name, "%s", err)
	case len(rest) > c.Args[1] && c.Args[1] == 0:
		return usagef(c.Name, "unexpected argument %q", rest[0])
	case len(rest) > c.Args[1]:
		return usagef(c.Name, "unexpected argument %q after %q", rest[c.Args[1]], rest[c.Args[1]-1])
	case len(rest) < c.Args[0]:
		return usagef(c.Name, "missing arguments: realm %s", c.Usage[0])
	}
	return c.Run(ctx, env, rest)
}

func (a *App) command(name string) *Command {
	i := slices.IndexFunc(a.Commands, func(c *Command) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return a.Commands[i]
}

// unknown is the error for a name that is none, with the name that may have been meant.
func (a *App) unknown(what, name string) error {
	var names []string
	for _, c := range a.Commands {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	if what != "command" {
		for _, t := range a.Topics {
			names = append(names, t.Name)
		}
	}
	return usagef("", "unknown %s %q%s", what, name, didYouMean(name, append(names, "help")))
}

// didYouMean returns the end of an error message that names the most similar of names, if one is similar.
func didYouMean(name string, names []string) string {
	best, least := "", 3
	for _, n := range names {
		if d := errs.EditDistance(name, n); d < least && d < max(len(name), 2) {
			best, least = n, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}
