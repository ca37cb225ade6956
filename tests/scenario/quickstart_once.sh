#!/usr/bin/env bash
# The second command of the README, as a user runs it: without a model the
# moments are quoted, with one an answer is generated; both end with nothing
# left behind.  A left-running station is found again and stopped.
# limit_s: 240
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

before=$(find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'hearth-quickstart.*' | wc -l)
left_behind() {
	expect 'state left behind' "$(find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'hearth-quickstart.*' | wc -l)" "$before"
}

# Without a model.  models/ may hold one on a developer's machine: look elsewhere.
mkdir "$T/clone"
cp -a deploy Makefile common compute-node data-node proto "$T/clone/"
# What is built already need not be built again.
mkdir -p "$T/clone/build"
for part in obj gen libcommon.a libcompute.a libdata.a compute-node data-node; do
	[ ! -e "build/$part" ] || cp -a "build/$part" "$T/clone/build/"
done
quickstart=$T/clone/deploy/quickstart
"$quickstart" --once >"$T/none.out" 2>"$T/none.err" || fail "--once without a model: $(tail -qn 5 "$T/none.out" "$T/none.err")"
grep -qi 'ofelia' "$T/none.out" || fail "the answer does not know the lunch place: $(cat "$T/none.out")"
grep -qi 'lentil' "$T/none.out" || fail 'the answer does not know the soup'
grep -q 'deploy/get-model' "$T/none.out" || fail 'it does not say how to get a model'
left_behind

# With a model.
tiny_model "$T/tiny.gguf" --seed 3 --ctx 4096
HEARTH_MODEL=$T/tiny.gguf "$quickstart" --once >"$T/with.out" 2>"$T/with.err" || fail "--once with a model: $(tail -qn 5 "$T/with.out" "$T/with.err")"
grep -q 'compute-node serves tiny.gguf' "$T/with.out" || fail 'the model was not served'
grep -q 'deploy/get-model' "$T/with.out" && fail 'it offers a model although there is one'
grep -qi 'ofelia' "$T/with.out" || fail 'no sources'
left_behind
code=0
HEARTH_MODEL=$T/none.gguf "$quickstart" --once >"$T/x" 2>&1 || code=$?
[ $code != 0 ] || fail 'a missing model went unnoticed'

# Left running: twice is the same as once; the question can be another one.
export HEARTH_QUICKSTART_DIR=$T/state
"$quickstart" >"$T/run1" 2>&1 || fail "quickstart: $(tail -qn 5 "$T/run1")"
token=$(sed -n 's/^ *token *//p' "$T/run1")
page=$(sed -n 's/^ *page *//p' "$T/run1")
PID[left]=$(cat "$T/state/data.pid")
expect 'the page' "$(curl -sS -o /dev/null -w '%{http_code}' "$page")" 200
count() {
	curl -sS -H "Authorization: Bearer $token" "${page}api/v1/events?from=2026-11-18T00:00:00Z&to=2026-11-21T00:00:00Z&limit=10000" |
		jq '[.events[] | select(.source != "hearth" and (.layer != "text" or .kind != "answer"))] | length'
}
events=$(count)
"$quickstart" --ask 'When is the appointment with Papa on 20 November?' >"$T/run2" 2>&1 || fail "quickstart again: $(tail -qn 5 "$T/run2")"
grep -qi 'half past nine\|9:30' "$T/run2" || fail "it does not know the appointment: $(cat "$T/run2")"
expect 'events after loading twice' "$(count)" "$events"
"$quickstart" --stop >/dev/null
gone left || fail '--stop did not stop it'
unset 'PID[left]'
"$quickstart" --stop >/dev/null || fail '--stop of nothing'
