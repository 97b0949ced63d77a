package ipc

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

func TestSubscriptionEndsWithTheClient(t *testing.T) {
	states := make(chan EventPayload)
	ended := make(chan struct{})
	h := &endNotice{echo: echo{states: states}, ended: ended}
	path := serve(t, h)
	conn := dial(t, path)
	io.WriteString(conn, `{"protocol_version":1,"request":{"type":"subscribe"}}`+"\n")
	states <- EventPayload{Seq: 1}
	readReply(t, conn)
	conn.Close()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the subscription of a client that is gone goes on")
	}
}

type endNotice struct {
	echo
	ended chan struct{}
}

func (e *endNotice) Subscribe() (<-chan EventPayload, func()) {
	return e.states, sync.OnceFunc(func() { close(e.ended) })
}

func TestTestStopsWithTheClient(t *testing.T) {
	b, client := serveBulk(t, 10)
	conn, err := net.Dial("unix", client.Socket)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(conn, `{"protocol_version":1,"request":{"type":"config_test","ids":[1,2],"tcp_only":true,"timeout_ms":5}}`)
	ctx := <-b.began
	conn.Close()
	select {
	case <-ctx.Done():
	case <-time.After(20 * time.Second):
		t.Error("the test goes on")
	}
}
