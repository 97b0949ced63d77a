package route

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

func TestMain(m *testing.M) {
	if host := os.Getenv("XRAT_TEST_ROUTE"); host != "" {
		if Exists(host) {
			os.Exit(0)
		}
		os.Exit(42)
	}
	os.Exit(m.Run())
}

func TestThisMachineHasARoute(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "localhost"} {
		if !Exists(host) {
			t.Errorf("no route to %s", host)
		}
	}
}

// A new network namespace has nothing but a loopback interface, which is down: nothing is reachable
// from there.
func TestNoRouteWithoutANetwork(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "203.0.113.7", "2001:db8::7", "proxy.example"} {
		command := exec.Command("/proc/self/exe")
		command.Env = append(os.Environ(), "XRAT_TEST_ROUTE="+host)
		command.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		}
		output, err := command.CombinedOutput()
		if command.ProcessState == nil {
			t.Fatalf("the system gives no network namespace: %v", err)
		}
		if code := command.ProcessState.ExitCode(); code != 42 {
			t.Errorf("%s: exit status %d, %s", host, code, strings.TrimSpace(string(output)))
		}
	}
}
