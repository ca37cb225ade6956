#!/usr/bin/env bash
# Two models that do not fit together on one compute node: both are listed, questions to
# either are answered in turn as on nodes of their own, and the plan never passes the
# budget.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

tiny_model "$T/ada.gguf" --seed 3
tiny_model "$T/bob.gguf" --seed 4 --layers 3
plan() { # FILE FIELD
	"$COMPUTE" plan "$1" --parallel 4 --threads 2 --adapter-space 0 --json | jq ".$2"
}
ada=$(plan "$T/ada.gguf" total_bytes) bob=$(plan "$T/bob.gguf" total_bytes)
# beside bob: ada's vocabulary, and the blocks for messages of its four sequences
budget=$((bob + 200000 + 4 * 75000))
[ $budget -ge $((ada + 500000)) ] && [ $budget -lt $((ada + bob)) ] || fail "plans of $ada and $bob"

data_init
compute_init box
pair box
compute_start box "$T/ada.gguf" --model "$T/bob.gguf" --budget $budget --parallel 4 --threads 2 --adapter-space 0
log_has box FLEET-ABSENT 'model=bob' || fail 'bob is there at once'
data_start
wait_for_model ada
wait_for_model bob
for round in 1 2 3; do
	for name in ada bob; do
		"$COMPUTE" run "$T/$name.gguf" -p "day $round" -n 12 --temp 0 --min-p 0 --top-k 0 --top-p 1 >"$T/alone"
		post_json /v1/completions "{\"model\":\"$name\",\"prompt\":\"day $round\",\"max_tokens\":12,\"temperature\":0}" |
			jq -rj '.choices[0].text' >"$T/text"
		expect "$name, round $round" "$(cat "$T/text")" "$(cat "$T/alone")"
	done
done
# Both at once.
pids=()
for i in 1 2 3 4; do
	name=ada
	[ $((i % 2)) = 1 ] || name=bob
	mkdir "$T/$i" # post_json keeps the body in $T
	(T=$T/$i post_json /v1/completions "{\"model\":\"$name\",\"prompt\":\"at once\",\"max_tokens\":30,\"temperature\":0}") >"$T/$i.json" &
	pids+=($!)
done
for i in 1 2 3 4; do
	wait "${pids[i - 1]}" || fail 'an answer that did not come'
	jq -e '.choices[0].text' "$T/$i.json" >/dev/null || fail "$i, at once: $(cat "$T/$i.json")"
done
[ "$(count_in_log box SERVE-MODEL-IN)" -ge 5 ] || fail 'the models did not change places'
grep -o 'planned_bytes=[0-9]*' "$T/box.log" | while IFS='=' read -r _ bytes; do
	[ "$bytes" -le $budget ] || fail "a plan of $bytes in a budget of $budget"
done || exit 1
node_stop box
