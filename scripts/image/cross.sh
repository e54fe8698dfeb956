#!/bin/bash
# Cross-compiles oobd and oobctl for arm64 in the builder tree. usage: cross.sh OUT_DIR PROFILE ; needs BUILDER.
# Every checkout has a target folder of its own: cargo knows the crate of a workspace by its path inside it, so that two
# checkouts in one folder would take each other's results for their own. A new one starts with the compiled dependencies
# of another.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
out=$(readlink -f "$1"); profile=$2; target=aarch64-unknown-linux-gnu
all=$OOBD_CACHE/cargo-$(basename "$(dirname "$BUILDER")" | sed 's/^builder-//')
dir=$all/$(printf %s "$REPO" | sha256sum | cut -c1-12)
mkdir -p "$all" "${CARGO_HOME:-$HOME/.cargo}"
seed() { # called under the lock
  local from; from=$(find "$all" -mindepth 1 -maxdepth 1 -type d ! -name '*.part' -printf '%T@ %p\n' | sort -rn | head -n 1 | cut -d' ' -f2-)
  rm -rf "$dir.part"
  if [ -n "$from" ]; then
    say "cross: dependencies from another checkout"
    # Under the lock of its build, so that nothing is half written; what is of the crate itself stays behind.
    flock "$from/.building" cp -a "$from" "$dir.part"
    find "$dir.part" \( -path '*/.fingerprint/oobd-*' -o -path '*/deps/*oobd*' -o -path '*/build/oobd-*' -o -path '*/incremental/*' \) -prune -exec rm -rf {} +
  else mkdir "$dir.part"; fi
  printf '%s\n' "$REPO" > "$dir.part/checkout"
  mv "$dir.part" "$dir"
  # Clones come and go; what one that is gone compiled is of no more use.
  for from in "$all"/*/; do [ ! -f "$from/checkout" ] || [ -d "$(cat "$from/checkout")" ] || rm -rf "$from"; done
}
exec 9> "$all/.lock"; flock 9
[ -d "$dir" ] || seed
touch "$dir"
flock -u 9
exec 7> "$dir/.building"; flock 7
# Smaller, at no cost in speed: addresses to be filled in at start packed (a tenth of a megabyte and more for a program
# at any address), equal functions kept once. GNU ld packs for no arm64 and folds nothing.
flags="-Clink-arg=-fuse-ld=lld -Clink-arg=-Wl,--icf=all,-O2,-z,pack-relative-relocs"
# libssl is the image's own (src/tls/legacy.rs): shared, and named, for pkg-config looks among the libraries for amd64.
say "cross: cargo build for arm64, profile $profile"
cd "$REPO"
in_builder env CARGO_TARGET_DIR="$dir" CARGO_TERM_COLOR=never \
  CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc PKG_CONFIG_ALLOW_CROSS=1 \
  CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS="$flags" CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc AR_aarch64_unknown_linux_gnu=aarch64-linux-gnu-ar \
  AARCH64_UNKNOWN_LINUX_GNU_OPENSSL_LIB_DIR=/usr/lib/aarch64-linux-gnu AARCH64_UNKNOWN_LINUX_GNU_OPENSSL_INCLUDE_DIR=/usr/include OPENSSL_STATIC=0 \
  cargo build --profile "$profile" --locked --bins --target "$target" >&2
for b in oobd oobctl; do install -m755 "$dir/$target/$profile/$b" "$out/$b"; done
say "cross: done"
