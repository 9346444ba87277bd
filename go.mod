module github.com/realm-ai/realm

go 1.26
