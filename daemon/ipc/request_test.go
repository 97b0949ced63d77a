package ipc

import (
	"io"
	"strings"
	"testing"
)

func TestBadRequestsAreRefusedWithTheReason(t *testing.T) {
	path := serve(t, &echo{})
	for name, test := range map[string]struct{ line, want string }{
		"empty":               {``, "empty"},
		"no JSON":             {`hello`, "malformed"},
		"byte order mark":     {"\ufeff" + `{"protocol_version":1,"request":{"type":"daemon_ping"}}`, "malformed"},
		"NUL":                 {"\x00", "malformed"},
		"array":               {`[]`, "malformed"},
		"no version":          {`{"request":{"type":"daemon_ping"}}`, "protocol_version"},
		"other version":       {`{"protocol_version":2,"request":{"type":"daemon_ping"}}`, "version 2 is not supported"},
		"no request":          {`{"protocol_version":1}`, `"request"`},
		"no type":             {`{"protocol_version":1,"request":{}}`, `"type"`},
		"unknown type":        {`{"protocol_version":1,"request":{"type":"make_coffee"}}`, `"make_coffee"`},
		"unknown argument":    {`{"protocol_version":1,"request":{"type":"daemon_ping","config_id":1}}`, `does not take "config_id"`},
		"argument's case":     {`{"protocol_version":1,"request":{"type":"runtime_connect","Config_ID":1}}`, `does not take "Config_ID"`},
		"type's case":         {`{"protocol_version":1,"request":{"Type":"daemon_ping"}}`, `no "type"`},
		"twice the same name": {`{"protocol_version":1,"request":{"type":"runtime_connect","config_id":1,"config_id":2}}`, "twice"},
		"twice the request":   {`{"protocol_version":1,"request":{"type":"daemon_ping"},"request":{"type":"daemon_shutdown"}}`, "twice"},
		"missing argument":    {`{"protocol_version":1,"request":{"type":"runtime_replace"}}`, `needs "trigger"`},
		"null argument":       {`{"protocol_version":1,"request":{"type":"runtime_replace","trigger":null}}`, `needs "trigger"`},
		"unknown trigger":     {`{"protocol_version":1,"request":{"type":"runtime_replace","trigger":"whim"}}`, `"whim"`},
		"wrong type":          {`{"protocol_version":1,"request":{"type":"runtime_connect","config_id":"seven"}}`, "/config_id"},
		"fraction":            {`{"protocol_version":1,"request":{"type":"runtime_connect","config_id":1.5}}`, "/config_id"},
		"too long":            {`{"protocol_version":1,"request":{"type":"config_import","text":"` + strings.Repeat("x", maxLine) + `"}}`, "1 MiB"},
		"deep":                {strings.Repeat("[", 200000), "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, path)
			go func() { // the server may cut us off before all is written
				io.WriteString(conn, test.line)
				conn.CloseWrite()
			}()
			r := readReply(t, conn)
			if r.OK || r.Code != CodeInvalidState || !strings.Contains(r.Message, test.want) {
				t.Errorf("got %+v; want invalid_state with %q", r, test.want)
			}
		})
	}
}

func TestErrorsDoNotRepeatTheRequest(t *testing.T) {
	const secret = "5f0a2c1e-secret"
	for _, line := range []string{
		`{"protocol_version":1,"request":{"type":"config_import","text":{"vless":"` + secret + `"}}}`,
		`{"protocol_version":1,"request":{"type":"config_import","text":"` + secret,
	} {
		if _, err := decodeRequest([]byte(line)); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%v", err)
		}
	}
}

func FuzzDecodeRequest(f *testing.F) {
	f.Add([]byte(`{"protocol_version":1,"request":{"type":"runtime_connect","config_id":7}}`))
	f.Add([]byte(`{"protocol_version":1,"request":{"type":"config_remove","ids":[1,2]}}`))
	f.Add([]byte(`{"protocol_version":9}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := decodeRequest(line)
		if err != nil {
			if CodeOf(err) != CodeInvalidState {
				t.Errorf("code %s", CodeOf(err))
			}
			return
		}
		if _, known := arguments[r.Type]; !known {
			t.Errorf("accepted type %q", r.Type)
		}
	})
}
