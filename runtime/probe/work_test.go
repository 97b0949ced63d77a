package probe

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// What comes of a download tells whether the server, or the page, is at fault.
func TestDoWork(t *testing.T) {
	body := make([]byte, WorkBytes+1000)
	begun := func(w http.ResponseWriter, n int) {
		w.Header().Set("Content-Length", "100000")
		w.Write(body[:n])
		http.NewResponseController(w).Flush()
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/whole", func(w http.ResponseWriter, _ *http.Request) { w.Write(body) })
	mux.HandleFunc("/small", func(w http.ResponseWriter, _ *http.Request) { w.Write(body[:WorkBytes-1]) })
	mux.HandleFunc("/stalls", func(w http.ResponseWriter, r *http.Request) {
		begun(w, 16<<10)
		<-r.Context().Done()
	})
	mux.HandleFunc("/throttled", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			begun(w, 10)
			time.Sleep(10 * time.Millisecond)
		}
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, r *http.Request) {
		begun(w, 8<<10)
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/silent", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/missing", func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) })
	server := httptest.NewServer(mux)
	defer server.Close()
	proxy := Proxy{Address: socks(t, "", "")}
	for path, want := range map[string]string{
		"/whole": ClassOK, "/small": ClassSmall, "/stalls": ClassStalls, "/throttled": ClassThrottled, "/cut": ClassCutsShort,
		"/silent": ClassTimeout, "/missing": ClassStatus,
	} {
		ctx, cancel := context.WithTimeout(t.Context(), long)
		if path == "/stalls" || path == "/throttled" || path == "/silent" {
			time.AfterFunc(2*silence, cancel)
		}
		got := DoWork(ctx, proxy, server.URL+path, nil)
		cancel()
		if got.Class != want || got.OK != (want == ClassOK) || (got.Err == nil) != got.OK {
			t.Errorf("%s: %+v, want %s", path, got, want)
		}
		strangled := want == ClassStalls || want == ClassThrottled || want == ClassCutsShort
		if got.Strangled() != strangled || (got.Bytes == 0) != (path == "/silent") {
			t.Errorf("%s: strangled %v, %d bytes", path, got.Strangled(), got.Bytes)
		}
	}
	refused := DoWork(t.Context(), Proxy{Address: closedPort(t)}, server.URL+"/whole", nil)
	if refused.Class != ClassRefused || refused.Strangled() {
		t.Errorf("refused: %+v", refused)
	}
}
