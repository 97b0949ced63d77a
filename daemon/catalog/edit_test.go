package catalog

import (
	"reflect"
	"testing"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/store"
)

// An edit changes only what it names; pinned and excluded rule each other out, and a tag is there
// once, whatever its case.
func TestEdited(t *testing.T) {
	yes, no := true, false
	for name, test := range map[string]struct {
		before  store.Config
		request ipc.Request
		want    store.Config
	}{
		"name":             {store.Config{Name: "a"}, ipc.Request{Name: "b"}, store.Config{Name: "b", Named: true}},
		"pin":              {store.Config{Excluded: true}, ipc.Request{Pinned: &yes}, store.Config{Pinned: true}},
		"unpin":            {store.Config{Pinned: true, Favourite: true}, ipc.Request{Pinned: &no}, store.Config{Favourite: true}},
		"unpin excluded":   {store.Config{Excluded: true}, ipc.Request{Pinned: &no}, store.Config{Excluded: true}},
		"exclude":          {store.Config{Pinned: true}, ipc.Request{Excluded: &yes}, store.Config{Excluded: true}},
		"include":          {store.Config{Excluded: true}, ipc.Request{Excluded: &no}, store.Config{}},
		"favourite":        {store.Config{}, ipc.Request{Favourite: &yes}, store.Config{Favourite: true}},
		"tags":             {store.Config{Tags: []string{"home"}}, ipc.Request{AddTags: []string{"a", "HOME", "a"}}, store.Config{Tags: []string{"a", "home"}}},
		"remove a tag":     {store.Config{Tags: []string{"a", "home"}}, ipc.Request{RemoveTags: []string{"Home", "x"}}, store.Config{Tags: []string{"a"}}},
		"remove all tags":  {store.Config{Tags: []string{"a"}}, ipc.Request{RemoveTags: []string{"a"}}, store.Config{}},
		"add and take one": {store.Config{}, ipc.Request{AddTags: []string{"a"}, RemoveTags: []string{"a"}}, store.Config{}},
	} {
		if got := edited(test.before, test.request); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
