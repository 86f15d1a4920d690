# shellcheck shell=bash
# Runs: what they say while they go on, how they end, and what they cost the API server.

field_of() { k get "$1" "$2" -n "$NAMESPACE" -o "jsonpath={$3}"; }

# follow KIND NAME SECONDS: until the run has ended; prints what is new in what it says, with the seconds since it began.
# Sets $phase and $took.
follow() {
  local kind=$1 name=$2 limit=$3 begun=$EPOCHREALTIME seen=$'\n' line
  while :; do
    phase=$(field_of "$kind" "$name" .status.phase)
    while read -r line; do
      [[ -n $line && $line != Reconciling=* && $seen != *$'\n'"$line"$'\n'* ]] || continue
      seen+=$line$'\n'
      printf '  %6.1f s  %s\n' "$(elapsed "$begun")" "$(cut -c 1-200 <<<"$line")"
    done < <(field_of "$kind" "$name" '.status.phase}{"\n"}{range .status.conditions[*]}{.type}={.status} {.reason}: {.message}{"\n"}{end')
    took=$(printf '%.1f' "$(elapsed "$begun")")
    [[ $phase != @(Succeeded|Failed) ]] || return 0
    awk -v took="$took" -v limit="$limit" 'BEGIN {exit !(took + 0 < limit + 0)}' || die "$kind $name has not ended after $limit s"
    sleep 0.5
  done
}

elapsed() { awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN {print to - from}'; }

# backup NAME APPLICATION: and it must succeed. One of that name goes first: a story can be told again.
backup() {
  local from
  k delete backupjobs,backups.backups.cozystack.io "$1" -n "$NAMESPACE" --ignore-not-found --wait --timeout=60s >/dev/null
  from=$(audited)
  k apply -n "$NAMESPACE" -f - >/dev/null <<YAML
apiVersion: backups.cozystack.io/v1alpha1
kind: BackupJob
metadata: {name: $1}
spec: {backupClassName: archive, applicationRef: {kind: Postgres, name: $2}}
YAML
  follow backupjob "$1" 600
  [[ $phase == Succeeded ]] || die "backup $1 ended $phase: $(field_of backupjob "$1" .status.message)"
  measured backup "$1" "$from"
}

# restore NAME BACKUP [TARGET] [OPTIONS]: only follows it; the caller looks at $phase.
restore() {
  local target=${3:+"targetApplicationRef: {apiGroup: apps.cozystack.io, kind: Postgres, name: $3}"} from
  k delete restorejob "$1" -n "$NAMESPACE" --ignore-not-found --wait --timeout=60s >/dev/null
  from=$(audited)
  k apply -n "$NAMESPACE" -f - >/dev/null <<YAML
apiVersion: backups.cozystack.io/v1alpha1
kind: RestoreJob
metadata: {name: $1}
spec:
  backupRef: {name: $2}
  ${target:-}
  options: ${4:-"{}"}
YAML
  follow restorejob "$1" 900
  measured restore "$1" "$from"
}

must_succeed() {
  [[ $phase == Succeeded ]] || die "$1 ended $phase: $(field_of restorejob "$1" .status.message)"
}

# must_refuse RESTORE APPLICATION UID ROWS WORDS: it failed and said why, and the database is the same with the same rows.
must_refuse() {
  local message
  [[ $phase == Failed ]] || die "$1 ended $phase and should have failed"
  message=$(field_of restorejob "$1" .status.message)
  echo "message: $message"
  grep -qiE "$5" <<<"$message" || die "the message of $1 does not say $5"
  [[ $(uid_of "$2") == "$3" ]] || die "the Cluster of $2 is another one"
  [[ $(k get helmrelease "postgres-$2" -n "$NAMESPACE" -o 'jsonpath={.spec.suspend}') != true ]] || die "the release of $2 is suspended"
  must_have "$2" "$4"
}

# What each run took: printed at the end.
SUMMARY=

# measured KIND NAME FROM
measured() {
  local requests
  requests=$(count_requests "$3")
  echo "$1 $2: $phase after $took s; requests: $requests; the reference, at least: $(reference "$1")"
  SUMMARY+=$(printf '%-24s %-9s %6s s   %-52s %s' "$1 $2" "$phase" "$took" "$requests" "$(reference "$1")")$'\n'
}

# reference KIND: what the Go implementation asks for in the same time, computed from what it does every 5 s and not
# measured. In a backup it applies ObjectStore and Cluster in each pass, and writes once each the operator's Backup, the
# Backup, the start, Running and the end. In a restore it reads the release in each pass, and writes it, the application,
# Cluster and volume once or more, and four times the status. Its reads of other kinds come from caches that hold all of
# the cluster's objects.
reference() {
  awk -v took="$took" -v kind="$1" -v phase="$phase" 'BEGIN {
    passes = int(took / 5) + 1
    if (phase != "Succeeded") print "-"
    else if (kind == "backup") printf "0 reads, %d writes", 2 * passes + 5
    else printf "%d reads, 9 writes", passes
  }'
}

# audited: the number of requests so far.
audited() { wc -l <"$STATE/audit.log"; }

# count_requests FROM: reads and writes of the controller since then, its own and as the component. A watch is one
# request that goes on.
count_requests() {
  tail -n "+$(($1 + 1))" "$STATE/audit.log" | awk '
    match($0, /"verb":"[a-z]+"/) {
      verb = substr($0, RSTART + 8, RLENGTH - 9)
      if (verb == "watch") next
      kind = (verb == "get" || verb == "list") ? "reads" : "writes"
      count[kind]++
      if (/"impersonatedUser"/) as[kind]++
    }
    END {printf "%d reads (%d as the component), %d writes (%d)", count["reads"], as["reads"], count["writes"], as["writes"]}'
}
