package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// terminal is the program on a pseudo-terminal, with somebody at the keyboard.
type terminal struct {
	*exec.Cmd
	keyboard *os.File

	mu     sync.Mutex
	screen strings.Builder
	seen   int // of screen
}

// openTerminal starts the program as the foreground process of a terminal of its own (pty(7)).
func openTerminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	primary, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { _ = primary.Close() })
	var unlocked, number int32
	ioctl(t, primary, syscall.TIOCSPTLCK, &unlocked)
	ioctl(t, primary, syscall.TIOCGPTN, &number)
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	defer tty.Close()

	term := &terminal{Cmd: exec.Command(os.Args[0], args...), keyboard: primary}
	term.Env = append(os.Environ(), asProcess+"=1")
	term.Stdin, term.Stdout, term.Stderr = tty, tty, tty
	term.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := term.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if term.ProcessState == nil {
			_ = term.Process.Kill()
			_ = term.Wait()
		}
	})
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := primary.Read(buf)
			term.mu.Lock()
			term.screen.Write(buf[:n])
			term.mu.Unlock()
			if err != nil { // EIO when the program has ended
				return
			}
		}
	}()
	return term
}

func ioctl(t *testing.T, f *os.File, request uintptr, value *int32) {
	t.Helper()
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), request, uintptr(unsafe.Pointer(value))); errno != 0 {
		t.Skipf("no pseudo-terminals: %v", errno)
	}
}

// wait waits until text appears behind what was waited for before, and returns what came up to and with it.
func (term *terminal) wait(t *testing.T, text string) string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		term.mu.Lock()
		shown := term.screen.String()[term.seen:]
		term.mu.Unlock()
		if i := strings.Index(shown, text); i >= 0 {
			term.seen += i + len(text)
			return shown[:i+len(text)]
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q does not appear; the screen shows %q", text, shown)
		}
	}
}

func (term *terminal) press(t *testing.T, keys string) {
	t.Helper()
	if _, err := term.keyboard.WriteString(keys); err != nil {
		t.Fatal(err)
	}
}

const (
	ctrlC = "\x03"
	ctrlD = "\x04"
)

// TestTerminalChat chats with a model that never stops by itself.
func TestTerminalChat(t *testing.T) {
	term := openTerminal(t, "run", "-m", tiny(t, "tiny-llama-f32"), "--ignore-eos", "--shift", "--logit-bias", "68=1000")
	term.wait(t, "/help lists commands\r\n\r\n> ")
	term.press(t, "Hello\n")
	term.wait(t, "AAAAAAAA")
	term.press(t, ctrlC)
	term.wait(t, "\r\nstopped\r\n\r\n> ")
	term.press(t, "/help\n")
	term.wait(t, "/clear   begin a new conversation")
	term.wait(t, "> ")
	term.press(t, "Hello\\\n")
	term.wait(t, "\r\n. ")
	term.press(t, "again\n")
	term.wait(t, "AAAAAAAA")
	term.press(t, ctrlC)
	term.wait(t, "\r\nstopped\r\n\r\n> ")
	term.press(t, ctrlC)
	term.wait(t, "Ctrl-C again, Ctrl-D or /exit leaves.\r\n> ")
	term.press(t, ctrlD)
	if err := term.Wait(); err != nil {
		t.Errorf("Ctrl-D: %v", err)
	}
}

func TestTerminalLeave(t *testing.T) {
	term := openTerminal(t, "run", "-m", tiny(t, "tiny-llama-f32"))
	term.wait(t, "> ")
	term.press(t, ctrlC)
	term.wait(t, "leaves.\r\n> ")
	term.press(t, ctrlC)
	if err := term.Wait(); err != nil {
		t.Errorf("Ctrl-C twice: %v", err)
	}
}

// TestTerminalAnswer: one answer, with its speed, and no escape sequence of the model's. Token 30 is the byte 0x1b.
func TestTerminalAnswer(t *testing.T) {
	term := openTerminal(t, "run", "-m", tiny(t, "tiny-llama-f32"), "-p", "Hello", "-n", "3", "--logit-bias", "30=1000")
	shown := term.wait(t, "answer: 3 tokens")
	if err := term.Wait(); err != nil || !strings.Contains(shown, "␛␛␛\r\nprompt: ") || strings.Contains(shown, "\x1b") {
		t.Errorf("the screen shows %q, %v", shown, err)
	}
}

// TestTerminalProgress draws a bar and takes it away.
func TestTerminalProgress(t *testing.T) {
	term := openTerminal(t, "bench", "-m", tiny(t, "tiny-llama-f32"), "-p", "0", "-n", "500", "-r", "3")
	shown := term.wait(t, "\nmemory")
	if err := term.Wait(); err != nil || !strings.Contains(shown, "\rbench  [=") || !strings.Contains(shown, " \rmodel  ") {
		t.Errorf("the screen shows %q, %v", shown, err)
	}
}
