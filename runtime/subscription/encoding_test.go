package subscription

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

func packed(text string, with func(io.Writer) io.WriteCloser) string {
	var b bytes.Buffer
	w := with(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

func gzipped(text string) string {
	return packed(text, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
}

// However an answer is packed, the text comes out.
func TestFetchUnpacks(t *testing.T) {
	zipped := packed(plainList, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
	deflated := packed(plainList, func(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 9); return f })
	for name, test := range map[string]struct {
		encoding []string
		body     string
		code     string // of the error; empty: the list is read
	}{
		"identity":                 {[]string{"identity"}, plainList, ""},
		"in capitals":              {[]string{"Identity"}, plainList, ""},
		"a charset":                {[]string{"utf-8"}, plainList, ""},
		"gzip":                     {[]string{"gzip"}, gzipped(plainList), ""},
		"x-gzip":                   {[]string{"X-GZIP"}, gzipped(plainList), ""},
		"gzip unannounced":         {nil, gzipped(plainList), ""},
		"gzip called identity":     {[]string{"identity"}, gzipped(plainList), ""},
		"gzip twice, said once":    {[]string{"gzip"}, gzipped(gzipped(plainList)), ""},
		"gzip twice, said twice":   {[]string{"gzip, gzip"}, gzipped(gzipped(plainList)), ""},
		"in two headers":           {[]string{"identity", "gzip"}, gzipped(plainList), ""},
		"gzip thrice":              {[]string{"gzip, gzip, gzip"}, gzipped(gzipped(gzipped(plainList))), CodeBadAnswer},
		"deflate with zlib":        {[]string{"deflate"}, zipped, ""},
		"deflate without":          {[]string{"deflate"}, deflated, ""},
		"deflate in gzip":          {[]string{"deflate, gzip"}, gzipped(zipped), ""},
		"no deflate":               {[]string{"deflate"}, "\xff\xff\xff", CodeBadAnswer},
		"gzip that breaks off":     {nil, gzipped(plainList)[:30], CodeBadAnswer},
		"gzip with a wrong sum":    {[]string{"gzip"}, gzipped(plainList)[:len(gzipped(plainList))-8] + "12345678", CodeBadAnswer},
		"Brotli":                   {[]string{"br"}, "x", CodeBadAnswer},
		"Zstandard":                {[]string{"zstd"}, "x", CodeBadAnswer},
		"something with a secret":  {[]string{token}, "x", CodeBadAnswer},
		"the beginning of a magic": {nil, "\x1f", "as it is"},
		"empty":                    {[]string{"gzip"}, "", "as it is"},
	} {
		t.Run(name, func(t *testing.T) {
			address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Encoding"] = test.encoding
				_, _ = io.WriteString(w, test.body)
			})
			if test.code == CodeBadAnswer {
				fails(t, Fetcher{}, Request{URL: address}, test.code)
				return
			}
			want := plainList
			if test.code != "" {
				want = test.body
			}
			response, err := Fetcher{}.Fetch(t.Context(), Request{URL: address})
			if err != nil || string(response.Body) != want {
				t.Errorf("%q, %v", response.Body, err)
			}
		})
	}
}

// Neither the text nor anything on the way to it may be larger than a body.
func TestUnpackIsBounded(t *testing.T) {
	zeros := gzipped(strings.Repeat("\x00", MaxBody+1))
	// Empty members (RFC 1952, section 2.2) come to no byte of text, however many there are.
	nothing := gzipped(strings.Repeat(gzipped(""), (MaxBody+1)/len(gzipped(""))+1))
	for name, body := range map[string]string{"text": zeros, "text twice": gzipped(zeros), "in between": nothing} {
		r, err := unpack(strings.NewReader(body), []string{"gzip"}, "x")
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeTooLarge {
			t.Errorf("%s: %d bytes: %v", name, len(body), err)
		}
	}
}

func TestFetchReadsCharsets(t *testing.T) {
	const list = "trojan://x@a.org:443#Германия\r\n"
	as := func(e interface{ String(string) (string, error) }) string { s, _ := e.String(list); return s }
	russian := as(charmap.Windows1251.NewEncoder())
	little := as(unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewEncoder())
	big := as(unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder())
	for name, test := range map[string]struct{ contentType, body, want string }{
		"none":                          {"", list, list},
		"UTF-8":                         {"text/plain; charset=utf-8", list, list},
		"Windows":                       {"text/plain; charset=windows-1251", russian, list},
		"Windows in quotes":             {`text/plain; charset="Windows-1251"`, russian, list},
		"another name":                  {"text/plain; charset=cp1251", russian, list},
		"KOI8":                          {"text/plain; charset=koi8-r", as(charmap.KOI8R.NewEncoder()), list},
		"UTF-16":                        {"text/plain; charset=utf-16le", little, list},
		"UTF-16, either":                {"text/plain; charset=UTF-16", little, list},
		"UTF-16 by its mark":            {"text/plain", big, list},
		"UTF-16 by its mark, misnamed":  {"text/plain; charset=iso-8859-1", "\xff\xfe" + little, list},
		"UTF-16 that is none":           {"text/plain; charset=utf-16", list, list},
		"UTF-8, misnamed":               {"text/plain; charset=windows-1251", list, list},
		"UTF-8, misnamed as Latin":      {"text/html; charset=iso-8859-1", list, list},
		"a charset that is none":        {"text/plain; charset=" + token, russian, russian},
		"no media type":                 {";;;", russian, russian},
		"Windows, and nobody says so":   {"text/plain", russian, russian},
		"a mark with half a character":  {"", "\xff\xfea", "\uFFFD"},
		"UTF-8 with a mark of its own":  {"text/plain; charset=utf-16", "\uFEFF" + list, "\uFEFF" + list},
		"gzip, announced by its text's": {"text/plain; charset=windows-1251", gzipped(russian), list},
	} {
		address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{test.contentType}
			_, _ = io.WriteString(w, test.body)
		})
		response, err := Fetcher{}.Fetch(t.Context(), Request{URL: address})
		if err != nil || string(response.Body) != test.want {
			t.Errorf("%s: %q, %v", name, response.Body, err)
		}
	}
	long := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=windows-1251")
		_, _ = w.Write(bytes.Repeat([]byte{0xC0}, MaxBody))
	})
	fails(t, Fetcher{}, Request{URL: long}, CodeTooLarge)
}

// Whatever is sent, it is unpacked within limits or refused with an error of ours or of the
// packing.
func FuzzUnpack(f *testing.F) {
	f.Add([]byte(gzipped("x")), "gzip", "text/plain; charset=windows-1251")
	f.Add([]byte(gzipped(gzipped("x"))), "gzip, gzip", "text/plain; charset=utf-16")
	f.Add([]byte("\x78\x9c\x03\x00\x00\x00\x00\x01"), "deflate", "")
	f.Add([]byte("\xff\xfea\x00"), "identity", ";")
	f.Fuzz(func(t *testing.T, body []byte, encoding, contentType string) {
		r, err := unpack(bytes.NewReader(body), []string{encoding}, "x")
		if err != nil {
			return
		}
		text, err := io.ReadAll(r)
		if len(text) > MaxBody {
			t.Errorf("%d bytes", len(text))
		}
		if err == nil {
			toUTF8(text, contentType)
		}
	})
}
