package report

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
)

// schema describes report.json, as JSON Schema 2020-12. It is written beside it.
//
//go:embed schema/v1.json
var schema []byte

func renderJSON(doc document) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(doc); err != nil {
		return nil, fmt.Errorf("encoding the document: %w", err)
	}
	return out.Bytes(), nil
}
