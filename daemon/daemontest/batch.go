package daemontest

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/runtime/xray"
)

// Batch is a fakeCore with several ways out.
type Batch struct {
	*Core
	Hosts []string
}

// Inbound implements bulktest.Batch.
func (b *Batch) Inbound(i int) xray.Inbound {
	return xray.Inbound{Address: b.In.Address, User: strconv.Itoa(i), Password: "p"}
}

// Refused implements bulktest.Batch.
func (b *Batch) Refused(i int) error {
	if strings.HasPrefix(b.Hosts[i], "bad") {
		return errors.New("the core refuses it: for a reason")
	}
	return nil
}

// Codes lists results by name, each with its code.
func Codes(results map[string]ipc.TestResultPayload) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(results)) {
		all = append(all, name+" "+results[name].Code)
	}
	return strings.Join(all, ", ")
}
