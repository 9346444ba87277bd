package cli

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"
)

// Flags are the flags of a command. Each has one name or several, written as "m, model", of which one-letter names are
// shown with one dash and longer ones with two; on the command line either works. Values that variables hold when flags
// are declared are the defaults, which help shows where they are not zero.
type Flags struct {
	set    flag.FlagSet
	groups []group
}

// group is a part of the list of flags in a command's help.
type group struct {
	title string
	flags []flagHelp
}

type flagHelp struct {
	names    []string
	arg      string // what the value is, such as "FILE"; empty for a switch
	usage    string
	fallback string // the default as text; empty for none worth a word
}

// Group begins a part of the help with a title. Flags declared before the first Group have none.
func (f *Flags) Group(title string) { f.groups = append(f.groups, group{title: title}) }

func (f *Flags) add(h flagHelp, set func(name string)) {
	if len(f.groups) == 0 {
		f.Group("")
	}
	g := &f.groups[len(f.groups)-1]
	g.flags = append(g.flags, h)
	for _, name := range h.names {
		set(name)
	}
}

// Func declares a flag whose value is given to parse.
func (f *Flags) Func(names, arg, usage, fallback string, parse func(string) error) {
	f.add(flagHelp{splitNames(names), arg, usage, fallback}, func(name string) { f.set.Func(name, usage, parse) })
}

func splitNames(names string) []string { return strings.Split(names, ", ") }

// Bool declares a switch.
func (f *Flags) Bool(p *bool, names, usage string) {
	f.add(flagHelp{names: splitNames(names), usage: usage}, func(name string) { f.set.BoolVar(p, name, *p, usage) })
}

// String declares a flag with a text.
func (f *Flags) String(p *string, names, arg, usage string) {
	fallback := ""
	if *p != "" {
		fallback = strconv.Quote(*p)
	}
	f.Func(names, arg, usage, fallback, func(s string) error {
		*p = s
		return nil
	})
}

// Strings declares a flag that may be repeated and collects the values.
func (f *Flags) Strings(p *[]string, names, arg, usage string) {
	f.Func(names, arg, usage+"; may be repeated", "", func(s string) error {
		*p = append(*p, s)
		return nil
	})
}

// Choice declares a flag whose value is one of several words.
func (f *Flags) Choice(p *string, names string, choices []string, usage string) {
	f.Func(names, strings.Join(choices, "|"), usage, *p, func(s string) error {
		for _, c := range choices {
			if s == c {
				*p = s
				return nil
			}
		}
		return errors.New("want " + strings.Join(choices, " or "))
	})
}

// Int declares a flag with a whole number.
func (f *Flags) Int(p *int, names, usage string) {
	number(f, p, names, usage, "want a whole number", strconv.Atoi)
}

// Uint64 declares a flag with a whole number from 0 on.
func (f *Flags) Uint64(p *uint64, names, usage string) {
	number(f, p, names, usage, "want a whole number from 0 to 2^64-1", func(s string) (uint64, error) {
		return strconv.ParseUint(s, 10, 64)
	})
}

// Float32 declares a flag with a number.
func (f *Flags) Float32(p *float32, names, usage string) {
	number(f, p, names, usage, "want a number", ParseFloat32)
}

// ParseFloat32 reads a float32.
func ParseFloat32(s string) (float32, error) {
	x, err := strconv.ParseFloat(s, 32)
	return float32(x), err
}

func number[T int | uint64 | float32](f *Flags, p *T, names, usage, want string, parse func(string) (T, error)) {
	var zero T
	fallback := ""
	if *p != zero {
		fallback = fmt.Sprint(*p)
	}
	f.Func(names, "N", usage, fallback, func(s string) error {
		x, err := parse(s)
		if err != nil {
			return errors.New(want)
		}
		*p = x
		return nil
	})
}

// Given reports whether a flag stood on the command line. name is any of its names.
func (f *Flags) Given(name string) bool {
	given := map[string]bool{}
	f.set.Visit(func(fl *flag.Flag) { given[fl.Name] = true })
	for _, g := range f.groups {
		for _, h := range g.flags {
			for _, n := range h.names {
				if n == name {
					return h.given(given)
				}
			}
		}
	}
	return false
}

func (h *flagHelp) given(set map[string]bool) bool {
	for _, n := range h.names {
		if set[n] {
			return true
		}
	}
	return false
}

// errHelp is what parse returns where help was asked for.
var errHelp = errors.New("help")

// parse sets flags and returns the arguments that are none. Unlike package flag's own Parse it goes on after the first
// argument, so that flags may come last; "--" ends them.
func (f *Flags) parse(args []string) (rest []string, err error) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			return append(rest, args...), nil
		}
		if len(arg) < 2 || arg[0] != '-' {
			rest = append(rest, arg)
			continue
		}
		name, value, hasValue := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
		known := f.set.Lookup(name)
		if known == nil {
			if name == "h" || name == "help" {
				return nil, errHelp
			}
			return nil, fmt.Errorf("unknown flag %s%s", dashed(name), didYouMean(dashed(name), f.longNames()))
		}
		isSwitch, _ := known.Value.(interface{ IsBoolFlag() bool })
		switch {
		case hasValue:
		case isSwitch != nil && isSwitch.IsBoolFlag():
			value = "true"
		case len(args) == 0:
			return nil, fmt.Errorf("%s needs a value", dashed(name))
		default:
			value, args = args[0], args[1:]
		}
		if err := f.set.Set(name, value); err != nil {
			if isSwitch != nil {
				err = errors.New("want no value, true or false")
			}
			return nil, fmt.Errorf("%s %q: %w", dashed(name), value, err)
		}
	}
	return rest, nil
}

// longNames lists the names of more than one letter, as they are shown.
func (f *Flags) longNames() []string {
	var all []string
	f.set.VisitAll(func(fl *flag.Flag) {
		if len(fl.Name) > 1 {
			all = append(all, dashed(fl.Name))
		}
	})
	return all
}

// dashed is a flag's name as it is shown.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}
