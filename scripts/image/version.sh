#!/bin/bash
# Prints what this checkout calls itself: the version of Cargo.toml and the commit, with + when files differ from it.
cd "$(dirname "$0")/../.." || exit 1
v=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
c=$(git -c safe.directory='*' rev-parse --short=10 HEAD 2> /dev/null) || c=unknown
[ -z "$(git -c safe.directory='*' status --porcelain 2> /dev/null)" ] || c=$c+
echo "$v-$c"
