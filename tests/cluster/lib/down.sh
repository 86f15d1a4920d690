# shellcheck shell=bash
# Stopping a cluster, whatever state it is in.

down() {
  if uses_given_cluster; then check_given_cluster; return; fi
  require_root
  lock "$NAME"
  remove_cluster
  say "cluster $NAME is gone"
}

# Everything that a cluster may have left; nothing of it needs to be there.
remove_cluster() {
  destroy_namespaces
  remove_cgroups
  # Its mounts went with its namespace; if one were left in this one, nothing below it may be deleted.
  rm -rf --one-file-system "$STATE"
}
