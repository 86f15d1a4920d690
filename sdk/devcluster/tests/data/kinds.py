#!/usr/bin/env python3
"""Makes src/kinds/openapi.json: the types of the kinds that this crate serves, from what a kube-apiserver says of itself.

    kinds.py > ../../src/kinds/openapi.json                asks `kubectl get --raw` (with KUBECONFIG)
    kinds.py DIRECTORY > ../../src/kinds/openapi.json      reads api/openapi-spec/v3 of the sources of Kubernetes: the same

What is left out: descriptions, formats of answers, and zero values of Go that are not written.
"""
import json
import subprocess
import sys

KINDS = {
    "api/v1": "ConfigMap Event LimitRange Namespace Node PersistentVolumeClaim Pod ResourceQuota Secret Service ServiceAccount",
    "apis/admissionregistration.k8s.io/v1": "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding",
    "apis/apiextensions.k8s.io/v1": "CustomResourceDefinition",
    "apis/apiregistration.k8s.io/v1": "APIService",
    "apis/apps/v1": "ControllerRevision",
    "apis/authentication.k8s.io/v1": "SelfSubjectReview TokenRequest TokenReview",
    "apis/authorization.k8s.io/v1": "LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview",
    "apis/batch/v1": "Job",
    "apis/coordination.k8s.io/v1": "Lease",
    "apis/events.k8s.io/v1": "Event",
    "apis/rbac.authorization.k8s.io/v1": "ClusterRole ClusterRoleBinding Role RoleBinding",
}
KEPT = ("type", "format", "required", "enum", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type",
        "x-kubernetes-patch-strategy", "x-kubernetes-patch-merge-key", "x-kubernetes-unions")


def spec(path):
    if len(sys.argv) > 1:
        with open(f"{sys.argv[1]}/{path.replace('/', '__')}_openapi.json", encoding="utf-8") as file:
            return json.load(file)
    return json.loads(subprocess.check_output(["kubectl", "get", "--raw", f"/openapi/v3/{path}"]))


def cut(schema):
    if "$ref" in schema:
        return {"$ref": schema["$ref"].rpartition("/")[2]}
    if "allOf" in schema and len(schema["allOf"]) == 1:
        out = cut(schema["allOf"][0])
    else:
        out = {key: schema[key] for key in KEPT if key in schema}
    if "default" in schema:
        out["default"] = schema["default"]
    if "properties" in schema:
        out["properties"] = {name: cut(one) for name, one in schema["properties"].items()}
        for name, one in out["properties"].items():
            # Go writes a struct that is no pointer always, and a text or a number only if it must be there.
            if name not in schema.get("required", []) and one.get("default") in ("", 0, False):
                del one["default"]
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            out[word] = cut(schema[word])
    for word in KEPT:
        if word in schema:
            out[word] = schema[word]
    return out


def references(schema):
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for one in schema.values():
            yield from references(one)


kinds, known = {}, {}
for path in KINDS:
    for name, schema in spec(path)["components"]["schemas"].items():
        known[name] = cut(schema)
        for one in schema.get("x-kubernetes-group-version-kind", []):
            both = "/".join(filter(None, (one["group"], one["version"])))
            if one["kind"] in KINDS.get(f"api/{both}" if not one["group"] else f"apis/{both}", "").split():
                kinds[f"{both}/{one['kind']}"] = name
types, wanted = {}, list(kinds.values()) + ["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"]
while wanted:
    name = wanted.pop()
    if name not in types:
        types[name] = known[name]
        wanted += references(known[name])
json.dump({"kinds": kinds, "types": types}, sys.stdout, sort_keys=True, separators=(",", ":"))
sys.stdout.write("\n")
