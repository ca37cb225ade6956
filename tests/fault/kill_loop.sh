#!/usr/bin/env bash
# kill -9 loop on the store: CYCLES (default 1000) children killed in mid-append;
# after each, acknowledged is stored, nothing twice, verify clean.
#
#   tests/fault/kill_loop.sh [CYCLES]
# limit_s: 600
set -euo pipefail
cd "$(dirname "$0")/../.."
test_bin=${B:-build}/tests/unit/data-node/store/test_store_crash
[ -x "$test_bin" ] || make -s "$test_bin"
HEARTH_KILL_CYCLES=${1:-1000} exec "$test_bin"
