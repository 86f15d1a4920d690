#!/usr/bin/env python3
"""Writes objects of three schemas, and definitions, for causes.go."""
import json
import os
import sys
d=json.load(open(os.path.join(os.path.dirname(os.path.abspath(__file__)),'sequences.json')))
widget=d['crds']['widgets.lab.example.com']['spec']['versions'][0]['schema']['openAPIV3Schema']
more={"type":"object","properties":{"apiVersion":{"type":"string"},"kind":{"type":"string"},"metadata":{"type":"object","properties":{"name":{"type":"string","maxLength":5}}},
 "spec":{"type":"object","required":["must"],"minProperties":1,"maxProperties":4,"properties":{
  "must":{"type":"string"},
  "multi":{"type":"integer","multipleOf":5},
  "ratio":{"type":"number","minimum":0.5,"maximum":1.5,"multipleOf":0.25},
  "excl":{"type":"integer","minimum":0,"exclusiveMinimum":True,"maximum":10,"exclusiveMaximum":True},
  "list":{"type":"array","minItems":2,"maxItems":3,"items":{"type":"integer","maximum":9}},
  "nest":{"type":"array","items":{"type":"array","items":{"type":"object","required":["a"],"properties":{"a":{"type":"string","enum":["x","y"]}}}}},
  "map":{"type":"object","additionalProperties":{"type":"object","required":["k"],"properties":{"k":{"type":"integer"}}},"maxProperties":2},
  "enums":{"type":"integer","enum":[1,2,3]},
  "mixed":{"x-kubernetes-preserve-unknown-fields":True,"enum":[1,"a",{"b":1}]},
  "nul":{"type":"string","nullable":True,"enum":["a","b"]},
  "any":{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"anyOf":[{"required":["a"]},{"required":["b"]}]},
  "one":{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"oneOf":[{"required":["a"]},{"required":["b"]}]},
  "all":{"type":"integer","allOf":[{"minimum":5},{"maximum":10}]},
  "not":{"type":"integer","not":{"minimum":5,"maximum":10}},
  "port":{"x-kubernetes-int-or-string":True,"anyOf":[{"type":"integer"},{"type":"string"}],"pattern":"^[a-z]+$"},
  "uuid":{"type":"string","format":"uuid"},"ip":{"type":"string","format":"ipv4"},"cidr":{"type":"string","format":"cidr"},
  "when":{"type":"string","format":"date-time"},"whens":{"type":"array","items":{"type":"string","format":"date-time"}},
  "code":{"type":"string","minLength":2,"maxLength":4,"pattern":"^\\d+\\w*$"},
  "uni":{"type":"string","maxLength":2},
  "set":{"type":"array","x-kubernetes-list-type":"set","items":{"type":"integer"}},
  "keyed":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["k"],"items":{"type":"object","required":["k"],"properties":{"k":{"type":"string"},"v":{"type":"integer","maximum":9}}}},
  "emb":{"type":"object","x-kubernetes-embedded-resource":True,"x-kubernetes-preserve-unknown-fields":True},
  "free":{"type":"object","x-kubernetes-preserve-unknown-fields":True,"properties":{"k":{"type":"integer"}}}}},
 "status":{"type":"object","properties":{"n":{"type":"integer","maximum":9},"s":{"type":"string","enum":["a"]}}}}}
rules={"type":"object","properties":{"spec":{"type":"object","properties":{
  "a":{"type":"integer"},"b":{"type":"integer"},"c-d":{"type":"string","maxLength":10},"namespace":{"type":"string","maxLength":10},
  "list":{"type":"array","maxItems":10,"items":{"type":"string","maxLength":10},"x-kubernetes-validations":[{"rule":"self.all(x, x.size() < 5)","message":"short ones"},{"rule":"size(self) < 4"}]},
  "keyed":{"type":"array","maxItems":5,"x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["k"],"items":{"type":"object","required":["k"],"properties":{"k":{"type":"string","maxLength":5},"v":{"type":"integer"}},"x-kubernetes-validations":[{"rule":"self.v >= oldSelf.v","message":"grows"}]}},
  "map":{"type":"object","maxProperties":5,"additionalProperties":{"type":"integer","x-kubernetes-validations":[{"rule":"self > 0","message":"positive"}]}},
  "name":{"type":"string","maxLength":20,"x-kubernetes-validations":[{"rule":"self.startsWith('x')","message":"starts with x","reason":"FieldValueForbidden"},{"rule":"self.matches('^[a-z]+$')","messageExpression":"'not ' + self"}]},
  "once":{"type":"string","maxLength":20,"x-kubernetes-validations":[{"rule":"oldSelf.hasValue() || self == 'new'","optionalOldSelf":True,"message":"first new"}]},
  "req":{"type":"object","properties":{"p":{"type":"string","maxLength":5},"q":{"type":"string","maxLength":5}},"x-kubernetes-validations":[{"rule":"has(self.p)","fieldPath":".p","reason":"FieldValueRequired","message":"p it must be"},{"rule":"!has(self.q) || self.q != 'dup'","reason":"FieldValueDuplicate","message":"dup"}]},
  "port":{"x-kubernetes-int-or-string":True,"x-kubernetes-validations":[{"rule":"type(self) == int ? self > 5 : true","message":"port"}]},
  "fail":{"type":"integer","x-kubernetes-validations":[{"rule":"10 / self > 1"}]},
  "idx":{"type":"array","maxItems":5,"items":{"type":"integer"},"x-kubernetes-validations":[{"rule":"self[1] > 1","message":"second"}]},
  "ratio":{"type":"number","x-kubernetes-validations":[{"rule":"self > 0.5"}]}},
 "x-kubernetes-validations":[{"rule":"!has(self.a) || !has(self.b) || self.a <= self.b","message":"a to b"},{"rule":"!has(self.c__dash__d) || self.c__dash__d != 'bad'","message":"c-d"},{"rule":"!has(self.__namespace__) || self.__namespace__ != 'bad'","message":"ns"},{"rule":"has(oldSelf.b) ? has(self.b) : true","message":"b stays"}]},
 "status":{"type":"object","properties":{"phase":{"type":"string","maxLength":10}}}},
 "x-kubernetes-validations":[{"rule":"self.metadata.name.size() < 8","message":"short name"},{"rule":"!has(oldSelf.status) || !has(oldSelf.status.phase) || oldSelf.status.phase in ['', 'Pending'] || has(self.spec) == has(oldSelf.spec) && (!has(self.spec) || self.spec == oldSelf.spec)","message":"begun"}]}
cases=[]
def meta(**m): return dict({"name":"w","namespace":"n","resourceVersion":"1","uid":"u"},**m)
def ob(spec=None,status=None,**m):
    o={"apiVersion":"lab.example.com/v1","kind":"Widget","metadata":meta(**m)}
    if spec is not None: o["spec"]=spec
    if status is not None: o["status"]=status
    return o
def c(schema,spec,old=None,**k): 
    x={"schema":schema,"new":ob(spec,k.pop('nstatus',None),**k.pop('meta',{}))}
    if old is not None: x["old"]=ob(old,k.pop('ostatus',None),**k.pop('ometa',{}))
    if k.get('status'): x["status"]=True
    cases.append(x)
W=[{"size":-1},{"size":101},{"size":"x"},{"size":True},{"size":[]},{"size":{}},{"size":None},{"size":1.5},{"big":True},{"big":"1"},{"small":1.5},{"ratio":"x"},{"ratio":True},{"on":"true"},{"on":1},{"color":"pink"},{"color":1},{"color":""},{"color":None},{"code":"abcdef"},{"code":"A"},{"code":""},{"code":"abcdefG"},{"word":"a"},{"word":""},{"word":1},
 {"note":1},{"mood":None},{"limit":1.5},{"limit":{}},{"limit":None},{"when":"x"},{"when":1},{"when":[]},{"when":True},{"when":{}},{"when":"2001-01-01T00:00:00z"},{"when":"2001-01-01T24:00:00Z"},{"day":"x"},{"day":"2001-02-30"},{"day":1},{"lasting":""},{"lasting":"5"},{"lasting":"3 days"},{"lasting":"x"},{"lasting":5},{"lasting":"-1h"},{"oddly":"x"},{"oddly":1},{"blob":""},{"blob":"a"},{"blob":"MQ=="},{"blob":1},
 {"tags":["a","b","a","a"]},{"tags":"a"},{"tags":[1]},{"tags":[None]},{"tags":{}},{"steps":["a","b","c","d"]},{"steps":["a",1]},{"steps":[None,"a"]},
 {"ports":[{"port":1,"protocol":"TCP"},{"port":1,"protocol":"TCP"}]},{"ports":[{"protocol":"TCP"}]},{"ports":[{"port":70000,"protocol":"TCP"}]},{"ports":["x"]},{"ports":[None,None]},{"ports":[{"port":"x"},{"port":1,"name":5}]},
 {"pairs":{"a":1}},{"pairs":[]},{"pairs":{"a.b":None}},{"selector":"x"},{"free":[]},{"fixed":1},{"fixed":"x"*101},{"span":{"low":2,"high":1}},{"span":{"low":9,"high":1}},{"span":{"low":"x"}},{"span":[]},{"ref":{}},{"ref":{"kind":"x"}},{"ref":{"name":None}},{"made":{}},{"made":{"apiVersion":"v1"}},{"made":{"apiVersion":"","kind":""}},{"made":{"apiVersion":"a/b/c","kind":"X Y"}},{"made":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x/y","labels":{"a b":"c"}}}},{"made":{"apiVersion":1,"kind":2}},{"made":{"apiVersion":"v1","kind":"Pod","metadata":{"namespace":"A"}}},
 {"size":500,"span":{"low":2,"high":1}},{"size":"x","span":{"low":2,"high":1},"color":"pink"}]
for s in W: c("widget",s)
cases.append({"schema":"widget","new":{"apiVersion":"lab.example.com/v1","kind":"Widget","metadata":meta(),"spec":"x","data":1}})
cases.append({"schema":"widget","new":{"apiVersion":"lab.example.com/v1","kind":"Widget","metadata":meta(name="W_"),"spec":{}}})
cases.append({"schema":"widget","new":{"apiVersion":"lab.example.com/v1","kind":"Widget","metadata":meta(name="x"*254),"spec":{}}})
cases.append({"schema":"widget","new":{"apiVersion":"lab.example.com/v1","kind":"Widget","metadata":meta(name=""),"spec":{}}})
cases.append({"schema":"widget","new":{"apiVersion":"lab.example.com/v1","kind":"Widget","metadata":meta(generateName="W_"),"spec":{}}})
cases.append({"schema":"widget","new":{"apiVersion":"lab.example.com/v1","kind":"Widget","metadata":meta(namespace="N."),"spec":{}}})
cases.append({"schema":"widget","new":{"apiVersion":"lab.example.com/v1","kind":"Widget","metadata":meta(labels={"a/b/c":"-","/x":"y","a.b_c/":"ok"},annotations={"":"x"},finalizers=["a","/b","x"*64]),"spec":{}}})
cases.append({"schema":"widget","new":{"apiVersion":"lab.example.com/v1","kind":"Widget","metadata":meta(ownerReferences=[{"apiVersion":"","kind":"","name":"","uid":""},{"apiVersion":"a/b","kind":"K","name":"n","uid":"u","controller":True,"blockOwnerDeletion":False}]),"spec":{}}})
cases.append({"schema":"widget","new":{"apiVersion":"lab.example.com/v1","kind":"Widget","metadata":meta(managedFields=[{"manager":"a\u0007","operation":"X","fieldsType":"Y"}]),"spec":{}}})
U=[({"fixed":"a"},{"fixed":"a"}),({"fixed":"b"},{"fixed":"a"}),({},{"fixed":"a"}),({"fixed":"b"},{}),({"still":"b"},{"still":"a"}),({"still":"b","fixed":"b"},{"still":"a","fixed":"a"}),({"span":{"low":2,"high":1}},{"span":{"low":2,"high":1}}),({"span":{"low":3,"high":1}},{"span":{"low":2,"high":1}}),({"size":500},{"size":500}),({"size":501},{"size":500}),({"size":500,"color":"red"},{"size":500}),({"steps":["a","b","c","d"]},{"steps":["a","b","c","d"]}),({"steps":["a","b","c","e"]},{"steps":["a","b","c","d"]}),
 ({"ports":[{"port":70000,"protocol":"TCP","name":"x"}]},{"ports":[{"port":70000,"protocol":"TCP"}]}),({"ports":[{"port":70000,"protocol":"TCP"},{"port":1,"protocol":"TCP"}]},{"ports":[{"port":70000,"protocol":"TCP"}]}),({"ports":[{"port":70001,"protocol":"TCP"}]},{"ports":[{"port":70000,"protocol":"TCP"}]}),({"tags":["a","a"],"size":1},{"tags":["a","a"]}),({"tags":["a","a","b","b"]},{"tags":["a","a"]}),({"pairs":{"a":1,"b":"x"}},{"pairs":{"a":1}}),({"pairs":{"a":2}},{"pairs":{"a":1}}),({"ref":{"kind":"x"}},{"ref":{"kind":"x"}}),({"ref":{"kind":"y"}},{"ref":{"kind":"x"}}),({"made":{"kind":"X"}},{"made":{"kind":"X"}}),({"when":"x","day":"y"},{"when":"x","day":"z"}),({"free":{"a":1},"fixed":"b"},{"free":{"a":1},"fixed":"a"})]
for n,o in U: c("widget",n,o)
c("widget",{},{},meta={"uid":"v"})
c("widget",{},{},meta={"resourceVersion":""})
c("widget",{},{},meta={"name":"v","creationTimestamp":"2001-01-01T00:00:00Z"})
c("widget",{},{},meta={"finalizers":["a","b","z/y"]},ometa={"finalizers":["a"],"deletionTimestamp":"2001-01-01T00:00:00Z"})
c("widget",{},{},meta={"generation":1},ometa={"generation":2})
for ns,os in [({"phase":1},{}),({"phase":1,"count":"x"},{"phase":1}),({"conditions":[{"type":"A"},{"type":"A"}]},{}),({"conditions":[{}]},{}),("x",{}),(None,{"phase":"A"}),({"conditions":[{"type":1}]},None)]:
    cases.append({"schema":"widget","new":ob({"fixed":"a"},ns),"old":ob({"fixed":"a"},os) ,"status":True})
M=[{},{"must":1},{"must":"x","multi":7},{"must":"x","multi":10},{"must":"x","ratio":0.25},{"must":"x","ratio":2},{"must":"x","ratio":1.3},{"must":"x","excl":0},{"must":"x","excl":10},{"must":"x","list":[1]},{"must":"x","list":[1,2,3,4]},{"must":"x","list":[1,10]},{"must":"x","nest":[[{"a":"x"},{}],[{"a":"z"}],"q"]},{"must":"x","map":{"a":{},"b":{"k":"x"},"c":{"k":1}}},{"must":"x","enums":4},{"must":"x","enums":1.5},{"must":"x","mixed":2},{"must":"x","mixed":"b"},{"must":"x","mixed":{"b":1}},{"must":"x","mixed":[1]},{"must":"x","nul":None},{"must":"x","nul":"c"},{"must":"x","any":{}},{"must":"x","any":{"a":1,"b":1}},{"must":"x","one":{}},{"must":"x","one":{"a":1,"b":1}},{"must":"x","one":{"a":"s"}},{"must":"x","all":3},{"must":"x","all":11},{"must":"x","all":7},{"must":"x","not":7},{"must":"x","not":3},{"must":"x","port":"A"},{"must":"x","port":True},{"must":"x","port":5},{"must":"x","uuid":"x"},{"must":"x","ip":"1.2.3"},{"must":"x","ip":"::1"},{"must":"x","cidr":"1.2.3.4/33"},{"must":"x","whens":["x",1]},{"must":"x","when":["x"]},{"must":"x","code":"1"},{"must":"x","code":"12345"},{"must":"x","code":"ab"},{"must":"x","uni":"äöü"},{"must":"x","uni":"äö"},{"must":"x","set":[1,2,1]},{"must":"x","keyed":[{"k":"a"},{"k":"a","v":1}]},{"must":"x","keyed":[{"v":1},{"v":2}]},{"must":"x","free":{"k":"x","z":1}},{"must":"x","multi":5,"all":6,"not":1,"enums":1,"uni":"a"}]
for s in M: c("more",s)
c("more",{"must":"x"},meta={"name":"toolong"})
MU=[({"must":"x","keyed":[{"k":"a","v":10},{"k":"b","v":10}]},{"must":"x","keyed":[{"k":"b","v":10},{"k":"a","v":10}]}),({"must":"x","keyed":[{"k":"a","v":11}]},{"must":"x","keyed":[{"k":"a","v":10}]}),({"must":"y","nest":[["q"]]},{"must":"x","nest":[["q"]]}),({"must":"x","any":{}},{"must":"x","any":{}}),({"must":"x","all":3},{"must":"x","all":3}),({"must":"x","map":{"a":{}}},{"must":"y","map":{"a":{}}}),({"must":"x","free":{"k":"x","z":1}},{"must":"x","free":{"k":"x","z":1}}),({"must":"x","free":{"k":"x","z":2}},{"must":"x","free":{"k":"x","z":1}})]
for n,o in MU: c("more",n,o)
R=[{"a":2,"b":1},{"c-d":"bad"},{"namespace":"bad"},{"list":["toolong","b"]},{"list":["a","b","c","d"]},{"map":{"a":0,"b":1,"c":-1}},{"name":"abc"},{"name":"x1"},{"name":"X1"},{"once":"old"},{"once":"new"},{"req":{}},{"req":{"p":"x","q":"dup"}},{"port":5},{"port":"x"},{"port":6},{"fail":0},{"fail":20},{"idx":[1]},{"idx":[1,1]},{"ratio":0.5},{"ratio":1},{"ratio":0.75},{"a":"x","name":"abc"}]
for s in R: c("rules",s)
c("rules",{"a":1},meta={"name":"muchtoolong"})
RU=[({"keyed":[{"k":"a","v":1}]},{"keyed":[{"k":"a","v":2}]}),({"keyed":[{"k":"b","v":1},{"k":"a","v":3}]},{"keyed":[{"k":"a","v":2}]}),({"a":1},{"a":1,"b":1}),({"once":"any"},{"once":"x"}),({"once":"any"},{}),({"name":"abc","a":1},{"name":"abc"}),({"map":{"a":0,"b":0}},{"map":{"a":0}}),({"a":2,"b":1},{"a":2,"b":1})]
for n,o in RU: c("rules",n,o)
cases.append({"schema":"rules","new":ob({"a":2}),"old":ob({"a":1},{"phase":"Running"})})
cases.append({"schema":"rules","new":ob({"a":2},{"phase":"Running"}),"old":ob({"a":1},{"phase":"Pending"})})
cases.append({"schema":"rules","new":ob({"a":1},{"phase":"Done"}),"old":ob({"a":1},{"phase":"Running"}),"status":True})
def crd(schema,**k):
    v={"name":"v1","served":True,"storage":True,"schema":{"openAPIV3Schema":schema}}
    v.update(k.pop('version',{}))
    spec={"group":"example.com","scope":"Namespaced","names":{"plural":"xs","singular":"x","kind":"X","listKind":"XList"},"versions":[v]+k.pop('more',[])}
    for p,val in k.items(): spec[p]=val
    cases.append({"crd":{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"xs."+spec["group"]},"spec":spec}})
o=lambda **p:{"type":"object","properties":p}
crd({"type":"object"}); crd({}); crd({"type":"string"}); crd({"properties":{}}); crd(o(spec={}),); crd(o(spec={"type":"strin"})); crd(o(spec={"type":"array"})); crd(o(spec={"type":"array","items":{}}))
crd({"type":"object","additionalProperties":True}); crd(o(spec={"type":"object","additionalProperties":{"type":"string"},"properties":{"a":{"type":"string"}}}))
crd(o(metadata={"type":"object","properties":{"labels":{"type":"object"}}})); crd(o(metadata={"type":"string"})); crd(o(kind={"type":"integer"}))
crd(o(spec={"type":"string","pattern":"a"})); crd(o(spec={"type":"string","default":1})); crd(o(spec={"type":"object","default":{"a":1}})); crd(o(spec={"type":"object","properties":{"a":{"type":"integer","maximum":5,"default":9}}}))
crd(o(spec={"type":"array","items":{"type":"string"},"x-kubernetes-list-type":"bag"})); crd(o(spec={"type":"array","items":{"type":"object"},"x-kubernetes-list-type":"map"})); crd(o(spec={"type":"array","items":{"type":"object","properties":{"a":{"type":"string"}}},"x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["a","b","a"]}))
crd(o(spec={"type":"array","items":{"type":"object"},"x-kubernetes-list-type":"set"})); crd(o(spec={"type":"string","x-kubernetes-list-type":"set"})); crd(o(spec={"type":"string","x-kubernetes-map-type":"atomic"})); crd(o(spec={"type":"array","items":{"type":"string"},"x-kubernetes-list-map-keys":["a"]}))
crd(o(spec={"type":"object","x-kubernetes-preserve-unknown-fields":False})); crd(o(spec={"x-kubernetes-int-or-string":True,"x-kubernetes-preserve-unknown-fields":True})); crd(o(spec={"x-kubernetes-embedded-resource":True})); crd(o(spec={"type":"object","x-kubernetes-embedded-resource":True}))
crd(o(spec={"type":"object","anyOf":[{"properties":{"a":{"type":"string"}}}]})); crd(o(spec={"type":"object","properties":{"a":{"type":"string"}},"anyOf":[{"properties":{"a":{"type":"string","default":"x","nullable":True}}}]})); crd(o(spec={"type":"object","properties":{"a":{"type":"array","items":{"type":"string"}}},"allOf":[{"properties":{"a":{"items":{"minLength":1}},"b":{"minimum":1}}},{"not":{"properties":{"c":{}}}}]}))
crd(o(spec={"type":"array","items":{"type":"string"},"uniqueItems":True})); crd(o(spec={"type":"object","nullable":True})); crd(o(apiVersion={"type":"string","default":"x"},spec={"type":"object"}))
crd(o(spec={"type":"object","x-kubernetes-validations":[{"rule":""},{"rule":"true","message":" "},{"rule":"true","message":"a\nb"},{"rule":"true ||\nfalse"},{"rule":"true","messageExpression":" "},{"rule":"true","reason":"Bad"},{"rule":"true","fieldPath":" "},{"rule":"true","fieldPath":".nope"}]}))
crd(o(spec={"type":"array","maxItems":2,"items":{"type":"string","maxLength":5,"x-kubernetes-validations":[{"rule":"self == oldSelf"}]}})); crd(o(spec={"type":"string","maxLength":5,"x-kubernetes-validations":[{"rule":"self == ''","optionalOldSelf":True}]}))
ok=o(spec={"type":"object","properties":{"a":{"type":"string"},"b":{"type":"object"}}})
crd(ok,group=""); crd(ok,group="nodots"); crd(ok,group="Bad.com"); crd(ok,scope=""); crd(ok,scope="World"); crd(ok,names={"plural":"Xs","singular":"x","kind":"x y","listKind":"XList","shortNames":["A"],"categories":["B."]}); crd(ok,names={"plural":"xs","singular":"x","kind":"X","listKind":"X"}); crd(ok,names={"plural":"","kind":""})
crd(ok,version={"name":"V1"}); crd(ok,version={"storage":False}); crd(ok,version={"deprecationWarning":"x"}); crd(ok,version={"deprecated":True,"deprecationWarning":""}); crd(ok,version={"schema":None})
crd(ok,version={"additionalPrinterColumns":[{"name":"","type":"int","jsonPath":"spec.a","format":"x"},{"name":"A","type":"","jsonPath":""}]})
crd(ok,version={"selectableFields":[{"jsonPath":".spec.a"},{"jsonPath":".spec.b"},{"jsonPath":".spec.z"},{"jsonPath":"spec.a"},{"jsonPath":".spec.a"},{"jsonPath":""},{"jsonPath":".metadata.name"}]})
crd(ok,more=[{"name":"v1","served":True,"storage":False,"schema":{"openAPIV3Schema":ok}}]); crd(ok,more=[{"name":"v2","served":True,"storage":True,"schema":{"openAPIV3Schema":ok}}]); crd(ok,more=[{"name":"v2","served":True,"storage":False,"schema":{"openAPIV3Schema":o(spec={})}}]); crd(o(spec={}),more=[{"name":"v2","served":True,"storage":False,"schema":{"openAPIV3Schema":o(spec={})}}])
crd(ok,preserveUnknownFields=True); crd(ok,conversion={"strategy":"Magic"}); 
crd(o(spec={"type":"object"},**{}),version={"subresources":{"status":{}}}); crd({"type":"object","nullable":True},version={"subresources":{"status":{}}})
json.dump({"schemas":{"widget":widget,"more":more,"rules":rules},"cases":cases},sys.stdout)
