module github.com/realm-ai/realm

go 1.26.0

require (
	github.com/ardanlabs/jinja v1.5.0
	github.com/tetratelabs/wazero v1.12.0
)

require golang.org/x/sys v0.44.0 // indirect
