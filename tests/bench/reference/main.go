// Command reference renders a pod template as the Go controller does, and says how long that takes.
//
// It reads the fixture of the render benchmark and prints one line of JSON: what was rendered, the number of renders that
// were measured, and percentiles of their wall-clock time.
//
// A render is what the controller does for one run, step for step: the template becomes JSON and then maps and lists;
// every string in them is parsed and executed as a template of its own with all functions of slim-sprig, whose table is
// made anew for each string; the result becomes JSON and is decoded. The controller decodes into the type PodTemplateSpec,
// which takes longer than the maps that are decoded here, and it looks the context's objects up, which is left out.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"text/template"
	"time"

	sprig "github.com/go-task/slim-sprig/v3"
)

type fixture struct {
	Strategy struct {
		Template any `json:"template"`
	} `json:"strategy"`
	Application map[string]any `json:"application"`
	Request     struct {
		Mode       string            `json:"mode"`
		Namespace  string            `json:"namespace"`
		Parameters map[string]string `json:"parameters"`
	} `json:"request"`
}

type figures struct {
	Rendered any     `json:"rendered"`
	Runs     int     `json:"runs"`
	P50      float64 `json:"p50Micros"`
	P99      float64 `json:"p99Micros"`
}

func main() {
	path := flag.String("fixture", "", "the fixture")
	runs := flag.Int("runs", 2000, "renders to measure")
	warm := flag.Int("warm", 500, "renders before the first that is measured")
	flag.Parse()
	result, err := measure(*path, *runs, *warm)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(result)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}

func measure(path string, runs, warm int) (*figures, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var given fixture
	if err := json.Unmarshal(text, &given); err != nil {
		return nil, err
	}
	context := contextOf(&given)
	var rendered any
	walls := make([]time.Duration, 0, runs)
	for i := range warm + runs {
		begun := time.Now()
		rendered, err = render(given.Strategy.Template, context)
		wall := time.Since(begun)
		if err != nil {
			return nil, err
		}
		if i >= warm {
			walls = append(walls, wall)
		}
	}
	slices.Sort(walls)
	return &figures{Rendered: rendered, Runs: runs, P50: percentile(walls, 50), P99: percentile(walls, 99)}, nil
}

// percentile of sorted times, in microseconds.
func percentile(walls []time.Duration, percent int) float64 {
	if len(walls) == 0 {
		return 0
	}
	return float64(walls[min(len(walls)*percent/100, len(walls)-1)].Nanoseconds()) / 1000
}

// contextOf makes what templates see when a backup is made.
func contextOf(given *fixture) map[string]any {
	metadata, _ := given.Application["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)
	return map[string]any{
		"Application": given.Application,
		"Release":     map[string]string{"Name": name, "Namespace": given.Request.Namespace},
		"Mode":        given.Request.Mode,
		"Parameters":  given.Request.Parameters,
	}
}

func render(object any, context map[string]any) (any, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, err
	}
	if text, err = json.Marshal(walk(tree, context)); err != nil {
		return nil, err
	}
	var rendered any
	if err := json.Unmarshal(text, &rendered); err != nil {
		return nil, err
	}
	return rendered, nil
}

func walk(value any, context map[string]any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, item := range value {
			value[key] = walk(item, context)
		}
	case []any:
		for index, item := range value {
			value[index] = walk(item, context)
		}
	case string:
		return leaf(value, context)
	}
	return value
}

// leaf renders one string. As in the controller, one that cannot be rendered stays as it is.
func leaf(text string, context map[string]any) string {
	parsed, err := template.New("this").Funcs(sprig.FuncMap()).Parse(text)
	if err != nil {
		return text
	}
	var output bytes.Buffer
	if err := parsed.Execute(&output, context); err != nil {
		return text
	}
	return output.String()
}
