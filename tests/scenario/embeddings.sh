#!/usr/bin/env bash
# A BERT of the test data: the command line's vectors are the ones that come
# back over HTTP, in both encodings, and what cannot be embedded is refused.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

need_shared embed/bert-mean.gguf
model=$SHARED/embed/bert-mean.gguf
"$COMPUTE" embed "$model" <"$SHARED/embed/sentences.txt" >"$T/cli"
expect 'lines' "$(wc -l <"$T/cli")" 4
expect 'unit length' "$(jq -s 'map(map(. * .) | add | . > 0.99999 and . < 1.00001) | all' "$T/cli")" true
on_cpu() {
	"$COMPUTE" embed --backend cpu "$@" "$model" <"$SHARED/embed/sentences.txt" | sha256sum
}
expect 'threads change no bit' "$(on_cpu -t 1)" "$(on_cpu -t 0)"

# Each vector points where the peer's does.
jq -s --slurpfile e "$SHARED/embed/bert-mean.expected.json" \
	'[., $e[0]] | transpose | map(transpose | map(.[0] * .[1]) | add)' "$T/cli" >"$T/cosines"
expect 'cosines' "$(jq 'map(. >= 0.9999) | all' "$T/cosines")" true

# An empty line is a text too; the last line may lack its end.
expect 'empty line' "$(printf '\nlast' | "$COMPUTE" embed "$model" | wc -l)" 2
code=0
head -c 4000 /dev/zero | tr '\0' . | "$COMPUTE" embed "$model" >"$T/out" 2>"$T/err" || code=$?
expect 'too long: exit code' "$code" 1
expect 'too long: output' "$(wc -c <"$T/out")" 0
grep -q 'line 1: .*context' "$T/err" || fail 'the error does not name the line and the context'

data_init
compute_init box
pair box
compute_start box "$model"
data_start
wait_for_model bert-mean
jq -Rn '{model: "bert-mean", input: [inputs]}' "$SHARED/embed/sentences.txt" >"$T/ask"
post_json /v1/embeddings "$(cat "$T/ask")" >"$T/http"
jq -c '.data[].embedding' "$T/http" >"$T/vectors"
expect 'the same numbers over HTTP' "$(jq -c . "$T/vectors" | sha256sum)" "$(jq -c . "$T/cli" | sha256sum)"
expect 'indexes' "$(jq -c '[.data[].index]' "$T/http")" '[0,1,2,3]'
expect 'usage' "$(jq '.usage.total_tokens == .usage.prompt_tokens and .usage.prompt_tokens > 20' "$T/http")" true
post_json /v1/embeddings "$(jq -c '. + {encoding_format: "base64"}' "$T/ask")" >"$T/base64"
expect 'base64 bytes' "$(jq -r '.data[3].embedding' "$T/base64" | base64 -d | wc -c)" 256
