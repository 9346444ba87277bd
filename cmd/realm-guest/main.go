// Command realm-guest is the guest that ships with Realm: a WebAssembly module with the generation loop of a tenant, from
// a request in JSON to streamed text. It is package guest and nothing else, which is where to read on. `make guest`
// builds it.
package main

import "github.com/realm-ai/realm/guest"

func init() { guest.Serve(guest.Answer) }

// main is not run: the host calls the module's exports.
func main() {}
