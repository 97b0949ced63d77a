package ipc

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// bulk is a test whose results come when the channel says so.
type bulk struct {
	total int
	step  chan struct{} // each lets one result come
	began chan context.Context
	err   error
}

func (b *bulk) run(ctx context.Context, r Request) (<-chan TestEventPayload, error) {
	if b.err != nil {
		return nil, b.err
	}
	if r.Type != KindConfigTest {
		return nil, fmt.Errorf("asked for %s", r.Type)
	}
	events := make(chan TestEventPayload, b.total+2)
	b.began <- ctx
	go func() {
		defer close(events)
		events <- TestEventPayload{Total: b.total}
		n := 0
		for ; n < b.total; n++ {
			select {
			case <-b.step:
				events <- TestEventPayload{Result: &TestResultPayload{ConfigID: int64(n + 1), OK: true}}
				continue
			case <-ctx.Done():
			}
			break
		}
		events <- TestEventPayload{Summary: &TestSummaryPayload{OK: n, Canceled: b.total - n}}
	}()
	return events, nil
}

func serveBulk(t *testing.T, total int) (*bulk, *Client) {
	t.Helper()
	b := &bulk{total: total, step: make(chan struct{}, total), began: make(chan context.Context, 1)}
	return b, &Client{Socket: serve(t, &echo{}, func(s *Server) { s.Test = b.run })}
}

// received notes what a client gets.
type received struct {
	total, results int
	summary        *TestSummaryPayload
}

func (r *received) take(e TestEventPayload) error {
	switch {
	case e.Total > 0:
		r.total = e.Total
	case e.Result != nil:
		r.results++
	case e.Summary != nil:
		r.summary = e.Summary
	}
	return nil
}

func TestEveryResultArrives(t *testing.T) {
	b, client := serveBulk(t, 1000)
	for range b.total {
		b.step <- struct{}{}
	}
	var got received
	if err := client.Test(t.Context(), TestOptions{}, got.take); err != nil {
		t.Fatal(err)
	}
	if got.total != 1000 || got.results != 1000 || got.summary == nil || got.summary.OK != 1000 {
		t.Errorf("%+v", got)
	}
}

// What was found until then still arrives.
func TestClientCanStopATest(t *testing.T) {
	b, client := serveBulk(t, 10)
	ctx, cancel := context.WithCancel(t.Context())
	b.step <- struct{}{}
	var got received
	err := client.Test(ctx, TestOptions{}, func(e TestEventPayload) error {
		if e.Result != nil {
			cancel()
		}
		return got.take(e)
	})
	if err != nil || got.results != 1 || got.summary == nil || got.summary.Canceled != 9 {
		t.Errorf("%+v, %v", got, err)
	}

	b.step <- struct{}{}
	<-b.began
	full := errors.New("the disk is full")
	err = client.Test(t.Context(), TestOptions{}, func(e TestEventPayload) error {
		if e.Result != nil {
			return full
		}
		return nil
	})
	if !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
}

func TestTestIsRefusedWithTheReason(t *testing.T) {
	b, client := serveBulk(t, 1)
	b.err = Errorf(CodeBusy, "another test")
	if err := client.Test(t.Context(), TestOptions{}, (&received{}).take); CodeOf(err) != CodeBusy {
		t.Errorf("%v", err)
	}
	nothing := &Client{Socket: serve(t, &echo{})}
	if err := nothing.Test(t.Context(), TestOptions{}, (&received{}).take); CodeOf(err) != CodeInvalidState {
		t.Errorf("%v", err)
	}
	for _, arguments := range []string{`"speed":1`, `"tcp_only":1`, `"text":"x"`, `"concurrency":"many"`} {
		_, err := decodeRequest([]byte(`{"protocol_version":1,"request":{"type":"config_test",` + arguments + `}}`))
		if CodeOf(err) != CodeInvalidState {
			t.Errorf("%s: %v", arguments, err)
		}
	}
	request, err := decodeRequest([]byte(`{"protocol_version":1,"request":{"type":"config_test","ids":[3],"all":true,"tags":["a"],"limit":4,` +
		`"tcp_only":true,"speed_url":"u","concurrency":5,"timeout_ms":6}}`))
	if err != nil || !request.All || request.Tags[0] != "a" || request.Limit != 4 || request.SpeedURL != "u" || request.Concurrency != 5 || request.TimeoutMillis != 6 {
		t.Errorf("%+v, %v", request, err)
	}
}

func TestEveryStateArrives(t *testing.T) {
	states := make(chan EventPayload, 3)
	client := &Client{Socket: serve(t, &echo{states: states})}
	for i := range 3 {
		states <- EventPayload{Seq: uint64(i), Status: StatusPayload{State: StateConnected}}
	}
	enough := errors.New("enough")
	var seen []uint64
	err := client.Subscribe(t.Context(), func(e EventPayload) error {
		seen = append(seen, e.Seq)
		if len(seen) == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || fmt.Sprint(seen) != "[0 1 2]" {
		t.Errorf("got %v, %v", seen, err)
	}
}
