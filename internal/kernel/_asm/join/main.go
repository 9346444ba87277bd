// Command join puts several instructions on a line of the assembly files that are its arguments, as many as a line of 128
// columns holds. A program's tables have an entry for each line that instructions come from, to say where a panic was; with
// a line for each instruction, those of the kernels had a third of the kernels' own size.
package main

import (
	"log"
	"os"
	"strings"
)

const columns = 128

func main() {
	log.SetFlags(0)
	for _, name := range os.Args[1:] {
		source, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(name, []byte(join(string(source))), 0o644)
		}
		if err != nil {
			log.Fatal(err)
		}
	}
}

// join joins lines. Those that name parameters or return stay as they are, since go vet looks at no second instruction.
func join(source string) string {
	var out strings.Builder
	line := "" // of instructions that were joined so far
	flush := func() {
		if line != "" {
			out.WriteString("\t" + line + "\n")
		}
		line = ""
	}
	for s := range strings.Lines(source) {
		code, isCode := strings.CutPrefix(strings.TrimSuffix(s, "\n"), "\t")
		if !isCode || strings.HasPrefix(code, "//") {
			flush()
			out.WriteString(s)
			continue
		}
		code = strings.Join(strings.Fields(code), " ")
		if instruction, comment, ok := strings.Cut(code, " // "); ok {
			code = instruction + " /* " + comment + " */"
		}
		if strings.Contains(code, "(FP)") || code == "RET" {
			flush()
			line = code
			flush()
			continue
		}
		if len(line)+len("; ")+len(code) > columns {
			flush()
		}
		if line != "" {
			line += "; "
		}
		line += code
	}
	flush()
	return out.String()
}
