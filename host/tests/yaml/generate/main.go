// Writes down how kubectl reads YAML: scalars.json of scalars.txt, documents.json of documents.txt.
//
// It calls the libraries that kubectl calls, in its order: the stream is split and turned into JSON, the JSON is decoded as an
// unstructured object, and the object is encoded again, as it is sent to the API server. Run it as ../README.md says.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/yaml"
)

type row struct {
	Name string `json:"name,omitempty"`
	YAML string `json:"yaml"`
	// What is sent, one text for each object.
	JSON []string `json:"json,omitempty"`
	// The text is refused.
	Error bool `json:"error,omitempty"`
}

func read(text string) ([]string, error) {
	sent := []string{}
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		var document runtime.RawExtension
		if err := decoder.Decode(&document); err != nil {
			if errors.Is(err, io.EOF) {
				return sent, nil
			}
			return nil, err
		}
		raw := bytes.TrimSpace(document.Raw)
		if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
			continue
		}
		var object any
		if err := utiljson.Unmarshal(raw, &object); err != nil {
			return nil, err
		}
		var encoded bytes.Buffer
		encoder := json.NewEncoder(&encoded)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(object); err != nil {
			return nil, err
		}
		sent = append(sent, strings.TrimSpace(encoded.String()))
	}
}

func described(name, text string) row {
	sent, err := read(text)
	return row{Name: name, YAML: text, JSON: sent, Error: err != nil}
}

func write(file string, rows []row) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	text.WriteString("[\n")
	for i, row := range rows {
		if i > 0 {
			text.Truncate(text.Len() - 1)
			text.WriteString(",\n")
		}
		if err := encoder.Encode(row); err != nil {
			panic(err)
		}
	}
	text.WriteString("]\n")
	if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
		panic(err)
	}
}

func lines(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func main() {
	var scalars, documents []row
	for _, scalar := range strings.Split(strings.TrimSuffix(lines("../scalars.txt"), "\n"), "\n") {
		scalars = append(scalars, described("", "key: "+scalar+"\n"))
	}
	for _, section := range strings.Split(lines("../documents.txt"), "##### ")[1:] {
		name, text, _ := strings.Cut(section, "\n")
		documents = append(documents, described(name, text))
	}
	write("../scalars.json", scalars)
	write("../documents.json", documents)
}
