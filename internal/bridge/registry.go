package bridge

import "sync"

// Registry gives things numbers, by which JavaScript knows them. The zero value is empty.
type Registry[T any] struct {
	mu   sync.Mutex
	all  map[uintptr]T
	last uintptr
}

// Add returns the number of a new thing, from 1.
func (r *Registry[T]) Add(x T) uintptr {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[uintptr]T{}
	}
	r.last++
	r.all[r.last] = x
	return r.last
}

// Find returns a thing, the zero value where there is none of the number.
func (r *Registry[T]) Find(number uintptr) T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all[number]
}

// Remove takes a thing out and returns it.
func (r *Registry[T]) Remove(number uintptr) T {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.all[number]
	delete(r.all, number)
	return x
}

// RemoveIf takes out and returns the things that are so.
func (r *Registry[T]) RemoveIf(is func(T) bool) []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []T
	for number, x := range r.all {
		if is(x) {
			list = append(list, x)
			delete(r.all, number)
		}
	}
	return list
}

// Size returns how many things there are.
func (r *Registry[T]) Size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all)
}

// Each calls f with all things; f must not use the registry.
func (r *Registry[T]) Each(f func(T)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, x := range r.all {
		f(x)
	}
}

// Clear takes all things out.
func (r *Registry[T]) Clear() []T { return r.RemoveIf(func(T) bool { return true }) }
