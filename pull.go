//go:build !nofetch

package realm

import (
	"context"
	"errors"
	"time"

	"github.com/realm-ai/realm/internal/hub"
	"github.com/realm-ai/realm/internal/store"
)

// PullOptions say how Pull works. The zero value is a good default.
type PullOptions struct {
	// Offline asks no server: a model that is not in the cache folder is a CodeNotFound. REALM_OFFLINE=1 does the same.
	Offline bool
	// Update asks the server for a newer file where the cache folder has one.
	Update bool
	// Progress, if not nil, is told the bytes that are there, and of how many, 0 while that is not known. The first call
	// comes before any byte of this call's: an interrupted download goes on where it was.
	Progress func(done, total int64)
}

// Pull returns the path of a model, for Open. A name of a model elsewhere is fetched into the cache folder, if it is not
// there already:
//
//	hf:ORG/REPO              from the Hugging Face hub, in Q4_K_M, else in Q8_0, else the first GGUF file
//	hf:ORG/REPO:QUANT        in that quantization
//	hf:ORG/REPO/FILE.gguf    a certain file
//	https://HOST/FILE.gguf   from any server
//
// A path, and one behind "file:", is returned as it is. Of a split model, any part names all, and the first is returned.
//
// A file has its name only when it is all there, has the SHA-256 that the hub says, and parses. Processes that want the
// same model wait for the one that fetches it. HF_TOKEN is for private repositories, HF_ENDPOINT names another hub, and
// REALM_MIRROR a server from which the hub's files are taken as far as the hub's digests allow it.
//
// Errors: CodeInvalidArgument for what is no name, CodePermissionDenied and CodeNotFound as the server says, CodeConflict for
// a file that is not what was announced, CodeInvalidFormat for one that is no model, CodeDeadlineExceeded where nothing comes
// any more, CodeIO for the network and the disk. What a server may do better next time was tried again.
func Pull(ctx context.Context, name string, o PullOptions) (path string, err error) {
	return hub.Pull(ctx, name, hub.Options(o))
}

// PulledModel is a model in the cache folder.
type PulledModel struct {
	Name   string // that Pull takes
	Path   string // of the first file; empty where the download was interrupted
	Bytes  int64  // of the files, or of what there is of them
	Files  int
	SHA256 string // in hexadecimal; empty for a model of several files
	Pulled time.Time
}

// Models lists the models that Pull fetched, by name. What Open makes of models, packed weights, is listed by CachedModels.
func Models() ([]PulledModel, error) {
	all, err := hub.Models()
	if err != nil {
		return nil, err
	}
	var models []PulledModel
	for _, m := range all {
		models = append(models, pulledModel(m))
	}
	return models, nil
}

// RemoveModel removes a model that Pull fetched, or what there is of it, and its packed weights. It is a CodeNotFound where
// there is none of that name, a CodeConflict where there are several, or while it is being fetched. Whoever has the model
// open is not disturbed.
func RemoveModel(name string) (PulledModel, error) {
	m, err := hub.Remove(name)
	if err != nil {
		return PulledModel{}, err
	}
	if m.SHA256 != "" {
		if _, err := store.RemoveImages(m.SHA256); err != nil && !errors.Is(err, CodeNotFound) {
			return PulledModel{}, err
		}
	}
	return pulledModel(*m), nil
}

func pulledModel(m hub.Model) PulledModel {
	return PulledModel{Name: m.Name, Path: m.Path, Bytes: m.Bytes, Files: m.Files, SHA256: m.SHA256, Pulled: m.Pulled}
}
