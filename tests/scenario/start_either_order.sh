#!/usr/bin/env bash
# The nodes may start in either order; the link comes up by itself.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

tiny_model "$T/tiny.gguf" --seed 3
data_init
compute_init box
pair box

question='{"model":"tiny","prompt":"the day","max_tokens":8,"temperature":0}'

# The data node first: it answers, and finds the compute node when that comes.
data_start
expect 'completion without a compute node' "$(status_of POST /v1/completions --data-binary "$question")" 503
compute_start box "$T/tiny.gguf"
wait_for_model tiny
wait_until 10 'the link is told' log_has data COMPUTE-UP name=box
first=$(post_json /v1/completions "$question" | jq -r '.choices[0].text')
node_stop box
wait_until 10 'its loss is told' log_has data COMPUTE-DOWN name=box
node_stop data

# The compute node first.
compute_start box "$T/tiny.gguf"
data_start
wait_for_model tiny
second=$(post_json /v1/completions "$question" | jq -r '.choices[0].text')
expect 'the same answer in either order' "$second" "$first"
[ -n "$first" ] || fail 'the answer is empty'
node_stop box
node_stop data
