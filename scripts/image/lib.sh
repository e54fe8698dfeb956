# Shared by scripts/setup, scripts/build-image and scripts/image/*: progress lines, the shared cache, the Debian mirror.
# Sourced, never run.

# Fixed time stamp of everything in an image, so that two builds of the same inputs are equal byte for byte.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1794700800}
export LC_ALL=C.UTF-8
# One start for the whole chain, also across the scripts it calls.
export OOBD_T0=${OOBD_T0:-$(date +%s)}
export OOBD_CACHE=${OOBD_CACHE:-$HOME/.cache/oobd}
REPO=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../..")

say() { printf '[%4ds] %s\n' "$(($(date +%s) - OOBD_T0))" "$*" >&2; }
die() { say "error: $*"; exit 1; }

# mirror LABEL FALLBACK_OF: base address of the Debian archive this machine itself uses (LABEL: Debian or Debian-Security).
mirror() {
  apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    awk -v l="$1" '$1 == l { sub("/+$", "", $2); print $2; exit }'
}
find_mirrors() {
  DEBIAN_MIRROR=${DEBIAN_MIRROR:-$(mirror Debian)}
  DEBIAN_SECURITY_MIRROR=${DEBIAN_SECURITY_MIRROR:-$(mirror Debian-Security)}
  [ -n "$DEBIAN_MIRROR" ] || die "no Debian archive among this machine's apt sources (run apt-get update, or set DEBIAN_MIRROR)"
  [ -n "$DEBIAN_SECURITY_MIRROR" ] || die "no Debian security archive among this machine's apt sources (or set DEBIAN_SECURITY_MIRROR)"
}

# Sources and options of every tree we make from Debian packages.
debian_sources() {
  local k=signed-by=/usr/share/keyrings/debian-archive-keyring.gpg
  printf 'deb [%s] %s %s\n' "$k" "$DEBIAN_MIRROR" 'trixie main contrib non-free-firmware' \
    "$k" "$DEBIAN_MIRROR" 'trixie-updates main' "$k" "$DEBIAN_MIRROR" 'trixie-backports main' \
    "$k" "$DEBIAN_SECURITY_MIRROR" 'trixie-security main'
}
APT_OPTIONS=(--aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Retries "3"')
for p in man doc locale info lintian bash-completion gcc zoneinfo/right; do APT_OPTIONS+=("--dpkgopt=path-exclude=/usr/share/$p/*"); done
# An archive that is a frozen copy has Release files past their date; whoever uses one says so in the apt configuration.
for o in Acquire::Check-Valid-Until Acquire::Check-Date; do
  [ "$(apt-config dump "$o" | sed -n 's/.*"\(.*\)";/\1/p')" != false ] || APT_OPTIONS+=("--aptopt=$o \"false\"")
done

# What every tree made of packages depends on; --refresh changes the date, and so makes all of them anew.
debian_key() { declare -f debian_sources; echo "${APT_OPTIONS[*]}"; cat "$OOBD_CACHE/debian-date" 2> /dev/null || true; }

# key ARG...: 12 hex digits over the arguments; a file counts with its path in the tree and content, a folder with all its files.
key() {
  local a
  for a in "$@"; do
    if [ -d "$a" ]; then (cd "$a" && find . \( -type f -o -type l \) -printf '%m %p %l\n' | sort && find . -type f -print0 | sort -z | xargs -0r sha256sum)
    elif [ -f "$a" ]; then sha256sum < "$a"
    else printf '%s\n' "$a"; fi
  done | sha256sum | cut -c1-12
}

# cached NAME KEY COMMAND...: prints the folder CACHE/NAME-KEY; made once by COMMAND, which gets an empty folder as its last
# argument. Other clones wait on the lock; a build that was cut off leaves only a .part folder, swept by the next one.
# Never call it left of `||` or in a condition: that would switch off `set -e` inside COMMAND.
cached() {
  local name=$1 dir="$OOBD_CACHE/$1-$2"; shift 2
  mkdir -p "$OOBD_CACHE"
  (
    flock 9
    if [ ! -d "$dir" ]; then
      t=$(date +%s); say "$name: building"
      trap '[ $? = 0 ] || say "$name: failed"' EXIT
      rm -rf --one-file-system "$dir.part"; mkdir "$dir.part"; chmod 755 "$dir.part"
      "$@" "$dir.part" >&2
      mv "$dir.part" "$dir"; say "$name: done in $(($(date +%s) - t)) s"
    else say "$name: cached"; fi
  ) 9> "$OOBD_CACHE/.$name.lock"
  touch "$dir"; printf '%s\n' "$dir"
}

# in_builder COMMAND...: run inside the builder tree ($BUILDER) with the checkout and the cache at their own paths, in the
# current folder. Mounts live in a private namespace and vanish with the command.
in_builder() {
  unshare -m --propagation private bash -euc '
    b=$1 repo=$2 cache=$3 here=$4; shift 4
    # First: the checkout may lie below it.
    mount -t tmpfs -o mode=1777 tmp "$b/tmp"
    for d in "$repo" "$cache" "${CARGO_HOME:-$HOME/.cargo}"; do
      mkdir -p "$d" "$b$d"; mount --rbind "$d" "$b$d"
    done
    mount -t proc proc "$b/proc"; mount --rbind /dev "$b/dev"
    for f in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt; do
      [ -e "$f" ] && [ -e "$b$f" ] && mount --bind "$(readlink -f "$f")" "$b$f"
    done
    exec chroot "$b" env -C "$here" HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TMPDIR=/tmp LC_ALL=C.UTF-8 \
      CARGO_HOME="${CARGO_HOME:-$HOME/.cargo}" \
      E2FSCK_TIME="$SOURCE_DATE_EPOCH" E2FSPROGS_FAKE_TIME="$SOURCE_DATE_EPOCH" "$@"
  ' sh "${BUILDER:?}" "$REPO" "$OOBD_CACHE" "$PWD" "$@"
}
