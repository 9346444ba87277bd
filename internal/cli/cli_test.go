package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/errs"
)

// testEnv is an Env over buffers.
type testEnv struct {
	*Env
	stdout, stderr bytes.Buffer
	signals        chan os.Signal
}

func newEnv(stdin io.Reader) *testEnv {
	e := &testEnv{signals: make(chan os.Signal, 1)}
	e.Env = &Env{Stdin: stdin, Stdout: bufio.NewWriter(&e.stdout), Stderr: &e.stderr, Signals: e.signals}
	return e
}

// testApp has a command that fails with err or else prints its arguments.
func testApp(err error) *App {
	echo := &Command{
		Name: "echo", Short: "print arguments", Usage: []string{"echo [TEXT]"}, Args: [2]int{1, 2},
		Long: "One paragraph that is long enough to be wrapped, since it has more than eighty columns.\n\n  laid out\n    by hand",
	}
	var loud bool
	echo.Flags.Bool(&loud, "l, loud", "print them in capitals")
	echo.Run = func(_ context.Context, env *Env, args []string) error {
		text := strings.Join(args, " ")
		if loud {
			text = strings.ToUpper(text)
		}
		if _, failed := fmt.Fprintln(env.Stdout, text); failed != nil {
			return failed
		}
		return err
	}
	none := &Command{Name: "version", Usage: []string{"version"}, Run: func(_ context.Context, env *Env, _ []string) error {
		_, err := fmt.Fprintln(env.Stdout, "realm 1")
		return err
	}}
	return &App{Name: "realm", Short: "realm is a test.", Commands: []*Command{echo, none}, Topics: []Topic{ExitCodes()}}
}

func TestAppMain(t *testing.T) {
	failure := realm.CodeInvalidFormat
	for _, tc := range []struct {
		args   string
		err    error
		stdout string // its start
		stderr string
		code   int
	}{
		{"echo a", nil, "a\n", "", 0},
		{"echo a --loud b", nil, "A B\n", "", 0},
		{"", nil, "realm is a test.\n\nUsage:\n", "", 0},
		{"help", nil, "realm is a test.\n", "", 0},
		{"help help", nil, "realm is a test.\n", "", 0},
		{"--help", nil, "realm is a test.\n", "", 0},
		{"help echo", nil, "realm echo: print arguments\n\nUsage:\n  realm echo [TEXT]\n", "", 0},
		{"echo --help", nil, "realm echo: print arguments\n", "", 0},
		{"echo -h", nil, "realm echo: print arguments\n", "", 0},
		{"help exit-codes", nil, "Exit codes of realm:\n", "", 0},
		{"--version", nil, "realm 1\n", "", 0},
		{"eho a", nil, "", "realm: unknown command \"eho\"; did you mean echo?\nRun 'realm help' for help.\n", 2},
		{"help ehco", nil, "", "realm: unknown help topic \"ehco\"; did you mean echo?\nRun 'realm help' for help.\n", 2},
		{"help a b", nil, "", "realm: help: unexpected argument \"b\"\nRun 'realm help' for help.\n", 2},
		{"-m echo", nil, "", "realm: unknown flag -m: the command comes first\nRun 'realm help' for help.\n", 2},
		{"echo --lod a", nil, "", "realm: echo: unknown flag --lod; did you mean --loud?\nRun 'realm help echo' for help.\n", 2},
		{"echo", nil, "", "realm: echo: missing arguments: realm echo [TEXT]\nRun 'realm help echo' for help.\n", 2},
		{"echo a b c", nil, "", "realm: echo: unexpected argument \"c\" after \"b\"\nRun 'realm help echo' for help.\n", 2},
		{"version a", nil, "", "realm: version: unexpected argument \"a\"\nRun 'realm help version' for help.\n", 2},
		{"echo a", failure, "a\n", "realm: invalid format\n", 4},
		{"echo a", Errorf(realm.CodeNotFound, "x\x1b[2J: %w", io.EOF), "a\n", "realm: x␛[2J: EOF\n", 3},
		{"echo a", errors.New("unheard of"), "a\n", "realm: unheard of\n", 1},
		{"echo a", Errorf(realm.CodeCanceled, "engine: layer 3: context canceled"), "a\n", "realm: interrupted\n", 130},
		{"echo a", fmt.Errorf("write: %w", syscall.EPIPE), "a\n", "", 141},
	} {
		env := newEnv(strings.NewReader(""))
		code := testApp(tc.err).Main(t.Context(), env.Env, strings.Fields(tc.args))
		stdout, stderr := env.stdout.String(), env.stderr.String()
		if code != tc.code || !strings.HasPrefix(stdout, tc.stdout) || tc.stdout == "" && stdout != "" || stderr != tc.stderr {
			t.Errorf("realm %s: exit code %d, stdout %q, stderr %q; want %d, %q, %q",
				tc.args, code, stdout, stderr, tc.code, tc.stdout, tc.stderr)
		}
		for line := range strings.Lines(stdout) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > helpWidth {
				t.Errorf("realm %s: line of %d columns: %s", tc.args, n, line)
			}
		}
	}
}

// brokenWriter fails each write.
type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestOutputFails(t *testing.T) {
	for _, tc := range []struct {
		err    error
		stderr string
		code   int
	}{
		{&os.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}, "", 141},
		{&os.PathError{Op: "write", Path: "|1", Err: syscall.ENOSPC}, "realm: standard output: no space left on device\n", 11},
	} {
		env := newEnv(strings.NewReader(""))
		env.Stdout = bufio.NewWriter(brokenWriter{tc.err})
		if code := testApp(nil).Main(t.Context(), env.Env, []string{"echo", "a"}); code != tc.code || env.stderr.String() != tc.stderr {
			t.Errorf("%v: exit code %d, stderr %q", tc.err, code, env.stderr.String())
		}
		err := env.WriteText("a")
		if code := realm.CodeOf(err); code != realm.CodeIO && !errors.Is(err, syscall.EPIPE) {
			t.Errorf("WriteText: %v", err)
		}
	}
}

// TestExitCodesAreComplete holds the page of help to the table of codes.
func TestExitCodesAreComplete(t *testing.T) {
	page := ExitCodes().Text
	for _, code := range errs.Codes() {
		if line := fmt.Sprintf("\n  %-5d%s", code.ExitCode(), code.Error()); !strings.Contains(page, line) {
			t.Errorf("%s is missing: want a line %q", code.Name(), line)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	names := []string{"run", "inspect", "tokenize", "bench", "--temp"}
	for name, want := range map[string]string{
		"rnu": "run", "inspct": "inspect", "tokenise": "tokenize", "--tmp": "--temp", "-x": "", "serve": "", "r": "", "": "",
	} {
		got := didYouMean(name, names)
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}
