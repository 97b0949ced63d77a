package subscription

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"mime"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"
)

// maxPacking is how many layers of compression are taken off: one is usual, and some servers pack
// what is packed already.
const maxPacking = 2

// limitedReader is io.LimitedReader with an error instead of an end: a body is read in full or not
// at all. It bounds every layer, so that a small one cannot stand for endless work in between.
type limitedReader struct {
	from    io.Reader
	left    int
	tooMuch error
}

func (r *limitedReader) Read(p []byte) (int, error) {
	if len(p) > r.left+1 {
		p = p[:r.left+1]
	}
	n, err := r.from.Read(p)
	if n > r.left {
		return 0, r.tooMuch
	}
	r.left -= n
	return n, err
}

// unpack takes off what Content-Encoding names, and gzip that nobody has named: some servers hand
// out files as they have them. where is for errors.
func unpack(body io.Reader, contentEncoding []string, where string) (io.Reader, error) {
	tooMuch := fail(CodeTooLarge, where+" sent more than 8 MiB; check that the address is that of a subscription")
	bounded := func(r io.Reader) *bufio.Reader {
		return bufio.NewReader(&limitedReader{r, MaxBody, tooMuch})
	}
	layers := 0
	r := bounded(body)
	names := strings.Split(strings.ToLower(strings.Join(contentEncoding, ",")), ",")
	for i := len(names) - 1; i >= 0; i-- { // the last one was applied last
		if _, err := r.Peek(1); err == io.EOF {
			return r, nil // of nothing there is nothing to unpack
		}
		var next io.Reader
		var err error
		switch name := strings.TrimSpace(names[i]); name {
		case "", "identity", "none", "binary", "utf-8", "utf8": // the latter are wrong, and harmless
			continue
		case "gzip", "x-gzip":
			next, err = gzip.NewReader(r)
		case "deflate":
			next, err = inflate(r)
		case "br", "zstd", "compress":
			return nil, fail(CodeBadAnswer, where+" sent an answer packed with "+name+", which was not asked for")
		default:
			return nil, fail(CodeBadAnswer, where+" sent an answer packed in a way that was not asked for")
		}
		if layers++; layers > maxPacking {
			return nil, fail(CodeBadAnswer, where+" sent an answer that is packed again and again")
		}
		if err != nil {
			return nil, err
		}
		r = bounded(next)
	}
	for ; layers < maxPacking; layers++ {
		if start, _ := r.Peek(2); !bytes.Equal(start, []byte{0x1f, 0x8b}) { // RFC 1952; no text begins so
			break
		}
		next, err := gzip.NewReader(r)
		if err != nil {
			return nil, err
		}
		r = bounded(next)
	}
	return r, nil
}

// inflate reads "deflate", which is zlib (RFC 9110, section 8.4.1.2), and to some servers what is
// inside of that.
func inflate(r *bufio.Reader) (io.Reader, error) {
	start, _ := r.Peek(2)
	if len(start) == 2 && start[0]&0x0f == 8 && (int(start[0])<<8|int(start[1]))%31 == 0 {
		return zlib.NewReader(r)
	}
	return flate.NewReader(r), nil
}

// toUTF8 returns a body as UTF-8. It believes a byte order mark, then that UTF-8 is what it looks
// like, and then the charset of the Content-Type: many servers name one for everything that they
// have.
func toUTF8(body []byte, contentType string) []byte {
	if text, ok := decodeUTF16(body); ok {
		return text
	}
	_, parameters, err := mime.ParseMediaType(contentType)
	if err != nil {
		return body
	}
	charset := strings.ToLower(strings.TrimSpace(parameters["charset"]))
	// Text in UTF-16 can be valid UTF-8, but is full of zeros then.
	wide := strings.HasPrefix(charset, "utf-16") && bytes.IndexByte(body, 0) >= 0
	if charset == "" || utf8.Valid(body) && !wide {
		return body
	}
	from, err := htmlindex.Get(charset)
	if err != nil {
		return body // in a charset that nobody uses
	}
	text, err := from.NewDecoder().Bytes(body)
	if err != nil {
		return body
	}
	return text
}
