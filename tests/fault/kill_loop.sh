#!/usr/bin/env bash
# kill -9 loop on the store: CYCLES (default 600) children killed in mid-append;
# after each, acknowledged is stored, nothing twice, verify clean.  Then a fifth
# as many in the middle of uploads: acknowledged blobs are whole, what no event
# refers to is swept.  And as many in the middle of forgetting: all of it is gone
# or nothing, and no key is left.
#
#   tests/fault/kill_loop.sh [CYCLES]
# limit_s: 300
set -euo pipefail
cd "$(dirname "$0")/../.."
cycles=${1:-600}
run() { # NAME CYCLES
	local program=${B:-build}/tests/unit/data-node/store/$1
	[ -x "$program" ] || make -s "$program"
	HEARTH_KILL_CYCLES=$2 "$program"
}
run test_store_crash "$cycles"
run test_store_blob_crash $(((cycles + 4) / 5))
run test_store_forget $(((cycles + 4) / 5))
