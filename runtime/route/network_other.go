//go:build !linux

package route

// Network returns a name for the network that this machine is in. Here it is not known.
func Network() string { return "" }
