package wasm

import (
	"context"
	"sync"

	"github.com/tetratelabs/wazero/api"

	"github.com/realm-ai/realm/internal/abi"
	"github.com/realm-ai/realm/internal/hostcall"
)

// image is what instances start from: memory and globals of a guest that has initialised itself and prepared for some
// models, so that its vocabulary is ready.
type image struct {
	g       *Guest
	memory  *snapshot
	size    uint32 // of the memory, in bytes
	globals []uint64
	clock   int64 // the monotonic clock, which goes on from there
	warm    chan *instance

	// Guarded by images.mu.
	used  uint64 // number of the last request, to drop the image that was used least recently
	holds int    // requests that are making an instance, goroutines that warm, and one while it is listed
}

// images are those of a guest, by what they were prepared for.
type images struct {
	mu       sync.Mutex
	byModels map[string]*image
	requests uint64
	warming  sync.WaitGroup
}

// maxImages bounds the images of a guest. One has as much memory as the prepared guest.
const maxImages = 8

// instance returns an instance that is prepared for the models of a request, a warm one if there is any, and what its
// monotonic clock shows.
func (g *Guest) instance(ctx context.Context, grants []hostcall.Grant, key string) (*instance, int64, error) {
	im, err := g.image(ctx, grants, key)
	if err != nil {
		return nil, 0, err
	}
	defer g.images.release(im)
	var in *instance
	select {
	case in = <-im.warm:
	default:
		in, err = im.instantiate()
	}
	if err == nil && g.warm > 0 {
		g.images.warmUp(im)
	}
	return in, im.clock, err
}

// image finds or makes the image for some models, and holds it. Making one is slow, and requests that come meanwhile wait.
func (g *Guest) image(ctx context.Context, grants []hostcall.Grant, key string) (*image, error) {
	is := &g.images
	is.mu.Lock()
	defer is.mu.Unlock()
	is.requests++
	im, ok := is.byModels[key]
	if !ok {
		var err error
		if im, err = g.prepare(ctx, grants); err != nil {
			return nil, err
		}
		if is.byModels == nil {
			is.byModels = map[string]*image{}
		}
		if len(is.byModels) == maxImages {
			is.dropOldest()
		}
		is.byModels[key] = im
		im.holds++
	}
	im.used = is.requests
	im.holds++
	return im, nil
}

func (is *images) dropOldest() {
	oldest := ""
	for key, im := range is.byModels {
		if oldest == "" || im.used < is.byModels[oldest].used {
			oldest = key
		}
	}
	im := is.byModels[oldest]
	delete(is.byModels, oldest)
	is.releaseLocked(im)
}

func (is *images) release(im *image) {
	is.mu.Lock()
	defer is.mu.Unlock()
	is.releaseLocked(im)
}

func (is *images) releaseLocked(im *image) {
	if im.holds--; im.holds > 0 {
		return
	}
	for {
		select {
		case in := <-im.warm:
			in.close()
		default:
			im.memory.close()
			return
		}
	}
}

// prepare makes an image: initialisation, realm_prepare for each model, snapshot.
func (g *Guest) prepare(ctx context.Context, grants []hostcall.Grant) (*image, error) {
	in, err := g.start(ctx)
	if err != nil {
		return nil, err
	}
	defer in.close()
	t := hostcall.NewPreparation(ctx, in, grants)
	defer t.Close()
	if in.module.ExportedFunction(abi.ExportPrepare) != nil {
		for _, m := range grants {
			result, err := in.call(ctx, t, abi.ExportPrepare, uint64(m.ID))
			if err == nil {
				err = t.Refusal(abi.ExportPrepare, int32(result))
			}
			if err != nil {
				return nil, err
			}
		}
	}
	im := &image{g: g, size: in.memory.Size(), clock: t.Clock(), warm: make(chan *instance, g.warm)}
	for _, name := range g.patched.Globals {
		im.globals = append(im.globals, in.module.ExportedGlobal(name).Get())
	}
	im.memory, err = newSnapshot(in.Memory())
	return im, err
}

// instantiate makes an instance that starts from the image.
func (im *image) instantiate() (*instance, error) {
	m, err := newMapping(im.memory, int(im.g.memory))
	if err != nil {
		return nil, err
	}
	in, err := im.g.instantiate(m)
	if err != nil {
		return nil, err
	}
	in.memory.Grow((im.size - in.memory.Size()) / pageBytes) // within the limit, to where the image already was
	for i, name := range im.g.patched.Globals {
		in.module.ExportedGlobal(name).(api.MutableGlobal).Set(im.globals[i])
	}
	return in, nil
}

// warmUp makes instances in the background until the image has as many as the guest keeps.
func (is *images) warmUp(im *image) {
	is.mu.Lock()
	im.holds++
	is.mu.Unlock()
	is.warming.Go(func() {
		defer is.release(im)
		for len(im.warm) < cap(im.warm) {
			in, err := im.instantiate()
			if err != nil {
				return // the request that needs one will say so
			}
			select {
			case im.warm <- in:
			default:
				in.close()
			}
		}
	})
}

func (is *images) close() {
	is.warming.Wait()
	is.mu.Lock()
	defer is.mu.Unlock()
	for _, im := range is.byModels {
		is.releaseLocked(im)
	}
	is.byModels = nil
}
