# Makes what a container sees, in namespaces of its own, and holds it until its standard input ends.
# usage: setup BASE IMAGE NAME (host|image) (ro|rw) DIRECTORY COMMAND PATHS [OPERATION...]; says "ready", or why it cannot be.
set -eu
base=$1 image=$2 name=$3 kind=$4 writable=$5 directory=$6 command=$7 paths=$8
shift 8
root=$base/root layers=$base/layers count=0 shut=
mkdir -p "$root" "$layers"
hostname "$name" 2> /dev/null || echo "$name" > /proc/sys/kernel/hostname
mount -t tmpfs -o mode=755 tmpfs "$root"
mount -t tmpfs -o mode=755 tmpfs "$layers"

# shut PATH: what is mounted there is not to be written any more, with its other options as they are.
shut() {
  options=$(findmnt -fnro VFS-OPTIONS -M "$1")
  mount -o "remount,bind,ro${options#r?}" "$1"
}

# shut_all PATH: nor is what is mounted below it.
shut_all() {
  findmnt -Rnro TARGET -M "$1" | while read -r below; do shut "$(printf '%b' "$below")"; done
}

# layer FOLDER PATH: a folder with a layer of the container's own over it; if that cannot be, it is not to be written.
layer() {
  count=$((count + 1))
  mkdir -p "$2" "$layers/$count/upper" "$layers/$count/work"
  if mount -t overlay overlay -o "lowerdir=$1,upperdir=$layers/$count/upper,workdir=$layers/$count/work,userxattr" "$2" 2> /dev/null
  then shut="$shut $2"
  else mount --rbind "$1" "$2" && shut_all "$2"
  fi
}

# copy THING FOLDER: a link, file or folder under the same name elsewhere.
copy() {
  if [ -h "$1" ]; then cp -P "$1" "$2/"
  elif [ -d "$1" ]; then mkdir -p "$2/${1##*/}" && mount --rbind "$1" "$2/${1##*/}"
  elif [ -e "$1" ]; then : > "$2/${1##*/}" && mount --bind "$1" "$2/${1##*/}"
  fi
}

# mirror FOLDER: a folder of the container's own in its place, with what was in it.
mirror() {
  count=$((count + 1))
  mkdir "$layers/$count"
  for thing in "$1"/* "$1"/.[!.]*; do copy "$thing" "$layers/$count"; done
  mount --rbind "$layers/$count" "$1"
}

# resolve PATH: the path within the root that it stands for, in $at, links followed as the container follows them.
resolve() {
  left=$1 at='' links=0
  while [ -n "$left" ]; do
    part=${left%%/*}
    case $left in */*) left=${left#*/} ;; *) left='' ;; esac
    case $part in '' | .) continue ;; ..) at=${at%/*}; continue ;; esac
    if [ -h "$root$at/$part" ] && [ "$links" -lt 40 ]; then
      links=$((links + 1))
      to=$(readlink "$root$at/$part")
      case $to in /*) at='' ;; esac
      left=$to${left:+/$left}
    else
      at=$at/$part
    fi
  done
}

# point PATH FOLDER: makes sure that there is such a folder.
point() {
  [ ! -d "$root$1" ] || return 0
  ! mkdir -p "$root$1" 2> /dev/null || return 0
  above=$1
  until [ -d "$root$above" ]; do above=${above%/*}; done
  mirror "$root$above"
  mkdir -p "$root$1"
}

# bind SOURCE PATH (ro|rw): a folder or file of a volume.
bind() {
  resolve "$2"
  target=$at
  if [ -d "$1" ]; then point "$target"
  elif [ ! -e "$root$target" ]; then
    point "${target%/*}"
    true 2> /dev/null > "$root$target" || { mirror "$root${target%/*}"; : > "$root$target"; }
  fi
  mount --bind "$1" "$root$target"
  [ "$3" = rw ] || shut "$root$target"
}

for thing in "$image"/* "$image"/.[!.]*; do
  case $kind/${thing##*/} in
  */proc | */sys | */dev | */tmp | host/root | host/home | host/run | host/lost+found) continue ;;
  esac
  if [ -d "$thing" ] && [ ! -h "$thing" ]; then
    layer "$thing" "$root/${thing##*/}"
  else
    copy "$thing" "$root"
    if [ -f "$thing" ] && [ ! -h "$thing" ]; then shut "$root/${thing##*/}"; fi
  fi
done
mkdir -p "$root/proc" "$root/sys" "$root/dev/pts" "$root/run" "$root/home"
mkdir -m 1777 "$root/tmp" "$root/dev/shm"
[ -d "$root/root" ] || mkdir -m 700 "$root/root"
mount --rbind /sys "$root/sys" && shut "$root/sys"
for device in null zero full random urandom; do copy "/dev/$device" "$root/dev"; done
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"
ln -s fd/1 "$root/dev/stdout"
ln -s fd/2 "$root/dev/stderr"
if [ "$kind" = host ] && [ -d "$root${base%/pods/*}" ]; then mount -t tmpfs tmpfs "$root${base%/pods/*}"; fi
while [ $# -gt 0 ]; do bind "$1" "$2" "$3"; shift 3; done
resolve "$directory"
point "$at"
if [ "$writable" = ro ]; then for path in $shut "$root"; do shut "$path"; done; fi

# Whether there is such a command, in the words of a container runtime.
# shellcheck disable=SC2016 # The words of a container runtime.
found='executable file not found in $PATH'
case $command in
/*) resolve "$command"; paths='' found="stat $command: no such file or directory" ;;
*/*) resolve "$directory/$command"; paths='' found="stat $command: no such file or directory" ;;
esac
if [ -n "$paths" ]; then
  left_paths=$paths:
  while [ -n "$left_paths" ]; do
    resolve "${left_paths%%:*}/$command"
    left_paths=${left_paths#*:}
    if [ -f "$root$at" ] && [ -x "$root$at" ]; then found=; break; fi
  done
elif [ -d "$root$at" ]; then found='is a directory'
elif [ -x "$root$at" ]; then found=
elif [ -e "$root$at" ]; then found='permission denied'
fi
if [ -n "$found" ]; then
  echo "exec: \"$command\": $found"
  exit 0
fi
echo ready

# The container's process is to end when the node does.
read -r process || exit 0
cat > /dev/null
kill -9 "$process"
