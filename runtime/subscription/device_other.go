//go:build !linux && !windows && !darwin

package subscription

func systemVersion() string { return "" }
