package main

import (
	"strings"
	"testing"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

func TestRefMeansTheOneClosestConfig(t *testing.T) {
	configs := []ipc.ConfigPayload{
		{ID: 1, Name: "tokyo-1"}, {ID: 2, Name: "tokyo-2"}, {ID: 3, Name: "tokyo"}, {ID: 12, Name: "Paris"},
		{ID: 13, Name: "1"}, {ID: 21, Name: "日本 🇯🇵"}, {ID: 22, Name: "lima"}, {ID: 40, Name: "LIMA"},
	}
	for ref, want := range map[string]int64{
		"tokyo": 3, "tokyo-2": 2, "TOKYO-1": 1, "par": 12, "1": 1, "13": 13, "日": 21, "lima": 22, "LIMA": 40, "4": 40, "12": 12,
		"tok": 0, "Lima": 0, "nowhere": 0, "": 0, "0": 0, "-1": 0, "tokyo-12": 0,
	} {
		got, err := resolve(configs, ref)
		if got.ID != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %d, %v; want %d", ref, got.ID, err, want)
		}
		if err != nil && exitCode(err) != exitNotFound {
			t.Errorf("%q: exit code %d", ref, exitCode(err))
		}
	}
	if _, err := resolve(configs, "tok"); !strings.Contains(err.Error(), "1 (tokyo-1), 2 (tokyo-2), 3 (tokyo)") {
		t.Errorf("the error does not name what it could be: %v", err)
	}
}
