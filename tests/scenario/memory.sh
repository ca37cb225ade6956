#!/usr/bin/env bash
# What a process holds beside the mapped file is what `plan` said, and no more
# than a fixed part for itself.  HEARTH_MEMORY_MODEL=FILE and
# HEARTH_MEMORY_CONTEXT=N measure a real one.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

case $HEARTH_BUILD in *sanitize*) skip 'sanitizers keep memory of their own' ;; esac
own_kib=8192 # libraries and their data
model=${HEARTH_MEMORY_MODEL:-}
context=${HEARTH_MEMORY_CONTEXT:-1024}
if [ -z "$model" ]; then
	model=$T/m.gguf
	slow_model "$model"
fi
prompt=$(printf 'word %.0s' {1..200})

planned_kib() { # FLAGS...: all but the weights
	"$COMPUTE" plan "$model" --context $context --json "$@" >"$T/plan"
	jq '(.cache_bytes + .scratch_bytes + .message_bytes) / 1024 | floor' "$T/plan"
}
anon_kib() { # PID
	sed -n 's/^RssAnon:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$1/status" 2>/dev/null || true
}
within() { # WHAT KIB PLANNED
	echo "$1: $2 KiB anonymous, $3 planned"
	[ "$2" -le $(($3 + own_kib)) ] || fail "$1 holds $2 KiB, $3 were planned"
}

# run: the most that was seen while it ran.
planned=$(planned_kib)
"$COMPUTE" run "$model" --context $context -p "$prompt" -n 24 --temp 0 >"$T/text" &
pid=$!
most=0
while kill -0 $pid 2>/dev/null; do
	now=$(anon_kib $pid)
	[ "${now:-0}" -le $most ] || most=$now
done
wait $pid || fail 'run failed'
[ $most -gt 0 ] || fail 'run was not seen'
within run $most "$planned"

# serve: four sequences, after an answer on each.
planned=$(planned_kib --parallel 4)
data_init
compute_init box
pair box
compute_start box "$model" --context $context --parallel 4
data_start
name=$(basename "$model" .gguf)
wait_for_model "$name"
for i in 1 2 3 4; do
	post_json /v1/completions \
		"{\"model\":\"$name\",\"prompt\":\"$i $prompt\",\"max_tokens\":4}" >"$T/answer.$i" &
	asks[i]=$!
done
for i in 1 2 3 4; do
	wait "${asks[i]}" || fail "answer $i"
done
within serve "$(($(anon_kib "${PID[box]}") + $(anon_kib "$(worker_of box)")))" "$planned"
