//go:build !linux

package store

func childFill(string) { panic("only on Linux") }

func childDescriptors(string) { panic("only on Linux") }
