//go:build ignore

// Makes src/kinds/internal.txt: the fields of the types that kube-apiserver shows when it says that a field is immutable. Each line is
// a type, then its fields as Name:kind, or Name=name:kind if the name in JSON is not the Name with a small first letter.
//
// Run it in a module that requires k8s.io/kubernetes v1.34.4 and, for each k8s.io/x, v0.34.4.
package main

import (
	"fmt"
	"os"
	"reflect"
	"sort"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/kubernetes/pkg/apis/batch"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/rbac"
)

var out = map[string]interface{}{}

func tag(f reflect.StructField) (string, bool) {
	t := f.Tag.Get("json")
	if t == "" {
		return f.Name, false
	}
	parts := strings.Split(t, ",")
	return parts[0], strings.Contains(t, "omitempty")
}

// kind says how a value is written: s, b, n, bytes, a type, and before it * for a pointer, [] for a list, {} for a map.
func kind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Ptr:
		return "*" + kind(t.Elem())
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "bytes"
		}
		return "[]" + kind(t.Elem())
	case reflect.Map:
		return "{}" + kind(t.Elem())
	case reflect.Struct:
		return t.String()
	case reflect.String:
		return "s"
	case reflect.Bool:
		return "b"
	default:
		return "n"
	}
}

func walk(t reflect.Type, v reflect.Type) {
	for t.Kind() == reflect.Ptr || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		if v != nil && v.Kind() == t.Kind() {
			v = v.Elem()
		} else if v != nil && v.Kind() == reflect.Ptr {
			v = v.Elem()
			continue
		} else {
			v = nil
		}
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return
	}
	for v != nil && v.Kind() == reflect.Ptr {
		v = v.Elem()
	}
	name := t.String()
	if _, ok := out[name]; ok {
		return
	}
	if strings.HasPrefix(name, "resource.") || strings.HasPrefix(name, "intstr.") || strings.HasPrefix(name, "v1.") {
		return
	}
	fields := []interface{}{}
	out[name] = fields
	var rec func(t, v reflect.Type)
	rec = func(t, v reflect.Type) {
		for i := 0; i < t.NumField(); i++ {
			f := t.Field(i)
			if f.Anonymous {
				if f.Type.String() == "v1.ObjectMeta" {
					fields = append(fields, []string{"", "metadata", "meta"})
					continue
				}
				fv := v
				if v != nil {
					if vf, ok := v.FieldByName(f.Name); ok {
						fv = vf.Type
					}
				}
				rec(f.Type, fv)
				continue
			}
			n, _ := tag(f)
			external := ""
			if v != nil && v.Kind() == reflect.Struct {
				if vf, ok := v.FieldByName(f.Name); ok {
					e, _ := tag(vf)
					external = e
					walk(f.Type, vf.Type)
				} else {
					walk(f.Type, nil)
					fmt.Fprintln(os.Stderr, "no external", name, f.Name)
				}
			} else {
				walk(f.Type, nil)
				fmt.Fprintln(os.Stderr, "no external type", name, f.Name)
			}
			fields = append(fields, []string{n, external, kind(f.Type)})
		}
	}
	rec(t, v)
	out[name] = fields
}

func main() {
	walk(reflect.TypeOf(core.PodTemplateSpec{}), reflect.TypeOf(corev1.PodTemplateSpec{}))
	walk(reflect.TypeOf(batch.PodFailurePolicy{}), reflect.TypeOf(batchv1.PodFailurePolicy{}))
	walk(reflect.TypeOf(batch.SuccessPolicy{}), reflect.TypeOf(batchv1.SuccessPolicy{}))
	walk(reflect.TypeOf(core.ObjectReference{}), reflect.TypeOf(corev1.ObjectReference{}))
	walk(reflect.TypeOf(core.EventSource{}), reflect.TypeOf(corev1.EventSource{}))
	walk(reflect.TypeOf(rbac.RoleRef{}), reflect.TypeOf(rbacv1.RoleRef{}))
	names := []string{}
	for name := range out {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		line := name
		for _, f := range out[name].([]interface{}) {
			f := f.([]string)
			line += " " + f[0]
			if f[1] != strings.ToLower(f[0][:min(1, len(f[0]))])+f[0][min(1, len(f[0])):] {
				line += "=" + f[1]
			}
			line += ":" + f[2]
		}
		fmt.Println(line)
	}
}
