package subscription

import (
	"mime"
	"net/http"
	"path"
	"strings"
)

// readHeader reads the headers in which providers describe themselves. None of them causes anything
// to be fetched or opened.
func (r *Response) readHeader(h http.Header) {
	for _, key := range aboutKeys {
		r.say(key, h.Get(key))
	}
	if r.Title == "" {
		r.Title = fileTitle(h.Get("Content-Disposition"))
	}
}

// fileTitle makes a title of the file name under which a browser would save the answer.
func fileTitle(disposition string) string {
	_, parameters, err := mime.ParseMediaType(disposition)
	if err != nil {
		return ""
	}
	name := path.Base(strings.ReplaceAll(parameters["filename"], `\`, "/"))
	switch extension := path.Ext(name); strings.ToLower(extension) {
	case ".txt", ".yaml", ".yml", ".json", ".conf":
		name = strings.TrimSuffix(name, extension)
	}
	if name == "." || name == "/" {
		return ""
	}
	return cleanText(strings.ToValidUTF8(name, ""))
}
