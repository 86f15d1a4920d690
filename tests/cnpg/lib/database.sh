# shellcheck shell=bash
# PostgreSQL databases of the test, by the name of their application.

cluster_field() { k get cluster.postgresql.cnpg.io "postgres-$1" -n "$NAMESPACE" -o "jsonpath={$2}"; }
uid_of() { cluster_field "$1" .metadata.uid; }

# healthy APPLICATION: the operator says so, and PostgreSQL answers; what the operator says may be from before.
healthy() {
  [[ $(cluster_field "$1" .status.phase) == 'Cluster in healthy state' ]] && sql "$1" 'select 1' >/dev/null
}

# sql APPLICATION STATEMENT: as the superuser, in the primary. Prints bare rows.
sql() {
  local primary
  primary=$(cluster_field "$1" .status.currentPrimary)
  k exec -n "$NAMESPACE" "$primary" -c postgres -- psql -U postgres -d app -v ON_ERROR_STOP=1 -Atqc "$2"
}

# rows APPLICATION: what is in the table, as "a 1000, b 500"; "no table" without one.
rows() {
  if [[ $(sql "$1" "select to_regclass('deeds') is null") == t ]]; then echo "no table"; return; fi
  sql "$1" "select string_agg(w || ' ' || n, ', ' order by w) from (select w, count(*) n from deeds group by w) c"
}

# add APPLICATION WORD NUMBER: rows that say WORD.
add() { sql "$1" "set client_min_messages to warning; create table if not exists deeds (w text); insert into deeds select '$2' from generate_series(1, $3)"; }

must_have() {
  local found
  found=$(rows "$1")
  [[ $found == "$2" ]] || die "application $1 has the rows \"$found\" and should have \"$2\""
  echo "rows of $1: $found"
}

# archived APPLICATION: returns when all that was written is in the store. A recovery to a time needs the transaction
# that follows it there.
archived() {
  local file
  file=$(sql "$1" 'select pg_walfile_name(pg_switch_wal())')
  # shellcheck disable=SC2317 # called by name
  reached() { [[ $(sql "$1" "select last_archived_wal >= '$2' from pg_stat_archiver") == t ]]; }
  wait_for 120 "WAL file $file of $1 in the archive" reached "$1" "$file"
}

# deploy APPLICATION YAML-OF-SPEC: and returns when it is healthy, without rows.
deploy() {
  k apply -n "$NAMESPACE" -f - >/dev/null <<YAML
apiVersion: apps.cozystack.io/v1alpha1
kind: Postgres
metadata: {name: $1}
spec: $2
YAML
  wait_for 240 "application $1 to be healthy" healthy "$1"
  sql "$1" 'set client_min_messages to warning; drop table if exists deeds'
  echo "application $1: healthy, Cluster $(uid_of "$1")"
}
