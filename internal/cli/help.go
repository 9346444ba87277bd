package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	helpWidth  = 80 // columns
	flagColumn = 30 // where the text beside flags begins
)

// help answers `realm help [COMMAND or TOPIC]`.
func (a *App) help(env *Env, args []string) error {
	switch len(args) {
	case 0:
		return a.writeHelp(env.Stdout)
	case 1:
	default:
		return usagef("", "help: unexpected argument %q", args[1])
	}
	if c := a.command(args[0]); c != nil {
		return a.writeCommandHelp(env.Stdout, c)
	}
	for _, t := range a.Topics {
		if t.Name == args[0] {
			return write(env.Stdout, t.Text)
		}
	}
	if args[0] == "help" {
		return a.writeHelp(env.Stdout)
	}
	return a.unknown("help topic", args[0])
}

func (a *App) writeHelp(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nUsage:\n  %s COMMAND [flags]\n\nCommands:\n", a.Short, a.Name)
	for _, c := range a.Commands {
		if !c.Hidden {
			column(&b, c.Name, 12, c.Short)
		}
	}
	fmt.Fprintf(&b, "\nMore help:\n")
	column(&b, a.Name+" help COMMAND", flagColumn, "what a command does, its flags and examples")
	for _, t := range a.Topics {
		column(&b, a.Name+" help "+t.Name, flagColumn, t.Short)
	}
	b.WriteByte('\n')
	wrap(&b, 0, "Results go to standard output and everything else to standard error. Flags may be written with one dash "+
		"or two, and before or after other arguments.")
	return write(w, b.String())
}

func (a *App) writeCommandHelp(w io.Writer, c *Command) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s\n\nUsage:\n", a.Name, c.Name, c.Short)
	for _, u := range c.Usage {
		fmt.Fprintf(&b, "  %s %s\n", a.Name, u)
	}
	for _, paragraph := range strings.Split(strings.TrimSpace(c.Long), "\n\n") {
		if paragraph == "" {
			continue
		}
		b.WriteByte('\n')
		if strings.HasPrefix(paragraph, " ") { // laid out by hand
			b.WriteString(paragraph + "\n")
			continue
		}
		wrap(&b, 0, strings.ReplaceAll(paragraph, "\n", " "))
	}
	for _, g := range c.Flags.groups {
		title := g.title
		if title == "" {
			title = "Flags"
		}
		fmt.Fprintf(&b, "\n%s:\n", title)
		for _, h := range g.flags {
			column(&b, h.head(), flagColumn, h.text())
		}
	}
	return write(w, b.String())
}

// head is the flag as it is written, such as "-m, --model FILE".
func (h *flagHelp) head() string {
	var b strings.Builder
	if len(h.names[0]) > 1 {
		b.WriteString("    ") // long names stand below one another
	}
	for i, name := range h.names {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(dashed(name))
	}
	if h.arg != "" {
		b.WriteString(" " + h.arg)
	}
	return b.String()
}

func (h *flagHelp) text() string {
	if h.fallback == "" {
		return h.usage
	}
	return h.usage + " (default " + h.fallback + ")"
}

// column writes head and, from column at on, text. A head that is too long has a line of its own.
func column(b *strings.Builder, head string, at int, text string) {
	b.WriteString("  " + head)
	n := 2 + utf8.RuneCountInString(head)
	if n > at-2 {
		b.WriteByte('\n')
		n = 0
	}
	b.WriteString(strings.Repeat(" ", at-n))
	wrap(b, at, text)
}

// wrap writes words in lines of helpWidth columns. The first line begins where b stands, which is at column indent, the
// others are indented.
func wrap(b *strings.Builder, indent int, text string) {
	col := indent
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case col+1+n > helpWidth:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			col = indent
		default:
			b.WriteByte(' ')
			col++
		}
		b.WriteString(word)
		col += n
	}
	b.WriteByte('\n')
}

func write(w io.Writer, text string) error {
	_, err := io.WriteString(w, text)
	return err
}
