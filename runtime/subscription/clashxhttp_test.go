package subscription

import (
	"encoding/json"
	"testing"
)

// What the server for downloads does not say is as in the rest of the entry.
func TestClashDownloadServer(t *testing.T) {
	for name, test := range map[string]struct{ own, want string }{
		"all": {`{"server":"d.org","port":"8443","path":"/d","host":"dh.org","tls":"true","servername":"ds.org","client-fingerprint":"firefox","alpn":["h2"],"x-padding-bytes":"1-2","reuse-settings":{"max-connections":"1"}}`,
			`{"address":"d.org","network":"xhttp","port":8443,"security":"tls","tlsSettings":{"alpn":["h2"],"fingerprint":"firefox","serverName":"ds.org"},"xhttpSettings":{"host":"dh.org","noGRPCHeader":"true","path":"/d","xPaddingBytes":"1-2","xmux":{"maxConnections":"1"}}}`},
		"nothing": {`{}`,
			`{"address":"a.org","network":"xhttp","port":443,"security":"tls","tlsSettings":{"alpn":null,"fingerprint":"chrome","serverName":"s.org"},"xhttpSettings":{"host":"h.org","noGRPCHeader":"true","path":"/x","xPaddingBytes":"100-1000"}}`},
		"REALITY": {`{"server":"d.org","reality-opts":{"public-key":"k","short-id":"12"}}`,
			`{"address":"d.org","network":"xhttp","port":443,"realitySettings":{"fingerprint":"chrome","publicKey":"k","serverName":"s.org","shortId":"12"},"security":"reality","xhttpSettings":{"host":"h.org","noGRPCHeader":"true","path":"/x","xPaddingBytes":"100-1000"}}`},
		"no TLS": {`{"server":"d.org","port":"80","tls":"false"}`,
			`{"address":"d.org","network":"xhttp","port":80,"xhttpSettings":{"host":"h.org","noGRPCHeader":"true","path":"/x","xPaddingBytes":"100-1000"}}`},
	} {
		var fields map[string]any
		entry := `{"tls":"true","servername":"s.org","client-fingerprint":"chrome","xhttp-opts":{"path":"/x","host":"h.org","mode":"auto","no-grpc-header":"true","x-padding-bytes":"100-1000","download-settings":` + test.own + `}}`
		if err := json.Unmarshal([]byte(entry), &fields); err != nil {
			t.Fatal(err)
		}
		(&uri{host: "a.org", port: "443"}).clashDownload(&object{fields: fields})
		got, err := json.Marshal(fields["xhttp-opts"].(map[string]any)["downloadSettings"])
		if err != nil || string(got) != test.want {
			t.Errorf("%s: %v\ngot  %s\nwant %s", name, err, got, test.want)
		}
	}
}
