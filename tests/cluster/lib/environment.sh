# shellcheck shell=bash
# What programs that are not ours are started with: "${FOREIGN[@]}" [NAME=value…] PROGRAM ARGS…
#
# Such a program may take a variable of ours for its own: debootstrap reads plain words such as COMPONENTS. So it gets only
# what a machine says to all programs (paths, proxies, certificates) and what the caller says to the program by its prefix.
FOREIGN=(env)
for name in $(compgen -e); do
  case $name in
    HOME | PATH | PWD | SHELL | USER | LOGNAME | LANG | LC_* | TERM | TZ | TMPDIR | XDG_* | NETRC | SSH_*) ;;
    *_proxy | *_PROXY | *_CERT | *_CERT_* | *_CA_*) ;;
    GO* | GIT_* | PIP_* | PYTHON* | PYENV_*) ;;
    *) FOREIGN+=(-u "$name") ;;
  esac
done
unset name
readonly -a FOREIGN
