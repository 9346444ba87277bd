package main

import "github.com/realm-ai/realm"

// embeddedGuest returns the module of cmd/realm-guest, which make build puts into the binary under the build tag
// embed_guest.
func embeddedGuest() ([]byte, error) {
	if len(guestModule) == 0 {
		return nil, &realm.Error{
			Code: realm.CodeUnsupported,
			Msg:  "this binary was built without the guest: build it with make build, or run with --native or --guest FILE",
		}
	}
	return guestModule, nil
}
