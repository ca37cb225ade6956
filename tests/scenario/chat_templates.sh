#!/usr/bin/env bash
# Chat templates against python3-jinja2: every published template at hand on
# every chat of tests/golden/templates, and every snippet, byte for byte; a
# chat that the oracle refuses must be refused.
# limit_s: 180
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
build=${HEARTH_BUILD:-build}
python3 -c 'import jinja2' 2>/dev/null || {
	echo "python3-jinja2 is not installed"
	exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chats=tests/golden/templates
compared=0 failed=0

compare() { # TEMPLATE CHAT NAME
	local oracle code
	python3 tests/support/render_jinja.py "$1" "$2" >"$work/expected" 2>"$work/expected.err"
	oracle=$?
	"$build/tests/tools/compute_template" "$1" "$2" >"$work/got" 2>"$work/got.err"
	code=$?
	compared=$((compared + 1))
	if [ $oracle = 0 ]; then
		[ $code = 0 ] && cmp -s "$work/expected" "$work/got" && return
	elif grep -q '^Traceback' "$work/expected.err"; then
		return # the oracle itself broke on it: no judge
	elif [ $code = 1 ]; then
		return
	fi
	failed=$((failed + 1))
	echo "differs: $3 (oracle exit $oracle, ours $code)"
	cat "$work/got.err"
	diff "$work/expected" "$work/got" | head -10
}

for chat in "$chats"/*.json; do
	for template in ../shared/data/templates/*.jinja; do
		[ -f "$template" ] && compare "$template" "$chat" "${template##*/} on ${chat##*/}"
	done
done
awk -v dir="$work" 'BEGIN { n = 0; file = sprintf("%s/snippet%02d.jinja", dir, n) }
	/^====$/ { n++; file = sprintf("%s/snippet%02d.jinja", dir, n); next }
	{ print > file }' "$chats/snippets.txt"
for snippet in "$work"/snippet*.jinja; do
	compare "$snippet" "$chats/system_user.json" "$(head -1 "$snippet")"
done
echo "$compared renders compared, $failed differ"
[ $failed = 0 ] && [ $compared -gt 25 ]
