package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

func TestNoSecretIsPrinted(t *testing.T) {
	ctx := context.Background()
	var log bytes.Buffer
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{Log: zerolog.New(&log).Level(zerolog.TraceLevel)})
	added, _, err := addConfigs(ctx, s, testConfigs(0, 2))
	if err != nil {
		t.Fatal(err)
	}
	session := Session{Inbounds: []Inbound{{Protocol: "socks", Address: "127.0.0.1:1", User: "hidden", Password: "hidden"}}}
	text := fmt.Sprint(added, session, &added[0])
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		text += fmt.Sprintf(verb, added) + fmt.Sprintf(verb, session)
	}
	for _, v := range []any{added, session} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		text += string(b)
	}
	if err := s.closeIdle(ctx); err != nil {
		t.Fatal(err)
	}
	// A repair talks most.
	if err := os.Truncate(filepath.Join(dir, "db", "MANIFEST"), 8); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Configs(ctx); err != nil {
		t.Fatal(err)
	}
	text += log.String()
	if strings.Contains(text, "hidden") || strings.Contains(text, fmt.Sprintf("%x", "hidden")) {
		t.Errorf("a secret in %.3000s", text)
	}
}
