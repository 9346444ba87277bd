package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/realm-ai/realm"
)

// fakeModel answers with what the conversation holds. It is told to misbehave by the last message.
type fakeModel struct {
	calls   int
	started chan struct{} // closed when "wait" has begun to answer
}

func (m *fakeModel) Answer(ctx context.Context, messages []realm.Message, write func(string) error) (string, string, error) {
	m.calls++
	var b strings.Builder
	for _, msg := range messages {
		fmt.Fprintf(&b, "%.1s:%s|", msg.Role, msg.Content)
	}
	switch last := messages[len(messages)-1].Content; last {
	case "long":
		return "", "", Errorf(realm.CodeContextLength, "too long")
	case "broken":
		return "", "", Errorf(realm.CodeInternal, "broken")
	case "wait":
		err := write("partial")
		close(m.started)
		<-ctx.Done()
		if err == nil {
			err = Errorf(realm.CodeCanceled, "cancelled")
		}
		return "partial", "", err
	case "newline":
		return "n\n", "", write("n\n")
	case "empty":
		return "", "note", nil
	}
	return b.String(), "", write(b.String())
}

func TestChatByLines(t *testing.T) {
	system := []realm.Message{{Role: "system", Content: "S"}}
	for _, tc := range []struct{ name, in, stdout, stderr string }{
		{"history", "a\nb\n", "s:S|u:a|\ns:S|u:a|a:s:S|u:a||u:b|\n", ""},
		{"no newline at the end", "a", "s:S|u:a|\n", ""},
		{"carriage returns", "a\r\n\r\n", "s:S|u:a|\n", ""},
		{"blank lines", "\n  \n\n", "", ""},
		{"clear", "a\n/clear\nb\n", "s:S|u:a|\ns:S|u:b|\n", ""},
		{"exit", "a\n/exit\nb\n", "s:S|u:a|\n", ""},
		{"continued", "a\\\nb\\\n\n/c d\n", "s:S|u:a\nb\n|\ns:S|u:a\nb\n|a:s:S|u:a\nb\n||u:/c d|\n", ""},
		{"unknown command", "/cler\n", "", "no command /cler: /help lists them\n"},
		{"path", "/etc/passwd\n", "s:S|u:/etc/passwd|\n", ""},
		{"help", "/help\n", "", chatHelp + "\n"},
		{"newline of the answer", "newline\n", "n\n", ""},
		{"empty answer", "empty\n", "\n", "note\n"},
	} {
		env := newEnv(strings.NewReader(tc.in))
		err := (&Chat{Model: &fakeModel{}, System: system}).Run(t.Context(), env.Env)
		if err != nil || env.stdout.String() != tc.stdout || env.stderr.String() != tc.stderr {
			t.Errorf("%s: got %q, %q, %v; want %q, %q", tc.name, env.stdout.String(), env.stderr.String(), err, tc.stdout, tc.stderr)
		}
	}
}

// TestChatFails shows that a failure ends what a program started, and leaves open what a person did if something else
// may be said.
func TestChatFails(t *testing.T) {
	for _, tc := range []struct {
		in       string
		terminal bool
		code     realm.Code
		stdout   string
		stderr   string
	}{
		{"long\na\n", false, realm.CodeContextLength, "", ""},
		{"broken\na\n", false, realm.CodeInternal, "", ""},
		{"broken\na\n", true, realm.CodeInternal, "", "> "},
		// The message that had no answer is not part of what follows.
		{"long\na\n", true, 0, "u:a|\n", "> realm: too long\n/clear begins a new conversation.\n\n> \n> \n"},
	} {
		env := newEnv(strings.NewReader(tc.in))
		env.StdinTerminal = tc.terminal
		err := (&Chat{Model: &fakeModel{}}).Run(t.Context(), env.Env)
		if realm.CodeOf(err) != tc.code || env.stdout.String() != tc.stdout || env.stderr.String() != tc.stderr {
			t.Errorf("%q, terminal %v: got %v, %q, %q", tc.in, tc.terminal, err, env.stdout.String(), env.stderr.String())
		}
	}
	env := newEnv(iotest.ErrReader(os.ErrPermission))
	if err := (&Chat{Model: &fakeModel{}}).Run(t.Context(), env.Env); realm.CodeOf(err) != realm.CodeIO {
		t.Errorf("input that fails: %v", err)
	}
}

// TestChatInterrupts plays somebody at the keyboard: step by step, each when the one before has had its effect.
func TestChatInterrupts(t *testing.T) {
	for _, tc := range []struct {
		name     string
		terminal bool
		signal   os.Signal
		during   bool // an answer
		goesOn   bool
	}{
		{"Ctrl-C stops an answer", true, os.Interrupt, true, true},
		{"Ctrl-C at the prompt asks again", true, os.Interrupt, false, true},
		{"Ctrl-C ends a program's chat in an answer", false, os.Interrupt, true, false},
		{"Ctrl-C ends a program's chat", false, os.Interrupt, false, false},
		{"SIGTERM ends all during an answer", true, syscall.SIGTERM, true, false},
		{"SIGTERM ends all at the prompt", true, syscall.SIGTERM, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			stdin, keyboard := io.Pipe()
			defer keyboard.Close()
			env := newEnv(stdin)
			env.StdinTerminal = tc.terminal
			m := &fakeModel{started: make(chan struct{})}
			ended := make(chan error, 1)
			go func() { ended <- (&Chat{Model: m}).Run(t.Context(), env.Env) }()
			if tc.during {
				fmt.Fprintln(keyboard, "wait")
				<-m.started
			}
			env.signals <- tc.signal
			if !tc.goesOn {
				if err := receive(t, ended); realm.CodeOf(err) != realm.CodeCanceled {
					t.Errorf("got %v, want canceled", err)
				}
				return
			}
			fmt.Fprintln(keyboard, "b")
			fmt.Fprintln(keyboard, "/exit")
			if err := receive(t, ended); err != nil {
				t.Error(err)
			}
			want := "u:b|\n"
			if tc.during { // what was answered stays in the conversation
				want = "partial\nu:wait|a:partial|u:b|\n"
			}
			if got := env.stdout.String(); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// screen is what a terminal shows, for who waits for something to appear.
type screen struct {
	mu   sync.Mutex
	text string
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text += string(p)
	return len(p), nil
}

// wait waits until all that was shown is text.
func (s *screen) wait(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		now := s.text
		s.mu.Unlock()
		if now == text {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the screen shows %q, want %q", now, text)
		}
	}
}

// TestChatTwoInterrupts leaves by Ctrl-C twice at the prompt; a line between them makes it once.
func TestChatTwoInterrupts(t *testing.T) {
	stdin, keyboard := io.Pipe()
	defer keyboard.Close()
	shown := new(screen)
	env := newEnv(stdin)
	env.StdinTerminal, env.Stdout, env.Stderr = true, bufio.NewWriter(shown), shown
	ended := make(chan error, 1)
	go func() { ended <- (&Chat{Model: &fakeModel{}}).Run(t.Context(), env.Env) }()

	want := "> "
	for _, step := range []struct{ typed, shows string }{
		{"^C", "\nCtrl-C again, Ctrl-D or /exit leaves.\n> "},
		{"dropped\\", ". "},
		{"^C", "\nCtrl-C again, Ctrl-D or /exit leaves.\n> "},
		{"a", "u:a|\n\n> "},
		{"^C", "\nCtrl-C again, Ctrl-D or /exit leaves.\n> "},
		{"^C", "\n"},
	} {
		shown.wait(t, want)
		if step.typed == "^C" {
			env.signals <- os.Interrupt
		} else {
			fmt.Fprintln(keyboard, step.typed)
		}
		want += step.shows
	}
	shown.wait(t, want)
	if err := receive(t, ended); err != nil {
		t.Error(err)
	}
}

func receive(t *testing.T, ended <-chan error) error {
	t.Helper()
	select {
	case err := <-ended:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("the chat goes on")
		return nil
	}
}
