package storetest_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/daemon/store/storetest"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Store { return storetest.New() })
}

func TestRecordsAreSeenAndSet(t *testing.T) {
	m := storetest.New("a", "b")
	seen := m.Look()
	if len(seen.Configs) != 2 || seen.Configs[2].Name != "b" {
		t.Errorf("%v", seen.Configs)
	}
	delete(seen.Configs, 2) // a copy
	m.Edit(func(r *storetest.Records) {
		r.Sessions[7] = store.Session{ID: 7}
		r.Desired.Connected = true
	})
	if s, err := m.CreateSession(t.Context(), store.Session{}); s.ID != 8 || err != nil {
		t.Errorf("%+v, %v", s, err)
	}
	seen = m.Look()
	if len(seen.Configs) != 2 || len(seen.Sessions) != 2 || !seen.Desired.Connected {
		t.Errorf("%+v", seen)
	}
}

func TestChangesFailOnRequest(t *testing.T) {
	m, full := storetest.New("a"), errors.New("no space left")
	m.Fail(full)
	if n, err := m.RemoveConfigs(t.Context(), []int64{1}); n != 0 || !errors.Is(err, full) {
		t.Errorf("%d, %v", n, err)
	}
	if all, err := m.Configs(t.Context()); len(all) != 1 || err != nil {
		t.Errorf("%v, %v", all, err)
	}
	m.Fail(nil)
	if n, err := m.RemoveConfigs(t.Context(), []int64{1}); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestHookComesBeforeEachMethod(t *testing.T) {
	m, late := storetest.New(), errors.New("too late")
	var asked []string
	m.Before(func(_ context.Context, method string) error {
		if asked = append(asked, method); method == "SetDesired" {
			return late
		}
		return nil
	})
	if err := m.SetDesired(t.Context(), store.Desired{Connected: true}); !errors.Is(err, late) {
		t.Error(err)
	}
	if d, err := m.Desired(t.Context()); d.Connected || err != nil {
		t.Errorf("%+v, %v", d, err)
	}
	if !slices.Equal(asked, []string{"SetDesired", "Desired"}) {
		t.Errorf("the hook saw %v", asked)
	}
}

func TestWrittenOutcomesAreCounted(t *testing.T) {
	m := storetest.New("a", "b")
	if err := m.UpdateOutcomes(t.Context(), []int64{1, 2}, func(*store.Outcome) {}); err != nil || m.Written() != 2 {
		t.Errorf("%d, %v", m.Written(), err)
	}
}
