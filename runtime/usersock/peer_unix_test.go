//go:build linux || darwin

package usersock

import "testing"

func TestForeignPeer(t *testing.T) {
	if err := allowUID(1000, 1000); err != nil {
		t.Error(err)
	}
	if err := allowUID(0, 1000); err == nil {
		t.Error("another user is let in")
	}
}
