//go:build !linux

package store

func childFill(string) { panic("only on Linux") }
