//go:build nofetch

package hub

import (
	"context"

	"github.com/realm-ai/realm/internal/errs"
)

// fetch fails: the tag nofetch leaves the HTTP client out, which is a third of a small program.
func fetch(_ context.Context, n name, _ Options) (string, error) {
	return "", n.wrap(errs.Errorf(errs.Unsupported, "not on this machine, and this program downloads nothing"))
}
