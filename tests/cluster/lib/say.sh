# shellcheck shell=bash
# Messages. They go to standard error: standard output carries only what a caller asked for.

# Prints a line with the seconds since the script started.
say() {
  printf '[%3d s] %s\n' "$SECONDS" "$*" >&2
}

# Prints an error and ends the script.
die() {
  printf 'cluster: %s\n' "$*" >&2
  exit 1
}

# show_tail FILE LINES: the end of a log, indented, so that a failure can be read where it is reported.
show_tail() {
  printf '  last lines of %s:\n' "$1" >&2
  tail -n "$2" "$1" 2>/dev/null | cut -c 1-400 | sed 's/^/    /' >&2
}

# before DEADLINE: whether the deadline, in $SECONDS, is still ahead.
before() {
  ((SECONDS < $1))
}
