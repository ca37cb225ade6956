#!/usr/bin/env bash
# A second `serve` on one store is refused and does not disturb the first.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

data_init
data_start
code=0
timeout 30 "$DATA" serve --dir "$T/data" --listen "127.0.0.1:$(free_port)" >"$T/second.out" 2>"$T/second.log" || code=$?
[ $code != 0 ] && [ $code != 124 ] || fail "the second serve ended with $code"
[ -s "$T/second.log" ] || fail 'it does not say why'
expect 'the first one' "$(status_of GET /healthz)" 200
node_stop data

# Its port taken: a clear refusal too, and the store is free again afterwards.
data_start
"$DATA" init --dir "$T/data2" >/dev/null
code=0
timeout 30 "$DATA" serve --dir "$T/data2" --listen "127.0.0.1:$DATA_PORT" >"$T/third.out" 2>"$T/third.log" || code=$?
[ $code != 0 ] && [ $code != 124 ] || fail "serve on a taken port ended with $code"
[ -s "$T/third.log" ] || fail 'it does not say that the port is taken'

# After a kill the lock is not left behind.
node_kill data
data_start
expect 'after a kill' "$(status_of GET /healthz)" 200

# init does not overwrite a store.
code=0
"$DATA" init --dir "$T/data" >"$T/init2" 2>&1 || code=$?
[ $code != 0 ] || fail 'init ran over an existing store'
expect 'the store after a second init' "$(status_of GET /api/v1/status)" 200
