package subscription

import (
	"bytes"

	"golang.org/x/text/encoding/unicode"
)

// decodeUTF16 turns a text in UTF-16, as editors of Windows save it, into UTF-8. Other texts, which
// do not begin with its byte order mark, come back as they are, and false.
func decodeUTF16(data []byte) ([]byte, bool) {
	if !bytes.HasPrefix(data, []byte("\xff\xfe")) && !bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return data, false
	}
	text, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder().Bytes(data)
	if err != nil {
		return data, false
	}
	return text, true
}
