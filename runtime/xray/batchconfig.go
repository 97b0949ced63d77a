package xray

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/xrat-tray/xrat/runtime/link"
)

// member is one server of a batch.
type member struct {
	index    int // in BatchSpec.Links
	user     string
	outbound json.RawMessage
	link     link.Link
}

// The limits of a batch's connections, in seconds; see those in config.go. Whoever measures closes
// its connections itself, and sooner.
const (
	batchHandshakeLimit = 15
	batchIdleLimit      = 60
	batchOneWayLimit    = 0
)

// checkTime bounds one try of a configuration.
const checkTime = 20 * time.Second

// configureBatch returns the whole configuration of a core that serves the members, each to its own
// user, and the secrets in it.
//
// There is no relay (see needsRelay): whoever measures sends its first bytes along with the
// request.
func configureBatch(members []member, in Inbound) (config []byte, secrets []string, err error) {
	host, port, err := splitAddress(in.Address)
	if err != nil {
		return nil, nil, err
	}
	full := coreConfig{
		Log: logConfig{Level: "error", Access: "none"},
		Policy: policyConfig{Levels: map[string]levelConfig{"0": {
			Handshake: batchHandshakeLimit, Idle: batchIdleLimit, UplinkOnly: batchOneWayLimit, DownlinkOnly: batchOneWayLimit,
		}}},
		Routing: &routingConfig{},
	}
	accounts := make([]accountConfig, 0, len(members))
	secrets = []string{in.Password}
	for _, m := range members {
		tag := "out" + strconv.Itoa(m.index)
		tagged, err := withTag(m.outbound, tag)
		if err != nil {
			return nil, nil, fmt.Errorf("writing the core's configuration: %w", err)
		}
		full.Outbounds = append(full.Outbounds, tagged)
		full.Routing.Rules = append(full.Routing.Rules, ruleConfig{User: []string{m.user}, OutboundTag: tag})
		accounts = append(accounts, accountConfig{User: m.user, Password: in.Password})
		secrets = append(append(secrets, m.user), findSecrets(m.outbound)...)
	}
	if len(members) == 1 {
		full.DNS = resolver(members[0].link)
	}
	full.Inbounds = []inboundConfig{{
		Tag: inboundTag, Listen: host, Port: port, Protocol: "socks",
		Settings: socksConfig{Auth: "password", Accounts: accounts},
	}}
	config, err = json.Marshal(full)
	if err != nil {
		return nil, nil, fmt.Errorf("writing the core's configuration: %w", err)
	}
	return config, secrets, nil
}

// withTag adds a tag to what Outbound returns.
func withTag(outbound json.RawMessage, tag string) (json.RawMessage, error) {
	rest, ok := bytes.CutPrefix(outbound, []byte("{"))
	if !ok {
		return nil, errors.New("an outbound is no object")
	}
	return fmt.Appendf(nil, `{"tag":%q,%s`, tag, rest), nil
}

// tryConfig has the core read the configuration of a batch without serving it. It returns why the
// core refuses it, fit to show, or "".
func tryConfig(ctx context.Context, spec Spec) (reason string, err error) {
	// Nobody listens on this address: the core only reads it.
	config, secrets, err := configureBatch(spec.batch, Inbound{Address: "127.0.0.1:1", Password: randomHex(16)})
	if err != nil {
		return "", fmt.Errorf("trying a configuration: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	command := exec.CommandContext(ctx, spec.Executable, "run", "-test", "-c", "stdin:")
	command.Dir = spec.Dir
	command.Env = environment(spec)
	command.Stdin = bytes.NewReader(config)
	command.WaitDelay = killWait
	output, err := command.Output() // it ends by itself: a pipe will do
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("trying a configuration: %w", context.Cause(ctx))
	case err == nil:
		return "", nil
	case errors.As(err, &exit) && exit.ExitCode() == exitBadConfig:
		lines := strings.Split(strings.TrimSpace(string(output)), "\n")
		return cmp.Or(clean(lines[len(lines)-1], secrets), "it does not say why"), nil
	case exit != nil:
		return "", fmt.Errorf("trying a configuration: the core ended with %w", err)
	}
	return "", fmt.Errorf("trying a configuration: %w", explainSpawn(spec.Executable, err))
}
