//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// keeper starts the daemon for a data plane, which has given up the right to start anything that
// may open a file. It is a shell that waits for a line, so that it takes next to no memory, and
// that ends with the data plane.
type keeper struct {
	ask    io.Writer
	answer *bufio.Reader
}

// keeperScript starts the program in $0 for each line, and says how that ended.
const keeperScript = `while read -r line; do "$0" daemon start >/dev/null 2>&1; echo $?; done`

// startKeeper starts a keeper for the program at a path.
func startKeeper(executable, dir string) (*keeper, error) {
	cmd := exec.Command("/bin/sh", "-c", keeperScript, executable)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, frontNonceVariable+"=") })
	cmd.Env = append(cmd.Env, revivedVariable+"=1")
	cmd.Dir = dir
	cmd.SysProcAttr = detached()
	ask, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	answer, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &keeper{ask, bufio.NewReader(answer)}, nil
}

// revive starts the daemon, unless there is one, and waits until it is there or has failed to come.
// Only one goroutine may call it.
func (k *keeper) revive(ctx context.Context) error {
	if _, err := io.WriteString(k.ask, "start\n"); err != nil {
		return err
	}
	code := make(chan string, 1)
	go func() { // ends with the keeper at the latest
		line, _ := k.answer.ReadString('\n')
		code <- strings.TrimSpace(line)
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case c := <-code:
		switch c {
		case "0":
			return nil
		case "":
			return errors.New("the keeper has ended")
		}
		return fmt.Errorf("`xrat daemon start` ended with %s", c)
	}
}
