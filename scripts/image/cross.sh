#!/bin/bash
# Cross-compiles oobd and oobctl for arm64 in the builder tree. usage: cross.sh OUT_DIR ; needs BUILDER.
# The checkout is seen at its own path, so that clones sharing the cache never take each other's crate for their own, while
# compiled dependencies are shared.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
out=$(readlink -f "$1"); target=aarch64-unknown-linux-gnu
dir=$OOBD_CACHE/cross-$(basename "$(dirname "$BUILDER")" | sed 's/^builder-//')
mkdir -p "$dir" "${CARGO_HOME:-$HOME/.cargo}"
exec 9> "$OOBD_CACHE/.cross.lock"
flock -n 9 || { say "cross: another clone is compiling, waiting"; flock 9; }
say "cross: cargo build for arm64"
cd "$REPO"
[ -n "${OOBD_VERSION:-}" ] || OOBD_VERSION=$("$REPO/scripts/image/version.sh")
in_builder env CARGO_TARGET_DIR="$dir" CARGO_TERM_COLOR=never OOBD_VERSION="$OOBD_VERSION" \
  CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc PKG_CONFIG_ALLOW_CROSS=1 \
  CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc AR_aarch64_unknown_linux_gnu=aarch64-linux-gnu-ar \
  cargo build --release --locked --bins --target "$target" >&2
for b in oobd oobctl; do install -m755 "$dir/$target/release/$b" "$out/$b"; done
say "cross: done"
