package catalog_test

import (
	"testing"
	"testing/synctest"

	"github.com/xrat-tray/xrat/daemon/daemontest"
	"github.com/xrat-tray/xrat/daemon/ipc"
)

// An import takes what it understands, tells the line of what it does not, and changes the
// revision; a config that is in use or unknown cannot be removed.
func TestConfigsAreListedImportedAndRemoved(t *testing.T) {
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		revision := h.State().ConfigsRevision
		payload, err := h.Do(ipc.Request{Type: ipc.KindConfigImport, Text: "socks://c:1080#three\nhttp//nonsense\nsocks://d:99999\n"})
		if err != nil {
			t.Fatal(err)
		}
		p := payload.(ipc.ConfigImportPayload)
		if len(p.Added) != 1 || p.Added[0].Name != "three" || len(p.Errors) != 2 || p.Errors[0].Line != 2 || p.Errors[1].Line != 3 {
			t.Errorf("%+v", p)
		}
		if s := h.State(); s.Configs != 3 || s.ConfigsRevision == revision {
			t.Errorf("%d configs, revision %d", s.Configs, s.ConfigsRevision)
		}
		h.Connect(1)
		if _, err := h.Do(ipc.Request{Type: ipc.KindConfigRemove, IDs: []int64{2, 1}}); ipc.CodeOf(err) != ipc.CodeInvalidState {
			t.Errorf("removing the active one: %v", err)
		}
		if _, err := h.Do(ipc.Request{Type: ipc.KindConfigRemove, IDs: []int64{99}}); ipc.CodeOf(err) != ipc.CodeNotFound {
			t.Errorf("removing none: %v", err)
		}
		if _, err := h.Do(ipc.Request{Type: ipc.KindConfigRemove, IDs: []int64{2}}); err != nil {
			t.Error(err)
		}
		synctest.Wait() // for what connecting has shown to be recorded
		list, err := h.Do(ipc.Request{Type: ipc.KindConfigList})
		configs := list.(ipc.ConfigListPayload).Configs
		if err != nil || len(configs) != 2 || !configs[0].Active || configs[0].Successes == 0 {
			t.Errorf("%+v, %v", configs, err)
		}
	})
}
