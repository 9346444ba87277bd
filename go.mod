module github.com/realm-ai/realm

go 1.26.0

require github.com/ardanlabs/jinja v1.5.0
