//go:build ignore

// Writes kinds.json: runs the strategies of the API server over the objects that kinds_cases.py makes.
//
//	kinds_cases.py > cases.json && go run kinds.go cases.json > kinds.json
//
// Run it in a module that requires k8s.io/kubernetes v1.34.4 and, for each k8s.io/x, v0.34.4.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	genericvalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/apps"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	"k8s.io/kubernetes/pkg/apis/batch"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	"k8s.io/kubernetes/pkg/apis/coordination"
	_ "k8s.io/kubernetes/pkg/apis/coordination/install"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	_ "k8s.io/kubernetes/pkg/apis/events/install"
	"k8s.io/kubernetes/pkg/apis/rbac"
	_ "k8s.io/kubernetes/pkg/apis/rbac/install"
	"k8s.io/kubernetes/pkg/registry/apps/controllerrevision"
	"k8s.io/kubernetes/pkg/registry/batch/job"
	"k8s.io/kubernetes/pkg/registry/coordination/lease"
	"k8s.io/kubernetes/pkg/registry/core/configmap"
	"k8s.io/kubernetes/pkg/registry/core/event"
	"k8s.io/kubernetes/pkg/registry/core/limitrange"
	"k8s.io/kubernetes/pkg/registry/core/namespace"
	"k8s.io/kubernetes/pkg/registry/core/persistentvolumeclaim"
	"k8s.io/kubernetes/pkg/registry/core/pod"
	"k8s.io/kubernetes/pkg/registry/core/secret"
	"k8s.io/kubernetes/pkg/registry/core/serviceaccount"
	"k8s.io/kubernetes/pkg/registry/rbac/role"
	"k8s.io/kubernetes/pkg/registry/rbac/rolebinding"
)

type Case struct {
	Group  string          `json:"group"`
	Kind   string          `json:"kind"`
	New    json.RawMessage `json:"new"`
	Old    json.RawMessage `json:"old,omitempty"`
	Status bool            `json:"status,omitempty"`
	Object json.RawMessage `json:"object,omitempty"`
	Causes [][3]string     `json:"causes"`
	Words  string          `json:"words,omitempty"`
}

type strategy interface {
	rest.RESTCreateStrategy
	rest.RESTUpdateStrategy
}
type kind struct {
	external, internal func() runtime.Object
	create             strategy
	status             rest.RESTUpdateStrategy
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

var kinds = map[string]kind{
	"Job":                   {func() runtime.Object { return &batchv1.Job{} }, func() runtime.Object { return &batch.Job{} }, job.Strategy, job.StatusStrategy},
	"Pod":                   {func() runtime.Object { return &corev1.Pod{} }, func() runtime.Object { return &core.Pod{} }, pod.Strategy, pod.StatusStrategy},
	"Secret":                {func() runtime.Object { return &corev1.Secret{} }, func() runtime.Object { return &core.Secret{} }, secret.Strategy, nil},
	"ConfigMap":             {func() runtime.Object { return &corev1.ConfigMap{} }, func() runtime.Object { return &core.ConfigMap{} }, configmap.Strategy, nil},
	"Namespace":             {func() runtime.Object { return &corev1.Namespace{} }, func() runtime.Object { return &core.Namespace{} }, namespace.Strategy, namespace.StatusStrategy},
	"ServiceAccount":        {func() runtime.Object { return &corev1.ServiceAccount{} }, func() runtime.Object { return &core.ServiceAccount{} }, serviceaccount.Strategy, nil},
	"LimitRange":            {func() runtime.Object { return &corev1.LimitRange{} }, func() runtime.Object { return &core.LimitRange{} }, limitrange.Strategy, nil},
	"PersistentVolumeClaim": {func() runtime.Object { return &corev1.PersistentVolumeClaim{} }, func() runtime.Object { return &core.PersistentVolumeClaim{} }, persistentvolumeclaim.Strategy, persistentvolumeclaim.StatusStrategy},
	"ControllerRevision":    {func() runtime.Object { return &appsv1.ControllerRevision{} }, func() runtime.Object { return &apps.ControllerRevision{} }, controllerrevision.Strategy, nil},
	"Lease":                 {func() runtime.Object { return &coordinationv1.Lease{} }, func() runtime.Object { return &coordination.Lease{} }, lease.Strategy, nil},
	"Event":                 {func() runtime.Object { return &eventsv1.Event{} }, func() runtime.Object { return &core.Event{} }, event.Strategy, nil},
	"Role":                  {func() runtime.Object { return &rbacv1.Role{} }, func() runtime.Object { return &rbac.Role{} }, role.Strategy, nil},
	"RoleBinding":           {func() runtime.Object { return &rbacv1.RoleBinding{} }, func() runtime.Object { return &rbac.RoleBinding{} }, rolebinding.Strategy, nil},
}

func read(k kind, raw json.RawMessage) (runtime.Object, error) {
	external := k.external()
	if err := runtime.DecodeInto(legacyscheme.Codecs.UniversalDeserializer(), raw, external); err != nil {
		return nil, err
	}
	legacyscheme.Scheme.Default(external)
	internal := k.internal()
	return internal, legacyscheme.Scheme.Convert(external, internal, nil)
}

func causes(errs field.ErrorList) [][3]string {
	out := [][3]string{}
	for _, e := range errs {
		out = append(out, [3]string{string(e.Type), e.Field, e.ErrorBody()})
	}
	return out
}

func main() {
	var doc struct {
		Cases []Case `json:"cases"`
	}
	data, err := os.ReadFile(os.Args[1])
	must(err)
	must(json.Unmarshal(data, &doc))
	for i := range doc.Cases {
		c := &doc.Cases[i]
		k := kinds[c.Kind]
		if c.Kind == "Event" && c.Group == "" {
			k.external = func() runtime.Object { return &corev1.Event{} }
		}
		info := &genericapirequest.RequestInfo{IsResourceRequest: true, APIGroup: c.Group, APIVersion: "v1"}
		ctx := genericapirequest.WithRequestInfo(genericapirequest.WithNamespace(context.Background(), "n"), info)
		c.Causes = [][3]string{}
		obj, err := read(k, c.New)
		if err != nil {
			c.Words = err.Error()
			continue
		}
		var errs field.ErrorList
		if c.Old == nil {
			k.create.PrepareForCreate(ctx, obj)
			errs = k.create.Validate(ctx, obj)
		} else {
			old, err := read(k, c.Old)
			must(err)
			var s rest.RESTUpdateStrategy = k.create
			if c.Status {
				s = k.status
			}
			s.PrepareForUpdate(ctx, obj, old)
			a, _ := meta.Accessor(obj)
			b, _ := meta.Accessor(old)
			errs = genericvalidation.ValidateObjectMetaAccessorUpdate(a, b, field.NewPath("metadata"))
			errs = append(errs, s.ValidateUpdate(ctx, obj, old)...)
		}
		c.Causes = causes(errs)
		if len(errs) > 0 || c.Old != nil {
			continue
		}
		k.create.Canonicalize(obj)
		external := k.external()
		must(legacyscheme.Scheme.Convert(obj, external, nil))
		legacyscheme.Scheme.Default(external)
		c.Object, err = json.Marshal(external)
		must(err)
	}
	out, err := json.Marshal(doc)
	must(err)
	fmt.Println(string(out))
}
