package ipc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// calls are all methods of Client, with every argument that they have, and the line that each
// sends.
var calls = []struct {
	name, line string
	call       func(context.Context, *Client) error
}{
	{"Ping", `{"type":"daemon_ping"}`, func(ctx context.Context, c *Client) error { _, err := c.Ping(ctx); return err }},
	{"Shutdown", `{"type":"daemon_shutdown"}`, func(ctx context.Context, c *Client) error { _, err := c.Shutdown(ctx); return err }},
	{"Status", `{"type":"status"}`, func(ctx context.Context, c *Client) error { _, err := c.Status(ctx); return err }},
	{"RuntimeStatus", `{"type":"runtime_status"}`, func(ctx context.Context, c *Client) error { _, err := c.RuntimeStatus(ctx); return err }},
	{"Connect to the best", `{"type":"runtime_connect"}`, func(ctx context.Context, c *Client) error {
		_, _, err := c.Connect(ctx, ConnectOptions{})
		return err
	}},
	{"Connect", `{"type":"runtime_connect","config_id":7,"unchecked":true}`, func(ctx context.Context, c *Client) error {
		_, _, err := c.Connect(ctx, ConnectOptions{ConfigID: 7, Unchecked: true})
		return err
	}},
	{"Rotate to the next", `{"type":"runtime_replace","trigger":"manual"}`, func(ctx context.Context, c *Client) error { _, _, err := c.Rotate(ctx, 0); return err }},
	{"Rotate", `{"type":"runtime_replace","trigger":"manual","candidate_id":7}`, func(ctx context.Context, c *Client) error { _, _, err := c.Rotate(ctx, 7); return err }},
	{"Disconnect", `{"type":"runtime_disconnect"}`, func(ctx context.Context, c *Client) error { _, _, err := c.Disconnect(ctx); return err }},
	{"StartRotation", `{"type":"proxy_start"}`, func(ctx context.Context, c *Client) error { _, _, err := c.StartRotation(ctx); return err }},
	{"StopRotation", `{"type":"proxy_stop"}`, func(ctx context.Context, c *Client) error { _, _, err := c.StopRotation(ctx); return err }},
	{"ProxyStatus", `{"type":"proxy_status"}`, func(ctx context.Context, c *Client) error { _, err := c.ProxyStatus(ctx); return err }},
	{"Configs", `{"type":"config_list"}`, func(ctx context.Context, c *Client) error { _, err := c.Configs(ctx); return err }},
	{"RetiredConfigs", `{"type":"config_list","retired":true}`, func(ctx context.Context, c *Client) error { _, err := c.RetiredConfigs(ctx); return err }},
	{"Import", `{"type":"config_import","text":"a?b&c\n<d>"}`, func(ctx context.Context, c *Client) error { _, err := c.Import(ctx, "a?b&c\n<d>"); return err }},
	{"ImportURL", `{"type":"config_import","url":"https://p.example/?a&b"}`, func(ctx context.Context, c *Client) error {
		_, err := c.ImportURL(ctx, "https://p.example/?a&b")
		return err
	}},
	{"UpdateConfigs", `{"type":"config_update","ids":[1,2],"name":"n","pinned":true,"excluded":false,"favourite":true,"add_tags":["a"],"remove_tags":["b","c"]}`,
		func(ctx context.Context, c *Client) error {
			yes, no := true, false
			_, err := c.UpdateConfigs(ctx, []int64{1, 2}, ConfigChange{
				Name: "n", Pinned: &yes, Excluded: &no, Favourite: &yes, AddTags: []string{"a"}, RemoveTags: []string{"b", "c"},
			})
			return err
		}},
	{"UpdateConfigs with one change", `{"type":"config_update","ids":[1],"pinned":false}`, func(ctx context.Context, c *Client) error {
		_, err := c.UpdateConfigs(ctx, []int64{1}, ConfigChange{Pinned: new(bool)})
		return err
	}},
	{"RemoveConfigs", `{"type":"config_remove","ids":[1,2]}`, func(ctx context.Context, c *Client) error {
		_, _, err := c.RemoveConfigs(ctx, []int64{1, 2})
		return err
	}},
	{"Sessions", `{"type":"session_list","limit":20}`, func(ctx context.Context, c *Client) error { _, err := c.Sessions(ctx, 20); return err }},
	{"Subscriptions", `{"type":"subscription_list"}`, func(ctx context.Context, c *Client) error { _, err := c.Subscriptions(ctx); return err }},
	{"AddSubscription", `{"type":"subscription_add","url":"https://p.example"}`, func(ctx context.Context, c *Client) error {
		_, _, err := c.AddSubscription(ctx, "https://p.example", SubscriptionOptions{})
		return err
	}},
	{"AddSubscription with options", `{"type":"subscription_add","url":"https://p.example","name":"n","interval_secs":5400,"no_update":true,"private":true}`,
		func(ctx context.Context, c *Client) error {
			_, _, err := c.AddSubscription(ctx, "https://p.example", SubscriptionOptions{Name: "n", Interval: 90 * time.Minute, NoUpdate: true, Private: new(true)})
			return err
		}},
	{"UpdateSubscriptions", `{"type":"subscription_update"}`, func(ctx context.Context, c *Client) error {
		_, err := c.UpdateSubscriptions(ctx, nil, false)
		return err
	}},
	{"UpdateSubscriptions, some", `{"type":"subscription_update","ids":[3],"accept":true}`, func(ctx context.Context, c *Client) error {
		_, err := c.UpdateSubscriptions(ctx, []int64{3}, true)
		return err
	}},
	{"SetSubscriptions", `{"type":"subscription_set","ids":[3],"name":"n","user_agent":"clash","headers":["X-Key=v"],"hwid":true,"ca":"PEM","pin":"p","only":["tag:a"],"never":["tag:b"]}`,
		func(ctx context.Context, c *Client) error {
			_, err := c.SetSubscriptions(ctx, []int64{3}, SubscriptionOptions{Name: "n", SubscriptionArguments: SubscriptionArguments{
				UserAgent: new("clash"), Headers: []string{"X-Key=v"}, HWID: new(true), CA: new("PEM"), Pin: new("p"), Only: []string{"tag:a"}, Never: []string{"tag:b"},
			}})
			return err
		}},
	{"SetSubscriptions to nothing", `{"type":"subscription_set","ids":[3],"user_agent":"","headers":[],"hwid":false,"ca":"","pin":"","only":[],"never":[]}`,
		func(ctx context.Context, c *Client) error {
			_, err := c.SetSubscriptions(ctx, []int64{3}, SubscriptionOptions{SubscriptionArguments: SubscriptionArguments{
				UserAgent: new(""), Headers: []string{}, HWID: new(false), CA: new(""), Pin: new(""), Only: []string{}, Never: []string{},
			}})
			return err
		}},
	{"ReparseSubscriptions", `{"type":"subscription_reparse","ids":[3]}`, func(ctx context.Context, c *Client) error {
		_, err := c.ReparseSubscriptions(ctx, []int64{3})
		return err
	}},
	{"RemoveSubscriptions", `{"type":"subscription_remove","ids":[3],"keep_configs":true}`, func(ctx context.Context, c *Client) error {
		_, _, err := c.RemoveSubscriptions(ctx, []int64{3}, true)
		return err
	}},
	{"Subscribe", `{"type":"subscribe"}`, func(ctx context.Context, c *Client) error {
		return c.Subscribe(ctx, func(EventPayload) error { return nil })
	}},
	{"Test", `{"type":"config_test"}`, func(ctx context.Context, c *Client) error {
		return c.Test(ctx, TestOptions{}, func(TestEventPayload) error { return nil })
	}},
	{"Test with options", `{"type":"config_test","ids":[1],"limit":2,"all":true,"tags":["a"],"tcp_only":true,"speed_url":"u","concurrency":5,"timeout_ms":6}`,
		func(ctx context.Context, c *Client) error {
			return c.Test(ctx, TestOptions{IDs: []int64{1}, Limit: 2, TestArguments: TestArguments{
				All: true, Tags: []string{"a"}, TCPOnly: true, SpeedURL: "u", Concurrency: 5, TimeoutMillis: 6,
			}}, func(TestEventPayload) error { return nil })
		}},
}

// listenAlone listens where a daemon would, and has answer deal with one connection after the
// other.
func listenAlone(t *testing.T, answer func(net.Conn)) *Client {
	t.Helper()
	listener, err := net.Listen("unix", filepath.Join(socketDir(t), "s"))
	must(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			answer(conn)
		}
	}()
	return &Client{Socket: listener.Addr().String()}
}

func TestEveryCallSendsExactlyItsLine(t *testing.T) {
	lines := make(chan string, 1)
	client := listenAlone(t, func(conn net.Conn) {
		line, _, err := readLine(t.Context(), conn, time.Now().Add(20*time.Second), make(places, 1))
		if err != nil {
			t.Error(err)
		}
		lines <- string(line)
		io.WriteString(conn, `{"protocol_version":1,"ok":false,"code":"busy","message":"not now","payload":null}`+"\n")
		conn.Close()
	})
	sent := map[Kind]bool{}
	for _, test := range calls {
		if err := test.call(t.Context(), client); CodeOf(err) != CodeBusy || err.Error() != "not now" {
			t.Errorf("%s: the refusal arrives as %v", test.name, err)
		}
		line := <-lines
		if want := `{"protocol_version":1,"request":` + test.line + `}`; line != want {
			t.Errorf("%s sends %s, want %s", test.name, line, want)
		}
		request, err := decodeRequest([]byte(line))
		if err != nil {
			t.Errorf("%s: the daemon does not understand it: %v", test.name, err)
		}
		sent[request.Type] = true
	}
	for kind := range arguments {
		if !sent[kind] {
			t.Errorf("no call sends %s", kind)
		}
	}
}

func TestClientReturnsPayloadMessageAndCode(t *testing.T) {
	client := &Client{Socket: serve(t, &echo{})}
	payload, message, err := client.Connect(t.Context(), ConnectOptions{ConfigID: 7})
	if err != nil || message != "connected" || payload != (ConnectPayload{ConfigID: 7, SessionID: 3, PID: 4242}) {
		t.Errorf("got %+v, %q, %v", payload, message, err)
	}
	if _, _, err := client.Rotate(t.Context(), 0); CodeOf(err) != CodeBusy {
		t.Errorf("got %v; want busy", err)
	}
	if _, err := client.Configs(t.Context()); CodeOf(err) != CodeInternalError || err.Error() != "the disk is on fire" {
		t.Errorf("got %v; want internal_error", err)
	}
	if CodeOf(nil) != CodeOK {
		t.Error("nil is not ok")
	}
}

func TestClientNamesADaemonOfAnotherVersion(t *testing.T) {
	client := listenAlone(t, func(conn net.Conn) {
		fmt.Fprintln(conn, `{"protocol_version":2,"ok":true,"code":"ok","message":"","payload":{}}`)
		conn.Close()
	})
	_, err := client.Status(t.Context())
	if CodeOf(err) != CodeInvalidState || !strings.Contains(err.Error(), "protocol version 2") {
		t.Errorf("got %v", err)
	}
}

func TestClientSaysThatNobodyListens(t *testing.T) {
	client := &Client{Socket: filepath.Join(t.TempDir(), "s")}
	if _, err := client.Ping(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("no socket: %v", err)
	}
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: client.Socket, Net: "unix"})
	must(t, err)
	stale.SetUnlinkOnClose(false)
	stale.Close()
	if _, err := client.Ping(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("stale socket: %v", err)
	}
}

func TestClientSaysThatTheDaemonClosedWithoutAnAnswer(t *testing.T) {
	client := listenAlone(t, func(conn net.Conn) { conn.Close() })
	if _, err := client.Ping(t.Context()); !errors.Is(err, ErrNoReply) {
		t.Errorf("got %v", err)
	}
}

// A process that is stopped (SIGSTOP) takes connections, and says nothing. Requests that need work
// may take as long as the caller likes.
func TestClientGivesUpOnlyWhatNeedsNoWork(t *testing.T) {
	taken := make(chan struct{})
	client := listenAlone(t, func(net.Conn) { taken <- struct{}{} })
	client.answerTime = 50 * time.Millisecond
	quick := map[string]bool{
		"Ping": true, "Status": true, "RuntimeStatus": true, "StartRotation": true, "StopRotation": true, "ProxyStatus": true, "Subscribe": true,
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("the caller has waited for long enough")
	start := func(quickOnes bool, want error) (wait func()) {
		var running sync.WaitGroup
		for _, test := range calls {
			// A test waits for its summary, which the daemon gives when it is asked to stop.
			if quick[test.name] != quickOnes || strings.HasPrefix(test.name, "Test") {
				continue
			}
			running.Go(func() {
				if err := test.call(ctx, client); !errors.Is(err, want) {
					t.Errorf("%s: got %v; want %v", test.name, err, want)
				}
			})
			<-taken
		}
		return running.Wait
	}
	waitForWork := start(false, enough)
	start(true, ErrNoAnswer)()
	cancel(enough)
	waitForWork()
}
