//go:build !embed_guest

package main

var guestModule []byte
