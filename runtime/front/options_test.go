package front

import (
	"net"
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

// A front that listens for other machines and has lost its password lets nobody in from there.
func TestNobodyComesInWithoutAPassword(t *testing.T) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	beyond := ""
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && n.IP.To4() != nil {
			beyond = n.IP.String()
		}
	}
	f := openFront(t, func(o *Options) { o.SOCKS, o.HTTP, o.Username, o.Password = "0.0.0.0:0", "", "u", "p" })
	f.SetTarget(startFakeCore(t, echoServe).target(1))
	o := *f.options.Load()
	o.Username, o.Password = "", ""
	f.Configure(o)
	socks, _ := f.Addresses()
	_, port, err := net.SplitHostPort(socks)
	if err != nil {
		t.Fatal(err)
	}
	from := func(host string) error {
		c := dialFront(t, net.JoinHostPort(host, port))
		c.Write([]byte{5, 1, 0})
		_, err := c.Read(make([]byte, 2))
		return err
	}
	if err := from("127.0.0.1"); err != nil {
		t.Errorf("this machine: %v", err)
	}
	if beyond == "" {
		t.Log("this machine has no other address than loopback")
	} else if from(beyond) == nil {
		t.Errorf("somebody comes in through %s", beyond)
	}
}
