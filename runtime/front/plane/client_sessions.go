//go:build unix

package plane

import (
	"context"
	"slices"
	"sync"

	"github.com/xrat-tray/xrat/runtime/front"
	"github.com/xrat-tray/xrat/runtime/mark"
)

// What the daemon asks about sessions and tells of them, of every data plane that there is.

// Counters is as front.Front.Counters. Of a data plane that does not answer, they are those that
// were last seen.
func (c *Client) Counters(id int64) front.Counters {
	c.ask(command{Do: doCounters, Session: id})
	return c.Recent(id)
}

// ask asks the data planes, but those that have not answered of late, and returns the answers.
func (c *Client) ask(cmd command) (answers []reply) {
	for _, p := range c.peers() {
		if p.isMute() {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), askTime)
		if r, err := p.call(ctx, cmd); err == nil {
			answers = append(answers, r)
		}
		cancel()
	}
	return answers
}

// Recent is Counters as they were last seen, which is when something was last asked, by Returned
// for example. It asks nothing.
func (c *Client) Recent(id int64) front.Counters {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.past[id]
	for _, p := range c.all() {
		n.Add(p.counted()[id])
	}
	return n
}

// Returned is as front.Front.Returned. A data plane that does not answer has seen nothing.
func (c *Client) Returned(m mark.Mark) bool {
	return slices.ContainsFunc(c.ask(command{Do: doReturned, Mark: m}), func(r reply) bool { return r.Returned })
}

// Evidence is as front.Front.Evidence. A data plane that does not answer has none.
func (c *Client) Evidence(id int64) (sum front.Evidence) {
	for _, r := range c.ask(command{Do: doEvidence, Session: id}) {
		sum.Add(r.Evidence)
	}
	return sum
}

// Trust is as front.Front.Trust. It returns at once.
func (c *Client) Trust(id int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell(command{Do: doTrust, Session: id})
}

// Answers is as front.Front.Answers. It returns at once.
func (c *Client) Answers(id int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell(command{Do: doAnswers, Session: id})
}

// Forget is as front.Front.Forget. It returns at once.
func (c *Client) Forget(id int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.past, id)
	for _, p := range c.all() {
		p.forget(id)
	}
	c.tell(command{Do: doForget, Session: id})
}

// Cut is as front.Front.Cut. It waits a second for data planes at most.
func (c *Client) Cut(id int64, h front.Hanging) (n int) {
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	for _, p := range c.peers() {
		r, _ := p.call(ctx, command{Do: doCut, Session: id, Hanging: h})
		n += r.Connections
	}
	return n
}

// Drain is as front.Front.Drain. It returns 0 when the data planes end, or after Leave.
func (c *Client) Drain(ctx context.Context, id int64) (cut int) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, p := range c.peers() {
		all.Go(func() {
			n := p.drain(ctx, id)
			mu.Lock()
			defer mu.Unlock()
			cut += n
		})
	}
	all.Wait()
	return cut
}
