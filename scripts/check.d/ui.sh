#!/bin/bash
# Types, format and lint of the web page. Brings the packages that scripts/build-ui uses, and the build with its budgets.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
said=$(scripts/build-ui 2>&1) || { echo "$said"; exit 1; }
cd ui
npx --no-install tsc
npx --no-install biome check --error-on-warnings --colors=off src vite.config.ts
tail -n 1 <<< "$said" | sed 's/^.*ui: //'
