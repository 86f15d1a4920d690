//go:build ignore

// Writes causes.json: runs the checks of the API server over the cases that causes.py makes.
//
//	causes.py > cases.json && go run causes.go cases.json > causes.json
//
// Run it in a module that requires k8s.io/apiextensions-apiserver v0.34.4.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apivalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

type Case struct {
	Schema string          `json:"schema"`
	New    json.RawMessage `json:"new"`
	Old    json.RawMessage `json:"old,omitempty"`
	Status bool            `json:"status,omitempty"`
	Crd    json.RawMessage `json:"crd,omitempty"`
	Causes [][3]string     `json:"causes"`
}
type Doc struct {
	Schemas map[string]json.RawMessage `json:"schemas"`
	Cases   []Case                     `json:"cases"`
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func object(raw json.RawMessage) *unstructured.Unstructured {
	m := map[string]interface{}{}
	must(utiljson.Unmarshal(raw, &m))
	return &unstructured.Unstructured{Object: m}
}

func causes(errs field.ErrorList) [][3]string {
	out := [][3]string{}
	for _, e := range errs {
		out = append(out, [3]string{string(e.Type), e.Field, e.ErrorBody()})
	}
	return out
}

func main() {
	var doc Doc
	data, err := os.ReadFile(os.Args[1])
	must(err)
	must(json.Unmarshal(data, &doc))
	gvk := schema.GroupVersionKind{Group: "lab.example.com", Version: "v1", Kind: "Widget"}
	scheme := runtime.NewScheme()
	for i := range doc.Cases {
		c := &doc.Cases[i]
		if c.Crd != nil {
			var crd apiextensionsv1.CustomResourceDefinition
			must(json.Unmarshal(c.Crd, &crd))
			apiextensionsv1.SetDefaults_CustomResourceDefinition(&crd)
			crd.Status.StoredVersions = nil
			apiextensionsv1.SetDefaults_CustomResourceDefinition(&crd)
			var in apiextensions.CustomResourceDefinition
			must(apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(&crd, &in, nil))
			c.Causes = causes(apivalidation.ValidateCustomResourceDefinition(context.Background(), &in))
			continue
		}
		var v1 apiextensionsv1.JSONSchemaProps
		must(json.Unmarshal(doc.Schemas[c.Schema], &v1))
		var in apiextensions.JSONSchemaProps
		must(apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(&v1, &in, nil))
		ss, err := structuralschema.NewStructural(&in)
		must(err)
		validator, _, err := validation.NewSchemaValidator(&in)
		must(err)
		status := in.Properties["status"]
		statusValidator, _, err := validation.NewSchemaValidator(&status)
		must(err)
		strategy := customresource.NewStrategy(unstructuredTyper{scheme}, true, gvk, validator, statusValidator, ss, nil, nil, nil)
		ctx := context.Background()
		switch {
		case c.Old == nil:
			c.Causes = causes(strategy.Validate(ctx, object(c.New)))
		case c.Status:
			c.Causes = causes(customresource.NewStatusStrategy(strategy).ValidateUpdate(ctx, object(c.New), object(c.Old)))
		default:
			c.Causes = causes(strategy.ValidateUpdate(ctx, object(c.New), object(c.Old)))
		}
	}
	_ = metav1.ObjectMeta{}
	out, err := json.Marshal(doc)
	must(err)
	fmt.Println(string(out))
}

type unstructuredTyper struct{ *runtime.Scheme }
