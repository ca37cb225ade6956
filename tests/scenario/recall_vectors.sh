#!/usr/bin/env bash
# With an encoder on a compute node moments get vectors, in the background; they stay
# over restarts, go with what is forgotten, and nothing waits for them: without the
# compute node everything is found by words.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

need_shared embed/bert-mean.gguf
model=$SHARED/embed/bert-mean.gguf
data_init
compute_init box
pair box
data_start

event() { # ID DAY TEXT
	printf '{"source":"phone","id":"%s","layer":"text","kind":"note","start":"2026-11-%sT10:00:00Z","text":"%s"}\n' "$@"
}
send() {
	api POST /api/v1/events --data-binary @- >/dev/null
}
vectors() {
	api GET /api/v1/status | jq .recall.vectors
}
has_vectors() { # N
	[ "$(vectors)" = "$1" ]
}
found() { # QUERY
	api GET "/api/v1/search?q=$1&k=3" | jq -r '[.results[].id] | join(" ")'
}

# Before there is an encoder: words, and none is missed for it.
{
	event dog 01 'the terrier chased its tail in the yard'
	event bread 02 'a loaf of bread came out of the oven'
	event walk 03 'we went home through the rain'
	event empty 04 ''
} | send
expect 'by words' "$(found terrier)" dog
expect 'vectors' "$(vectors)" 0
compute_start box "$model"
wait_until 20 'three texts have vectors' has_vectors 3

# A question that shares no word with anything still has what is nearest.
expect 'the nearest, where words find nothing' "$(found 'zzyzx' | wc -w)" 3
expect 'the same words come first' "$(found 'terrier' | cut -d' ' -f1)" dog
event late 05 'it rained all day' | send
wait_until 20 'what comes later is embedded too' has_vectors 4
expect 'metrics' "$(api GET /metrics | grep -c '^hearth_recall_vectors 4$')" 1

# Stored, sealed: a restart without the compute node still has them.
node_stop data
node_stop box
data_cli verify >/dev/null
if grep -qa 'terrier' "$T"/data/timeline/data.mdb; then fail 'text is readable on the disk'; fi
data_start
wait_until 20 'they are read again' has_vectors 4
expect 'without a compute node by words' "$(found terrier)" dog

# What is forgotten has none, and what shares its day gets one anew.
event evening 01 'a quiet evening' | send
compute_start box "$model"
wait_until 20 'five' has_vectors 5
api POST /api/v1/forget --data-binary '{"from":"2026-11-01T09:59:00Z","to":"2026-11-01T10:01:00Z"}' >/dev/null
wait_until 20 'those forgotten are gone' has_vectors 3
if found 'terrier' | grep -q dog; then fail 'what was forgotten is found'; fi

# None are made where they are not wanted.
node_stop data
data_cli rebuild >/dev/null
data_start --embed-model none
expect 'nothing is near' "$(found 'zzyzx')" ''
expect 'vectors' "$(vectors)" 0
node_stop data
data_start --embed-model other
wait_for_model bert-mean
expect 'no vectors of another model' "$(vectors)" 0
