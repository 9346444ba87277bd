//go:build cgo && node_addon

package main

import "sync"

// registry gives things numbers, by which JavaScript knows them. The zero value is empty.
type registry[T any] struct {
	mu   sync.Mutex
	all  map[uintptr]T
	last uintptr
}

// add returns the number of a new thing, from 1.
func (r *registry[T]) add(x T) uintptr {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[uintptr]T{}
	}
	r.last++
	r.all[r.last] = x
	return r.last
}

// find returns a thing, the zero value where there is none of the number.
func (r *registry[T]) find(number uintptr) T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all[number]
}

// remove takes a thing out and returns it.
func (r *registry[T]) remove(number uintptr) T {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.all[number]
	delete(r.all, number)
	return x
}

// removeIf takes out and returns the things that are so.
func (r *registry[T]) removeIf(is func(T) bool) []T {
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

// clear takes all things out.
func (r *registry[T]) clear() []T { return r.removeIf(func(T) bool { return true }) }
