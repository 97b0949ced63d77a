package xray

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"strconv"

	"github.com/xrat-tray/xrat/runtime/link"
)

// Inbound is where a core serves its owner, on loopback, with a user and a password that only
// whoever started the core knows.
type Inbound struct {
	Address        string // SOCKS5, host:port
	User, Password string

	// Relay is where the core speaks Trojan, with the same password, host:port: for datagrams,
	// which travel inside that stream. For SOCKS5 the core would relay them on a port where it asks
	// nobody for a password. "": it has none, as that of a batch.
	Relay string
}

// String returns the address only.
func (in Inbound) String() string { return in.Address }

// GoString returns the address only.
func (in Inbound) GoString() string { return fmt.Sprintf("xray.Inbound{Address:%q}", in.Address) }

// The core's limits for connections, in seconds. The core serves xrat's front alone, which closes a
// connection when the application or the server does, and TCP keep-alive notices peers that have
// vanished. So the core need not conclude anything from silence; by default it would cut an idle
// SSH session after 300 s.
const (
	handshakeLimit = 60
	idleLimit      = 24 * 60 * 60
	// downlinkOnlyLimit is for silence after the application has closed its side. The core's
	// protocols cannot express that, so the server learns of it only when the core closes the
	// connection after this time. It is the core's default.
	downlinkOnlyLimit = 5
	// uplinkOnlyLimit is for silence after the server has closed its side. The core can tell the
	// application only by closing the connection, which it does after this time. With more than 0
	// every answer that ends with its connection would hang for so long.
	uplinkOnlyLimit = 0
)

// The configuration, with the few fields that xrat uses of those in the core's package infra/conf.
type (
	coreConfig struct {
		Log       logConfig         `json:"log"`
		Policy    policyConfig      `json:"policy"`
		Inbounds  []inboundConfig   `json:"inbounds"`
		Outbounds []json.RawMessage `json:"outbounds"`
		Routing   *routingConfig    `json:"routing,omitempty"`
		DNS       *dnsConfig        `json:"dns,omitempty"`
	}
	routingConfig struct {
		Rules []ruleConfig `json:"rules"`
	}
	ruleConfig struct {
		InboundTag  []string `json:"inboundTag,omitempty"`
		User        []string `json:"user,omitempty"`
		OutboundTag string   `json:"outboundTag"`
	}
	logConfig struct {
		Level  string `json:"loglevel"`
		Access string `json:"access"`
	}
	policyConfig struct {
		Levels map[string]levelConfig `json:"levels"`
	}
	levelConfig struct {
		Handshake    int `json:"handshake"`
		Idle         int `json:"connIdle"`
		UplinkOnly   int `json:"uplinkOnly"`
		DownlinkOnly int `json:"downlinkOnly"`
	}
	inboundConfig struct {
		Tag      string         `json:"tag"`
		Listen   string         `json:"listen"` // without it, the core binds every address
		Port     int            `json:"port"`
		Protocol string         `json:"protocol"`
		Settings any            `json:"settings"`
		Sniffing sniffingConfig `json:"sniffing"`
	}
	socksConfig struct {
		Auth     string          `json:"auth"`
		Accounts []accountConfig `json:"accounts"`
	}
	trojanInboundConfig struct {
		Clients []trojanClientConfig `json:"clients"`
	}
	trojanClientConfig struct {
		Password string `json:"password"`
	}
	trojanOutboundConfig struct {
		Tag      string                 `json:"tag"`
		Protocol string                 `json:"protocol"`
		Settings trojanOutboundSettings `json:"settings"`
	}
	trojanOutboundSettings struct {
		Servers []trojanServerConfig `json:"servers"`
	}
	trojanServerConfig struct {
		Address  string `json:"address"`
		Port     int    `json:"port"`
		Password string `json:"password"`
	}
	accountConfig struct {
		User     string `json:"user"`
		Password string `json:"pass"`
	}
	sniffingConfig struct {
		Enabled bool `json:"enabled"`
	}
)

// configure returns the whole configuration of a core that serves l, and the secrets in it.
func configure(l link.Link, in Inbound) (config []byte, secrets []string, err error) {
	outbound, err := Outbound(l)
	if err != nil {
		return nil, nil, err
	}
	host, port, err := splitAddress(in.Address)
	if err != nil {
		return nil, nil, err
	}
	relayHost, relayPort, err := splitAddress(in.Relay)
	if err != nil {
		return nil, nil, err
	}
	full := coreConfig{
		Log: logConfig{Level: "warning", Access: "none"},
		Policy: policyConfig{Levels: map[string]levelConfig{"0": {
			Handshake:    handshakeLimit,
			Idle:         idleLimit,
			UplinkOnly:   uplinkOnlyLimit,
			DownlinkOnly: downlinkOnlyLimit,
		}}},
		Inbounds: []inboundConfig{{
			Tag:      inboundTag,
			Listen:   host,
			Port:     port,
			Protocol: "socks",
			Settings: socksConfig{Auth: "password", Accounts: []accountConfig{{User: in.User, Password: in.Password}}},
		}, {
			Tag:      relayTag,
			Listen:   relayHost,
			Port:     relayPort,
			Protocol: "trojan",
			Settings: trojanInboundConfig{Clients: []trojanClientConfig{{Password: in.Password}}},
		}},
		Outbounds: []json.RawMessage{outbound},
		DNS:       resolver(l),
	}
	if needsRelay(l.Protocol) {
		if err := full.relayTCP(relayHost, relayPort, in.Password); err != nil {
			return nil, nil, err
		}
	}
	config, err = json.Marshal(full)
	if err != nil {
		return nil, nil, fmt.Errorf("writing the core's configuration: %w", err)
	}
	return config, append(findSecrets(outbound), in.User, in.Password), nil
}

func splitAddress(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	return host, port, err
}

const (
	inboundTag = "in"
	relayTag   = "relay"
)

// needsRelay reports whether the outbound of a protocol must not read the application's bytes
// straight from the SOCKS inbound. In core 26.3.27 that inbound's reader reports silence (100 ms
// without a first byte) as an empty read (common/buf, TimeoutWrapperReader), and the outbounds of
// these protocols send that to their server, which takes it for the end of the data: whoever waits
// for the server's greeting, as SSH and SMTP do, or is slow, gets nothing.
func needsRelay(p link.Protocol) bool {
	return p == link.ProtocolVMess || p == link.ProtocolShadowsocks
}

// relayTCP has the core carry TCP through itself, out by Trojan and in again at its relay: the
// Trojan outbound copes with an empty read, the Trojan inbound's reader does not make any, and both
// pass on the end of a connection (the core's loopback outbound does not). The first outbound stays
// the server's, which is also the default.
func (c *coreConfig) relayTCP(host string, port int, password string) error {
	outbound, err := json.Marshal(trojanOutboundConfig{
		Tag: relayTag, Protocol: "trojan",
		Settings: trojanOutboundSettings{Servers: []trojanServerConfig{{Address: host, Port: port, Password: password}}},
	})
	if err != nil {
		return fmt.Errorf("writing the core's configuration: %w", err)
	}
	c.Outbounds = append(c.Outbounds, outbound)
	c.Routing = &routingConfig{Rules: []ruleConfig{{InboundTag: []string{inboundTag}, OutboundTag: relayTag}}}
	return nil
}

func randomHex(bytes int) string {
	random := make([]byte, bytes)
	_, _ = rand.Read(random) // never fails, see crypto/rand
	return hex.EncodeToString(random)
}

// inboundSecret is the random part of an inbound's password, in bytes, and more than secrecy needs.
// The core's Trojan client fails with a first payload that does not fit a buffer of 8 KiB behind
// its header of 61 bytes and the address. What comes along with the request of SOCKS is read into
// such a buffer, too, and always fits when the handshake before it is the longer of the two: with
// this password it has 88 bytes and the address.
const inboundSecret = 32

// newInbound picks loopback ports on which nobody listens, and a fresh user and password.
func newInbound() (Inbound, error) {
	ports, err := freePorts(2)
	if err != nil {
		return Inbound{}, err
	}
	address := func(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
	return Inbound{
		Address:  address(ports[0]),
		User:     randomHex(8),
		Password: randomHex(inboundSecret),
		Relay:    address(ports[1]),
	}, nil
}

// freePorts finds n ports that are free by binding them all. Go sets no SO_REUSEPORT, so the bind
// fails also for a port that would let others share it: the core itself would not notice that.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return nil, fmt.Errorf("finding a free port for the core: %w", err)
		}
		defer listener.Close()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
