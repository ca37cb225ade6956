#!/usr/bin/env bash
# kill -9 loop on the store: CYCLES (default 1000) children killed in mid-append;
# after each, acknowledged is stored, nothing twice, verify clean.  Then as many
# in the middle of forgetting: all of it is gone or nothing, and no key is left.
#
#   tests/fault/kill_loop.sh [CYCLES]
# limit_s: 600
set -euo pipefail
cd "$(dirname "$0")/../.."
for name in test_store_crash test_store_forget; do
	test_bin=${B:-build}/tests/unit/data-node/store/$name
	[ -x "$test_bin" ] || make -s "$test_bin"
	HEARTH_KILL_CYCLES=${1:-1000} "$test_bin"
done
