package chat

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/realm-ai/realm/internal/errs"
)

// The bounds that no template passes. Work takes about half a second; the time allowed is for slow and busy machines.
const (
	hostileTime   = 20 * time.Second
	hostileMemory = 512 << 20
)

func nTimes(n int, f func(i int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(f(i))
	}
	return b.String()
}

// TestHostileTemplates renders templates that would loop, recurse or grow without end.
func TestHostileTemplates(t *testing.T) {
	again := func(n int, s string) string { return strings.Repeat(s, n) }
	limited := map[string]string{
		"range":                 "{% for i in range(1000000000) %}{% endfor %}",
		"range of all integers": "{{ range(-9223372036854775807, 9223372036854775807) }}",
		"nested loops":          "{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}",
		"three nested loops":    "{% set l = range(900) %}{% for i in l %}{% for j in l %}{% for k in l %}x{% endfor %}{% endfor %}{% endfor %}",
		"loop over a filter":    "{% set l = range(90000) %}{% for i in l if i %}{% for j in l if j %}{% endfor %}{% endfor %}",
		"loop without work":     "{% for i in range(90000) %}" + again(1000, "{% set x = x and x %}") + "{% endfor %}",
		"loop of ifs":           "{% for i in range(90000) %}" + again(1000, "{% if x %}{% elif x %}{% endif %}") + "{% endfor %}",
		"loop of breaks":        "{% for i in range(90000) %}{% for j in range(90000) %}{% break %}{% endfor %}{% endfor %}",
		"macro without work": "{% macro f() %}" + again(1000, "{% set x = x and x %}") + "{% endmacro %}" +
			"{% for i in range(90000) %}{{ f() }}{% endfor %}",
		"call without work": "{% macro f() %}{% for i in range(90000) %}{{ caller() }}{% endfor %}{% endmacro %}{% call f() %}" +
			again(1000, "{% set x = x and x %}") + "{% endcall %}",
		"doubled string":        "{% set s = 'aaaa' %}" + again(60, "{% set s = s ~ s %}"),
		"doubled sum":           "{% set s = 'aaaa' %}" + again(60, "{% set s = s + s %}"),
		"doubled list":          "{% set s = [1] %}" + again(60, "{% set s = s + s %}"),
		"doubled by join":       "{% set s = 'aaaa' %}" + again(60, "{% set s = [s, s]|join(s) %}"),
		"doubled by capture":    "{% set s = 'aaaa' %}" + again(60, "{% set s %}{{ s }}{{ s }}{% endset %}"),
		"doubled by format":     "{% set s = 'aaaa' %}" + again(60, "{% set s = '{}{}'.format(s, s) %}"),
		"doubled by a macro":    "{% set s = 'aaaa' %}{% macro f(x) %}{{ x }}{{ x }}{% endmacro %}" + again(60, "{% set s = f(s) %}"),
		"printed tree":          "{% set s = [1] %}" + again(60, "{% set s = [s, s] %}") + "{{ s }}",
		"tree as JSON":          "{% set s = [1] %}" + again(60, "{% set s = {'a': s, 'b': s} %}") + "{{ s|tojson }}",
		"compared trees":        "{% set s = [1] %}{% set q = [1] %}" + again(60, "{% set s = [s, s] %}{% set q = [q, q] %}") + "{{ s == q }}",
		"ordered trees":         "{% set s = [1] %}{% set q = [1] %}" + again(60, "{% set s = [s, s] %}{% set q = [q, q] %}") + "{{ s < q }}",
		"repeated string":       "{{ 'a' * 1000000000000 }}",
		"repeated list":         "{{ [1] * 1000000000000 }}",
		"replaced":              "{{ ('a' * 1000000)|replace('a', 'b' * 1000000) }}",
		"indented":              "{{ ('a\n' * 1000000)|indent(1000) }}",
		"indented JSON":         "{{ ([[1]] * 100000)|tojson(indent='a' * 10000) }}",
		"macro of itself":       "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
		"deep macro of itself":  "{% macro f() %}{{ " + again(40, "[") + "f()" + again(40, "]") + " }}{% endmacro %}{{ f() }}",
		"two macros":            "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}",
		"tree of macros":        "{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
		"call of itself":        "{% macro f() %}{% call f() %}{% endcall %}{% endmacro %}{{ f() }}",
		"namespace in itself":   "{% set ns = namespace() %}{% set ns.a = [ns] %}{{ ns }}",
		"list in itself":        "{% set l = [] %}{% set _ = l.append(l) %}{{ l|tojson }}",
		"list in itself, equal": "{% set l = [] %}{% set _ = l.append(l) %}{% set k = [] %}{% set _ = k.append(k) %}{{ l == k }}",
		"deep list":             "{% set ns = namespace(l=[]) %}{% for i in range(9000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
		"long list":             "{% set ns = namespace(l=[]) %}{% for i in range(90000) %}{% set ns.l = ns.l + [i] %}{% endfor %}",
		"dicts":                 "{% set l = [] %}{% for i in range(9000) %}{% for j in range(9000) %}{% set _ = l.append({}) %}{% endfor %}{% endfor %}",
		"namespaces":            "{% set l = [] %}{% for i in range(9000) %}{% for j in range(9000) %}{% set _ = l.append(namespace()) %}{% endfor %}{% endfor %}",
		"unique":                "{{ range(90000)|unique|list }}",
		"search in a list":      "{% set l = range(9000) %}{% for i in l %}{% if -1 in l %}{% endif %}{% endfor %}",
		"deep JSON":             "{{ ('[' * 100000)|from_json }}",
		"much JSON":             "{{ ('[' ~ '[],' * 3000000 ~ '1]')|from_json }}",
		"integer":               "{{ 9223372036854775807 + 1 }}",
		"least integer":         "{{ (-9223372036854775807 - 1) // -1 }}",
		"power":                 "{{ 2 ** 9223372036854775807 }}",
		"brackets":              "{{ " + again(90000, "[") + again(90000, "]") + " }}",
		"signs":                 "{{ " + again(90000, "-") + "1 }}",
		"nots":                  "{{ " + again(60000, "not ") + "1 }}",
		"attributes":            "{{ a" + again(90000, ".a") + " }}",
		"filters":               "{{ a" + again(60000, "|d") + " }}",
		"tests":                 "{{ a" + again(20000, " is none") + " }}",
		"ands":                  "{{ a" + again(40000, " and a") + " }}",
		"else if":               "{{ a" + again(20000, " if a else a") + " }}",
		"nested ifs":            again(20000, "{% if a %}"),
		"nested loops of one":   again(10000, "{% for a in a %}"),
		"size":                  again(MaxTemplate+1, "a"),
	}
	for name, source := range limited {
		t.Run(name, func(t *testing.T) {
			_, err := bounded(t, source, "x")
			if errs.CodeOf(err) != errs.LimitExceeded {
				t.Errorf("error %v, want LIMIT_EXCEEDED", err)
			}
		})
	}
	// These are large or odd but come to an end: no error is asked for, only the bounds.
	for name, source := range map[string]string{
		"sum":          "{{ 1" + again(90000, "+1") + " }}",
		"tilde":        "{{ 1" + again(90000, "~1") + " }}",
		"strings":      "{{ " + again(60000, "'a'") + " }}",
		"list":         "{{ [" + again(90000, "1,") + "] }}",
		"outputs":      again(50000, "{{1}}"),
		"ifs":          again(9000, "{% if 1 %}{% endif %}"),
		"sets":         "{% for i in [1] %}" + nTimes(9000, func(i int) string { return fmt.Sprintf("{%% set a%d = 1 %%}", i) }) + "{% endfor %}",
		"parameters":   "{% macro f(" + nTimes(9000, func(i int) string { return fmt.Sprintf("a%d=1,", i) }) + ") %}{% endmacro %}{{ f() }}",
		"open comment": again(90000, "{#"),
		"open raw":     again(20000, "{% raw %}"),
		"open tags":    again(90000, "{%"),
		"open string":  "{{ '" + again(99999, "\\'"),
		"braces":       again(200000, "{"),
		"white space":  again(100000, "\n ") + "{%- if 1 -%}" + again(20000, "\n ") + "{% endif %}",
		"slices":       "{{ 'abc'[::9223372036854775807] }}{{ 'abc'[::-9223372036854775807] }}{{ 'abc'[-9223372036854775807:] }}",
		"splits":       "{{ ('a ' * 100000).split(none, 50000)|length }}{{ ('a ' * 100000).rsplit(none, 50000)|length }}",
		"powers":       "{{ 1 ** 9223372036854775807 }}{{ 0 ** 9223372036854775807 }}{{ (-1) ** 9223372036854775807 }}",
	} {
		t.Run(name, func(t *testing.T) { _, _ = bounded(t, source, "x") })
	}
}

// bounded parses and renders a template and fails the test if that takes too much time or memory.
func bounded(t *testing.T, source, content string) (string, error) {
	t.Helper()
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	text, err := render(source, content, Options{AddGenerationPrompt: true, Now: someTime})
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	if took > hostileTime {
		t.Errorf("took %v", took)
	}
	if grown := int64(after.Sys) - int64(before.Sys); grown > hostileMemory {
		t.Errorf("took %d MiB from the system", grown>>20)
	}
	if len(text) > MaxOutput {
		t.Errorf("an output of %d bytes", len(text))
	}
	return text, err
}

func TestHostileConversations(t *testing.T) {
	if _, err := Fallback().Render(make([]Message, MaxMessages+1), Options{}); errs.CodeOf(err) != errs.LimitExceeded {
		t.Errorf("too many messages: %v", err)
	}
	long := []Message{{Role: "user", Content: strings.Repeat("a", MaxInput)}}
	if _, err := Fallback().Render(long, Options{}); errs.CodeOf(err) != errs.LimitExceeded {
		t.Errorf("too long a message: %v", err)
	}
	for name, text := range map[string]string{
		"deep": strings.Repeat("[", 1000) + strings.Repeat("]", 1000), "wide": "[" + strings.Repeat("[],", 1<<20) + "1]",
	} {
		tools := []Tool{{Function: Function{Parameters: []byte(text)}}}
		if _, err := Fallback().Render(nil, Options{Tools: tools}); errs.CodeOf(err) != errs.LimitExceeded {
			t.Errorf("%s JSON: %v", name, err)
		}
	}
	// What is allowed must also work: as many messages as may be, and a message of some megabytes.
	many := make([]Message, MaxMessages)
	for i := range many {
		many[i] = Message{Role: "user", Content: "Hello"}
	}
	if _, err := Fallback().Render(many, Options{}); err != nil {
		t.Errorf("%d messages: %v", MaxMessages, err)
	}
	long[0].Content = strings.Repeat("word ", 1<<20)
	source := "{% for m in messages %}{{ '<' + m.role + '>' + m.content.strip()|trim|replace('x', 'y') + '\n' }}{% endfor %}"
	if text, err := render(source, long[0].Content, Options{}); err != nil || len(text) != len("<user>")+5<<20 {
		t.Errorf("a message of 5 MiB: %d bytes, %v", len(text), err)
	}
}

func FuzzRender(f *testing.F) {
	for _, source := range []string{
		chatML,
		"{% for m in messages if m.role %}{{ loop.index }}{% continue %}{% endfor %}{{ messages[::-1]|map(attribute='x')|join }}",
		"{% macro f(a, b=1) %}{{ caller() }}{% endmacro %}{% call(x) f(b=2) %}{% set ns = namespace(a=1) %}{% set ns.a = 2 %}{% endcall %}",
		"{{ 'a'.split(',', 1)[-1][1:2] ~ {'a': [1.5, none]}|tojson(indent=2) }}{% set x | upper %}{% raw %}{{{% endraw %}{% endset %}",
		"{%- filter indent(2) -%} {{- '\\u00e9{}'.format(1) }} {#- c -#} {%+ if 1 is odd +%}{% else %}{% endif %}{% endfilter %}",
		"{{ 1 if 2 ** 3 // 4 % 5 else -6 }}{{ 'a' not in messages[0].content and not x is defined }}{{ range(3)|sort(reverse=true) }}",
	} {
		f.Add(source, "Hello {{ x }}")
	}
	paths, _ := filepath.Glob("testdata/templates/*.jinja")
	for _, path := range paths {
		source, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(source), "Hi")
	}
	f.Fuzz(func(t *testing.T, source, content string) {
		start := time.Now()
		text, err := render(source, content, Options{AddGenerationPrompt: true, BOS: "<s>", Now: someTime})
		if took := time.Since(start); took > hostileTime {
			t.Errorf("took %v", took)
		}
		var typed *errs.Error
		if err != nil && (!errors.As(err, &typed) || typed.Code == errs.Internal) {
			t.Errorf("error %v", err)
		}
		if err != nil && text != "" {
			t.Error("text beside an error")
		}
		again, _ := render(source, content, Options{AddGenerationPrompt: true, BOS: "<s>", Now: someTime})
		if text != again {
			t.Error("rendered twice, the text differs")
		}
	})
}
