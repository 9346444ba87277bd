package cli

import (
	"context"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/realm-ai/realm"
)

// Answerer answers conversations.
type Answerer interface {
	// Answer writes the answer to the last message as it comes. It returns all of it, and a note on how it went, which may
	// be empty. Where it fails it returns what it has written.
	Answer(ctx context.Context, messages []realm.Message, write func(text string) error) (answer, note string, err error)
}

// Chat is a conversation by lines: each line of standard input is a message, and the answer goes to standard output.
type Chat struct {
	Model  Answerer
	System []realm.Message // what every conversation begins with

	env      *Env
	messages []realm.Message // of the conversation so far, without System
	pending  string          // lines of a message that goes on
}

const chatHelp = `A line is a message; a backslash at its end goes on with the next line.
  /clear   begin a new conversation
  /help    show this
  /exit    leave, as Ctrl-D does
Ctrl-C stops an answer. Twice at the prompt it leaves.`

// Run talks until the input ends. If that is a terminal, there are prompts, Ctrl-C stops an answer rather than the
// program, and a message that the model cannot take leaves the conversation open. Otherwise a signal or a failure is
// the end.
func (c *Chat) Run(ctx context.Context, env *Env) error {
	c.env = env
	lines, stop := newLineReader(env.Stdin)
	defer stop()
	interrupted := false // at this prompt
	for {
		if c.pending == "" {
			c.prompt("> ")
		} else {
			c.prompt(". ")
		}
		select {
		case l := <-lines.next():
			lines.took()
			if l.err == io.EOF {
				c.prompt("\n")
				return nil
			}
			if l.err != nil {
				return Errorf(realm.CodeIO, "standard input: %w", l.err)
			}
			if more, err := c.line(ctx, l.text); err != nil || !more {
				return err
			}
			interrupted = false
		case s := <-env.Signals:
			if c.ends(s) {
				return Interrupted
			}
			c.prompt("\n")
			if interrupted {
				return nil
			}
			interrupted, c.pending = true, ""
			c.prompt("Ctrl-C again, Ctrl-D or /exit leaves.\n")
		}
	}
}

// ends reports whether a signal is meant for the program and not for an answer.
func (c *Chat) ends(s os.Signal) bool { return !c.env.StdinTerminal || s != os.Interrupt }

// prompt prints what only somebody at a terminal needs to see.
func (c *Chat) prompt(text string) {
	if c.env.StdinTerminal {
		_, _ = io.WriteString(c.env.Stderr, text)
	}
}

// slashCommand tells a command from a message that begins with a path.
var slashCommand = regexp.MustCompile(`^/[a-z]+$`)

// line handles one line, and reports whether there are more to come.
func (c *Chat) line(ctx context.Context, text string) (more bool, err error) {
	if before, goesOn := strings.CutSuffix(text, `\`); goesOn {
		c.pending += before + "\n"
		return true, nil
	}
	text, c.pending = c.pending+text, ""
	switch command := strings.TrimSpace(text); {
	case command == "":
		return true, nil
	case command == "/exit":
		return false, nil
	case command == "/clear":
		c.messages = nil
		return true, nil
	case command == "/help":
		c.env.Note("%s", chatHelp)
		return true, nil
	case slashCommand.MatchString(command):
		c.env.Note("no command %s: /help lists them", command)
		return true, nil
	}
	return true, c.turn(ctx, text)
}

// turn sends a message. What was answered stays in the conversation even where the answer was stopped; a message that
// was not answered at all does not.
func (c *Chat) turn(ctx context.Context, text string) error {
	messages := append(slices.Clone(c.messages), realm.Message{Role: "user", Content: text})
	answer, note, signal, err := c.answer(ctx, slices.Concat(c.System, messages))
	if answer != "" || err == nil {
		c.messages = append(messages, realm.Message{Role: "assistant", Content: answer})
		if !strings.HasSuffix(answer, "\n") {
			if failed := c.env.WriteText("\n"); failed != nil {
				return failed
			}
		}
	}
	switch {
	case signal != nil && c.ends(signal):
		return Interrupted
	case err == nil:
		if note != "" {
			c.env.Note("%s", note)
		}
	case signal != nil:
		c.env.Note("stopped")
	case c.env.StdinTerminal && survivable(err):
		c.env.Note("realm: %v", err)
		if realm.CodeOf(err) == realm.CodeContextLength {
			c.env.Note("/clear begins a new conversation.")
		}
	default:
		return err
	}
	c.prompt("\n")
	return nil
}

// answer asks for an answer that a signal stops, and returns the signal if one came.
func (c *Chat) answer(ctx context.Context, messages []realm.Message) (answer, note string, signal os.Signal, err error) {
	ctx, cancel := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case signal = <-c.env.Signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	answer, note, err = c.Model.Answer(ctx, messages, c.env.WriteText)
	cancel()
	<-watched
	return answer, note, signal, err
}

// survivable reports whether an error is about what was said, so that something else may be said.
func survivable(err error) bool {
	switch realm.CodeOf(err) {
	case realm.CodeContextLength, realm.CodeInvalidArgument, realm.CodeLimitExceeded, realm.CodeOutOfMemory:
		return true
	}
	return false
}
