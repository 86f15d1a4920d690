#!/usr/bin/env python3
"""Writes objects of built-in kinds, for kinds.go."""
import copy, json, sys
V={"Job":"batch/v1","ControllerRevision":"apps/v1","Lease":"coordination.k8s.io/v1","Event":"events.k8s.io/v1","Role":"rbac.authorization.k8s.io/v1","RoleBinding":"rbac.authorization.k8s.io/v1"}
cases=[]
def ob(kind,body,**m):
    o={"apiVersion":V.get(kind,"v1"),"kind":kind,"metadata":{"name":"x","namespace":"n","uid":"u","resourceVersion":"1","creationTimestamp":"2001-01-01T00:00:00Z"}}
    if kind=="Namespace": del o["metadata"]["namespace"]
    o["metadata"].update(m); o.update(copy.deepcopy(body)); return o
def group(kind): return V.get(kind,"v1").rpartition("/")[0]
def new(kind,body,**m): cases.append({"group":group(kind),"kind":kind,"new":ob(kind,body,**m)})
def upd(kind,n,o,status=False,nm={},om={}):
    c={"group":group(kind),"kind":kind,"new":ob(kind,n,**nm),"old":ob(kind,o,**om)}
    if status: c["status"]=True
    cases.append(c)
C={"name":"main","image":"lab"}
P={"restartPolicy":"Never","containers":[C]}
def pod(**k): p=copy.deepcopy(P); p.update(k); return p
def con(**k): c=dict(C); c.update(k); return pod(containers=[c])
def job(pod=P,meta=None,**k):
    t={"spec":pod}
    if meta: t["metadata"]=meta
    s={"template":t}; s.update(k); return {"spec":s}
J=[job(),job(meta={"labels":{"a":"b"}}),job(meta={"labels":{"a":"b"},"annotations":{"c":"d"}}),job(completions=3),job(parallelism=2),job(completionMode="Indexed",completions=2,backoffLimitPerIndex=1),job(completionMode="Indexed"),job(completionMode="Indexed",completions=2,maxFailedIndexes=3,backoffLimitPerIndex=1),job(maxFailedIndexes=1),job(backoffLimitPerIndex=1),
 job(podFailurePolicy={"rules":[{"action":"FailJob","onExitCodes":{"operator":"In","values":[3,1,1],"containerName":"nope"}},{"action":"Count","onPodConditions":[{"type":"DisruptionTarget"}]},{"action":"","onExitCodes":{"operator":"","values":[]}},{"action":"FailIndex"},{"action":"Ignore","onExitCodes":{"operator":"NotIn","values":[0]},"onPodConditions":[{"type":"a b","status":"Maybe"}]}]}),
 job(podReplacementPolicy="TerminatingOrFailed",podFailurePolicy={"rules":[{"action":"Count","onPodConditions":[{"type":"X","status":"True"}]}]}),job(podReplacementPolicy="Failed"),job(successPolicy={"rules":[{"succeededCount":1}]}),
 job(meta={"labels":{"job-name":"other","controller-uid":"z"}}),job(manualSelector=True,selector={"matchLabels":{"a":"b"}},meta={"labels":{"a":"b"}}),job(manualSelector=True),job(selector={"matchExpressions":[{"key":"a","operator":"In","values":[]},{"key":"b c","operator":"Is"},{"key":"d","operator":"Exists","values":["x"]}]}),
 job(managedBy="x"*70+".com/y"),job(managedBy="a b/c"),job(managedBy=""),job(managedBy="a.b/c d"),job(activeDeadlineSeconds=0,ttlSecondsAfterFinished=0,suspend=True,backoffLimit=0),
 job(pod(restartPolicy="Sometimes")),job(pod(dnsPolicy="Magic")),job(pod(containers=[C,C])),job(pod(initContainers=[C])),job(pod(initContainers=[{"name":"i","image":"i","livenessProbe":{"exec":{"command":["a"]}},"lifecycle":{"preStop":{"exec":{"command":["a"]}}}}])),job(pod(nodeSelector={"a b":"c d"})),job(pod(serviceAccountName="A_")),job(pod(activeDeadlineSeconds=0)),job(pod(hostname="A.b",subdomain="-")),job(pod(nodeName="A_")),
 job(con(ports=[{"containerPort":0},{"containerPort":70000,"name":"TOO--LONG-for-a-name-"},{"containerPort":80,"name":"a","protocol":"X"},{"containerPort":81,"name":"a","hostPort":-1}])),job(con(env=[{"name":""},{"name":"A=B"},{"name":"ok","value":"x","valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}},{"name":"e","valueFrom":{}},{"name":"f","valueFrom":{"secretKeyRef":{"name":"S_","key":"a b"},"configMapKeyRef":{"name":"c","key":""}}},{"name":"g","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}])),
 job(con(volumeMounts=[{"name":"v","mountPath":"/a"},{"name":"nope","mountPath":""},{"name":"v","mountPath":"/a","subPath":"../x"},{"name":"","mountPath":"/b","subPath":"/x","subPathExpr":"y"}])|{} if False else pod(volumes=[{"name":"v","emptyDir":{}}],containers=[dict(C,volumeMounts=[{"name":"v","mountPath":"/a"},{"name":"nope","mountPath":""},{"name":"v","mountPath":"/a","subPath":"../x"},{"name":"","mountPath":"/b","subPath":"/x","subPathExpr":"y"}])])),
 job(pod(volumes=[{"name":"v"},{"name":"v","emptyDir":{}},{"name":"V_","secret":{"secretName":""}},{"name":"","configMap":{"name":"","defaultMode":9999}},{"name":"t","emptyDir":{},"hostPath":{"path":"/x"}},{"name":"p","persistentVolumeClaim":{"claimName":""}},{"name":"i","secret":{"secretName":"s","items":[{"key":"","path":"../x"},{"key":"k","path":"..x","mode":-1},{"key":"k","path":"/abs"}]}}])),
 job(con(imagePullPolicy="Maybe",terminationMessagePolicy="X")),job(con(image="lab:1.0")),job(con(image="host:5000/lab")),job(con(image="lab@sha256:"+"a"*64)),job(con(resources={"requests":{"cpu":"2","memory":"1Gi","x.io/gpu":"1","foo":"1","storage":"1","a b":"1"},"limits":{"cpu":"1","memory":"512Mi","x.io/gpu":"2"}})),job(con(resources={"requests":{"cpu":"-1"},"limits":{"ephemeral-storage":"1Gi"}})),job(con(resources={"requests":{"cpu":"0.5","memory":"1.5Gi"},"limits":{"cpu":"1000m","memory":"2048Mi"}})),
 job(con(securityContext={"runAsUser":-1,"privileged":True,"allowPrivilegeEscalation":False})),job(con(livenessProbe={"httpGet":{"port":80}},lifecycle={"preStop":{"httpGet":{"port":"x"}}})),job(pod(containers=[{"name":"","image":""}])),job(pod(hostNetwork=True,tolerations=[{"key":"a","operator":"Exists"}])),job(pod(volumes=[{"name":"t","projected":{"sources":[{"serviceAccountToken":{"path":"t"}}]}},{"name":"d","downwardAPI":{"items":[{"path":"l","fieldRef":{"fieldPath":"metadata.labels"}}]}},{"name":"s","secret":{"secretName":"s"}},{"name":"h","hostPath":{"path":"/"}},{"name":"c","configMap":{"name":"c"}}])),job(pod(ephemeralContainers=[{"name":"e","image":"e"}])),
 job(pod(terminationGracePeriodSeconds=0,automountServiceAccountToken=False,enableServiceLinks=False,priorityClassName="p",imagePullSecrets=[{"name":"s"}],securityContext={"runAsUser":1,"fsGroup":2})),{"spec":{"template":{"spec":{}}}},{}]
for j in J: new("Job",j)
new("Job",job(),name="A_b",labels={"a b":"c"},finalizers=["x","y/z"])
new("Job",job(completionMode="Indexed",completions=10),name="x"*63)
new("Job",job(),labels={"mine":"1"})
L={"batch.kubernetes.io/controller-uid":"u","batch.kubernetes.io/job-name":"x","controller-uid":"u","job-name":"x"}
def live(p=P,**k):
    meta=k.pop("meta",{}); status=k.pop("status",None)
    b=job(p,meta=dict({"labels":L},**meta),selector={"matchLabels":{"batch.kubernetes.io/controller-uid":"u"}},**k)
    if status is not None: b["status"]=status
    return b
JU=[(live(),live()),(live(con(image="other")),live()),(live(con(image="other",command=["a"],env=[{"name":"A","value":"b"}],resources={"limits":{"cpu":"1"}},volumeMounts=[{"name":"v","mountPath":"/v"}])|{"volumes":[{"name":"v","secret":{"secretName":"s"}}],"hostNetwork":True,"tolerations":[{"key":"k","operator":"Exists","tolerationSeconds":5}],"nodeSelector":{"a":"b"},"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"k","operator":"In","values":["v"]}]}]}}}}),live()),(live(completions=5),live()),(live(completions=5,parallelism=5,completionMode="Indexed"),live(completions=2,parallelism=2,completionMode="Indexed")),(live(completions=5,parallelism=3,completionMode="Indexed"),live(completions=2,parallelism=2,completionMode="Indexed")),(live(completionMode="Indexed",completions=1),live()),(live(parallelism=5,backoffLimit=3,suspend=True,ttlSecondsAfterFinished=5,activeDeadlineSeconds=5),live()),(live(managedBy="a.b/c"),live()),(live(managedBy="a.b/c"),live(managedBy="a.b/d")),(live(podFailurePolicy={"rules":[{"action":"FailJob","onExitCodes":{"operator":"In","values":[1]}}]},podReplacementPolicy="Failed"),live()),(live(parallelism=-1),live()),(live(pod(nodeSelector={"a":"b"})),live(suspend=True)),(live(pod(nodeSelector={"a":"b"}),suspend=True),live(suspend=True)),(live(pod(nodeSelector={"a":"b"}),suspend=True),live(suspend=True,status={"startTime":"2001-01-01T00:00:00Z"})),(live(meta={"annotations":{"a":"b"}}),live(suspend=True)),(live(backoffLimitPerIndex=1,completionMode="Indexed",completions=1),live(completionMode="Indexed",completions=1))]
for n,o in JU: upd("Job",n,o)
upd("Job",dict(live(),spec=dict(live()["spec"],selector={"matchLabels":{"a":"b"}})),live())
upd("Job",live(),live(),nm={"labels":{"a b":"c"},"finalizers":["x"]})
upd("Job",live(),live(),nm={"uid":"v"})
T="2001-01-01T00:0%d:00Z"
def cond(*t): return [{"type":x.strip("-"),"status":"False" if x.startswith("-") else "True"} for x in t]
S=[({"conditions":cond("Complete"),"completionTime":T%2,"startTime":T%1},{}),({"conditions":cond("SuccessCriteriaMet","Complete"),"completionTime":T%2,"startTime":T%1},{}),({"conditions":cond("SuccessCriteriaMet","Complete")},{}),({"conditions":cond("Failed")},{}),({"conditions":cond("FailureTarget","Failed"),"startTime":T%1},{}),({"conditions":cond("FailureTarget","Failed","SuccessCriteriaMet","Complete"),"startTime":T%3,"completionTime":T%2,"active":1,"terminating":2,"ready":2},{}),({"failed":1,"succeeded":1},{"failed":2,"succeeded":2}),({"active":-1,"ready":5},{}),({"startTime":T%2},{"startTime":T%1}),({},{"startTime":T%1}),({"conditions":cond("-Failed")},{"conditions":cond("FailureTarget","Failed"),"startTime":T%1}),({"conditions":cond("Complete"),"completionTime":T%4,"startTime":T%1},{"conditions":cond("Complete","SuccessCriteriaMet"),"completionTime":T%2,"startTime":T%1}),({"conditions":cond("Suspended")},{}),({"completionTime":T%1},{})]
for n,o in S: upd("Job",live(status=n),live(status=o),status=True)
PO=[{"spec":P},{"spec":dict(P,restartPolicy="Always")},{"spec":{"containers":[C]}},{"spec":con(resources={"limits":{"cpu":"1"}})},{"spec":con(resources={"limits":{"cpu":"1","memory":"1Gi"}})},{"spec":dict(con(ports=[{"containerPort":80}]),hostNetwork=True)},{"spec":{}},{"spec":pod(ephemeralContainers=[{"name":"e","image":"e"}])},{}]
for p in PO: new("Pod",p)
PL={"containers":[dict(C,terminationMessagePath="/dev/termination-log",terminationMessagePolicy="File",imagePullPolicy="Always",resources={})],"restartPolicy":"Never","dnsPolicy":"ClusterFirst","schedulerName":"s","securityContext":{},"terminationGracePeriodSeconds":30,"enableServiceLinks":True}
def pl(**k): p=copy.deepcopy(PL); p.update(k); return {"spec":p,"status":{"phase":"Pending","qosClass":"BestEffort"}}
upd("Pod",pl(),pl()); upd("Pod",pl(),pl(),nm={"labels":{"a":"b"}}); upd("Pod",pl(containers=[dict(PL["containers"][0],image="new")]),pl()); upd("Pod",pl(containers=[dict(PL["containers"][0],image="")]),pl()); upd("Pod",pl(containers=PL["containers"]*2),pl()); upd("Pod",pl(activeDeadlineSeconds=5),pl())
PS=dict(pl(),status={"phase":"Running","qosClass":"BestEffort","conditions":[{"type":"Ready","status":"True"},{"type":"a b","status":"Maybe"}],"containerStatuses":[{"name":"nope","state":{"running":{}}}]})
upd("Pod",PS,pl(),status=True); upd("Pod",dict(pl(),status={"phase":"Odd","qosClass":"Burstable"}),pl(),status=True)
SE=[{},{"data":{"a":"MQ=="}},{"stringData":{"a":"1"},"data":{"a":"Mg==","b":""}},{"data":{"a b":"MQ==",".":"","..":"","..x":""}},{"type":"kubernetes.io/tls"},{"type":"kubernetes.io/dockerconfigjson","data":{".dockerconfigjson":"e30="}},{"type":"kubernetes.io/dockercfg"},{"type":"kubernetes.io/basic-auth"},{"type":"kubernetes.io/ssh-auth"},{"type":"kubernetes.io/service-account-token"},{"type":"my/own"},{"immutable":True}]
for s in SE: new("Secret",s)
new("Secret",{},name="A",finalizers=["foregroundDeletion","orphan"],annotations={"a b":""})
SU=[({"data":{"a":"Mg=="}},{"data":{"a":"MQ=="}}),({"type":"x"},{"type":"y"}),({"data":{"a":"Mg=="}},{"immutable":True,"data":{"a":"MQ=="}}),({"immutable":True,"data":{"a":"MQ=="}},{"immutable":True,"data":{"a":"MQ=="}}),({},{"type":"y"})]
for n,o in SU: upd("Secret",n,o)
upd("Secret",{},{},nm={"labels":{"a":"b c"},"name":"y","finalizers":["x"]},om={"deletionTimestamp":"2001-01-01T00:00:00Z","deletionGracePeriodSeconds":0})
CM=[{},{"data":{"a":"b"}},{"data":{}},{"data":{"a b":"x","c":"d"},"binaryData":{"c":"MQ=="}},{"immutable":True}]
for s in CM: new("ConfigMap",s)
upd("ConfigMap",{"data":{"a":"c"},"binaryData":{"x":"MQ=="}},{"immutable":True,"data":{"a":"b"}})
for s in [{},{"spec":{"finalizers":["a"]}},{"spec":{"finalizers":["kubernetes","a/b"]}}]: new("Namespace",s)
new("Namespace",{},name="a.b"); new("Namespace",{},name="x"*64); new("Namespace",{},namespace="n")
upd("Namespace",{"spec":{"finalizers":[]},"status":{"phase":"Active"}},{"spec":{"finalizers":["kubernetes"]},"status":{"phase":"Active"}},nm={"labels":{"a":"b"}})
upd("Namespace",{"status":{"phase":"Terminating"}},{"status":{"phase":"Active"}},status=True)
for s in [{},{"automountServiceAccountToken":False,"secrets":[{"name":"s"}]}]: new("ServiceAccount",s)
PV=[{},{"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}},{"spec":{"accessModes":["Odd","ReadWriteOncePod"],"resources":{"requests":{"storage":"0"}},"storageClassName":"A_","volumeMode":"X"}},{"spec":{"accessModes":["ReadWriteOnce"],"storageClassName":"","resources":{"requests":{"storage":"1Gi"}},"selector":{"matchLabels":{"a b":"c"}},"dataSource":{"kind":"X","name":""}}}]
for s in PV: new("PersistentVolumeClaim",s)
for s in [{"spec":{"holderIdentity":"a"}},{"spec":{"leaseDurationSeconds":0,"leaseTransitions":-1}},{"spec":{"strategy":"X","preferredHolder":"a"}},{"spec":{"preferredHolder":"a"}},{"spec":{"strategy":"OldestEmulationVersion"}},{},{"spec":{"holderIdentity":"","renewTime":"2001-01-01T00:00:00.000000Z"}}]: new("Lease",s)
upd("Lease",{"spec":{"leaseTransitions":-1}},{},nm={"labels":{"a":" "}})
for s in [{"revision":1,"data":{"a":1}},{"revision":-1},{"revision":1,"data":"x"},{"data":[]},{"revision":1,"data":None}]: new("ControllerRevision",s)
upd("ControllerRevision",{"revision":2,"data":{"a":1}},{"revision":1,"data":{"a":1}}); upd("ControllerRevision",{"revision":-2,"data":{"a":2}},{"revision":1,"data":{"a":1}}); upd("ControllerRevision",{"revision":2},{"revision":1,"data":{"a":1}},nm={"labels":{"a":"b c"}})
E={"eventTime":"2001-01-01T00:00:00.000000Z","reportingController":"a.b/c","reportingInstance":"i","action":"act","reason":"r","type":"Normal","regarding":{"kind":"Pod","namespace":"n","name":"p"},"note":"hi"}
for s in [E,{},dict(E,type="Odd"),dict(E,reportingController="a b",reportingInstance="x"*129,action="",reason="x"*129,note="x"*1025),dict(E,series={"count":1}),dict(E,deprecatedCount=1,deprecatedSource={"component":"c"},deprecatedFirstTimestamp="2001-01-01T00:00:00Z",deprecatedLastTimestamp="2001-01-01T00:00:00Z"),dict(E,regarding={"kind":"Node","name":"x"}),{k:v for k,v in E.items() if k!="eventTime"}]: new("Event",s)
upd("Event",dict(E,series={"count":2,"lastObservedTime":"2001-01-01T00:00:00.000000Z"}),E); upd("Event",dict(E,note="ho",reason="s",action="b",type="Warning",regarding={"kind":"Pod","namespace":"n","name":"q"},related={"kind":"X","name":"y"},reportingController="d",reportingInstance="j",eventTime="2002-01-01T00:00:00.000000Z"),E); upd("Event",dict(E,series={"count":1}),E); upd("Event",E,E,nm={"labels":{"a":"b"}})
O={"reason":"r","type":"Normal","involvedObject":{"kind":"Pod","namespace":"n","name":"p"},"message":"hi","count":1,"firstTimestamp":"2001-01-01T00:00:00Z","lastTimestamp":"2001-01-01T00:00:00Z","source":{"component":"c"}}
T={"eventTime":"2001-01-01T00:00:00.000000Z"}
for s in [O,{},dict(O,involvedObject={"kind":"Node","name":"x"}),dict(O,**T),dict(O,**T,reportingComponent="a b",reportingInstance="x"*129,action="",message="x"*1025),dict(O,**T,reportingComponent="a",reportingInstance="x",action="act")]:
    new("Event",s); cases[-1]["group"]=""; cases[-1]["new"]["apiVersion"]="v1"
upd("Event",dict(O,count=2,message="ho"),O); cases[-1]["group"]=""; cases[-1]["new"]["apiVersion"]=cases[-1]["old"]["apiVersion"]="v1"
for s in [{"rules":[]},{"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]},{"rules":[{"verbs":[]},{"verbs":["get"],"nonResourceURLs":["/x"]},{"verbs":["get"],"nonResourceURLs":["/x"],"resources":["y"]},{"verbs":["get"],"apiGroups":["a"]}]}]: new("Role",s)
new("Role",{},name="a:b"); new("Role",{},name="a/b"); new("Role",{},name="..")
RB={"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"r"},"subjects":[{"kind":"ServiceAccount","name":"s","namespace":"n"},{"kind":"User","name":"u"}]}
for s in [RB,{},dict(RB,roleRef={"kind":"Thing","name":"a/b","apiGroup":"x"}),dict(RB,subjects=[{"kind":"User","name":"","apiGroup":"y"},{"kind":"Odd","name":"x"},{"kind":"ServiceAccount","name":"A_","namespace":"n"},{"kind":"ServiceAccount","name":"a"}])]: new("RoleBinding",s)
upd("RoleBinding",dict(RB,roleRef={"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"r"}),RB)
for s in [{"spec":{"limits":[{"type":"Container","max":{"cpu":"2"},"min":{"cpu":"100m"},"default":{"memory":"1Gi"}}]}},{"spec":{"limits":[]}}]: new("LimitRange",s)
json.dump({"cases":cases},sys.stdout)
