#!/bin/bash
# Nothing of this board's own in the root: one root serves every board.
exec "$(dirname "$0")/../common/post-build.sh" "$@"
