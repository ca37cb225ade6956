#!/usr/bin/env bash
# The one rule: after real work a canary of the person's data is found nowhere
# in the compute node's directory, nor in any log, nor readable in the data
# node's own directory; the compute node's files have not changed.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

canary=zanzibarquokka
tiny_model "$T/tiny.gguf" --seed 3 --ctx 2048
data_init
compute_init box
pair box
fingerprint() {
	(cd "$T/box" && find . -printf '%p %m %s %T@\n' | sort && find . -type f -exec sha256sum {} + | sort)
}
compute_start box "$T/tiny.gguf"
fingerprint >"$T/before"
open_for_writing() { # descriptors of the node that can write to a regular file
	local fd flags
	for fd in "/proc/${PID[box]}/fd/"* "/proc/$(worker_of box)/fd/"*; do
		[ -f "$(readlink "$fd")" ] || continue
		flags=$(awk '/^flags:/ { print $2 }' "${fd/\/fd\//\/fdinfo\/}" 2>/dev/null || echo 0)
		[ $((8#${flags:-0} & 3)) = 0 ] || readlink "$fd"
	done
}
case $HEARTH_BUILD in
*sanitize*) ;; # cannot be confined
*)
	confined=$(grep -E '^(NoNewPrivs|Seccomp):' "/proc/$(worker_of box)/status" | tr -d '\n\t')
	expect 'how the worker is confined' "$confined" 'NoNewPrivs:1Seccomp:2'
	;;
esac
data_start
wait_for_model tiny
for i in $(seq 20); do
	printf '{"source":"phone","id":"k%d","layer":"text","kind":"note","start":"2026-11-19T10:%02d:00Z","text":"the %s number %d","data":{"secret":"%s"}}\n' \
		"$i" "$i" "$canary" "$i" "$canary"
done >"$T/notes.ndjson"
send_events "$T/notes.ndjson" >/dev/null
for stream in true false; do
	post_json /v1/chat/completions "{\"model\":\"hearth\",\"stream\":$stream,\"max_tokens\":8,\"messages\":[{\"role\":\"user\",\"content\":\"What about the $canary on 19 November 2026?\"}]}" >"$T/answer"
done
grep -q "$canary" "$T/answer" || fail 'the canary did not reach an answer, so nothing was tested'
status_of POST /v1/chat/completions --data-binary "{\"model\":\"$canary\",\"messages\":5}" >/dev/null
status_of GET "/api/v1/search?q=$canary&k=bad" >/dev/null
printf '{"source":"s","layer":"%s","kind":"note","start":1}' "$canary" | status_of POST /api/v1/events --data-binary @- >/dev/null

open_for_writing | grep -v '\.log$\|\.out$' | grep . && fail 'the compute node has a file open for writing'
fingerprint >"$T/after"
cmp "$T/before" "$T/after" || fail 'files of the compute node changed'
node_stop data
node_stop box
fingerprint | cmp "$T/before" - || fail 'files of the compute node changed at its end'
grep -rlaF "$canary" "$T/box" "$T/data" "$T"/*.log "$T"/*.out && fail 'the canary rests where it must not'
# Bytes of UTF-16, or reversed, would be as bad; the raw search is for all files.
grep -rlaE 'z.a.n.z.i.b.a.r' "$T/box" "$T/data" && fail 'the canary rests in another encoding'
data_start
api GET "/api/v1/search?q=$canary" | jq -e '.results | length > 0' >/dev/null || fail 'and it is not even found by its owner'
