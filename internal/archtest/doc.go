// Package archtest owns the rules that a compiler does not check: which package may import which, which names are
// banned where and why, which products must not be fused, and what may stand in the source tree at all. It is tests
// only, and knows the other packages by their names and files alone, so that it imports none of them.
//
// Start at the import table in imports_test.go.
package archtest
