package front

import (
	"testing"
	"time"
)

// What the options say of users and of the wait holds from the next connection on, and those that
// run go on.
func TestOptionsChangeWhileServing(t *testing.T) {
	f := openEcho(t)
	c := mustDial(t, f, "a.invalid:1")
	speak(t, c, "a", "a")
	o := *f.options.Load()
	o.Username, o.Password, o.Wait = "user", "secret", 10*time.Millisecond
	f.Configure(o)
	speak(t, c, "b", "b")
	if c, err := dialSOCKS(f, "a.invalid:1"); err == nil {
		c.Close()
		t.Error("a client without a password is let in")
	}
	o.Username, o.Password = "", ""
	f.Configure(o)
	speak(t, mustDial(t, f, "a.invalid:1"), "c", "c")
	f.SetTarget(nil)
	begin := time.Now()
	if c, err := dialSOCKS(f, "a.invalid:1"); err == nil {
		c.Close()
		t.Error("connected to nothing")
	}
	if took := time.Since(begin); took > patience/2 {
		t.Errorf("waited for %v", took)
	}
}
