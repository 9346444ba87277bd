//go:build embed_guest

package main

import _ "embed"

//go:embed realm-guest.wasm
var guestModule []byte
