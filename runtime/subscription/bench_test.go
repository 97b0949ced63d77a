package subscription

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

// BenchmarkParse reads 10,000 servers in each format.
func BenchmarkParse(b *testing.B) {
	const n = 10_000
	var list, clash, xray strings.Builder
	clash.WriteString("mixed-port: 7890\nproxies:\n")
	for i := range n {
		fmt.Fprintf(&list, "vless://%s@s%d.example.net:443?type=ws&security=tls&sni=s%d.example.net&path=%%2Fp#n%d\n", uuid, i, i, i)
		fmt.Fprintf(&clash, "  - {name: n%d, type: vless, server: s%d.example.net, port: 443, uuid: %s, tls: true, servername: s%d.example.net, network: ws, ws-opts: {path: /p, headers: {Host: h.example.net}}}\n", i, i, uuid, i)
		fmt.Fprintf(&xray, "%s\n", strings.Replace(vlessOutbound, "a.org", fmt.Sprintf("s%d.example.net", i), 1))
	}
	bodies := map[string]string{
		"list": list.String(), "base64": base64.StdEncoding.EncodeToString([]byte(list.String())), "clash": clash.String(),
		"xray": `{"outbounds":[` + strings.ReplaceAll(strings.TrimSpace(xray.String()), "\n", ",") + "]}",
	}
	for name, body := range bodies {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				got, err := Parse([]byte(body))
				if err != nil || len(got.Entries) != n {
					b.Fatal(len(got.Entries), err, got.Problems)
				}
			}
		})
	}
}
