#!/usr/bin/env bash
# Blobs over HTTP: sent, referred to, fetched whole and in ranges; refused when
# they should be; a kill in mid-upload leaves what was acknowledged.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

data_init
data_start
status_of() { # CURL-ARGS...
	curl -s -o "$T/answer" -w '%{http_code}' -H "Authorization: Bearer $TOKEN" "$@"
}
base=http://127.0.0.1:$DATA_PORT/api/v1
send() { # FILE: its id on stdout
	api POST /api/v1/blobs -H 'Content-Type: application/octet-stream' --data-binary "@$1" | jq -r .blob
}

head -c 40000000 /dev/urandom >"$T/film" # more than a body that is kept may have
printf 'CANARY-in-a-photo' >"$T/photo"

# ---- in and out ----------------------------------------------------------------------
film=$(send "$T/film")
expect_match 'an id' "$film" '^[0-9a-f]{64}$'
photo=$(send "$T/photo")
expect 'the same again' "$(send "$T/photo")" "$photo"
expect 'chunked' "$(curl -s -H "Authorization: Bearer $TOKEN" -H 'Transfer-Encoding: chunked' --data-binary "@$T/photo" "$base/blobs" | jq -r '.blob, .bytes' | xargs)" "$photo 17"
api GET "/api/v1/blobs/$film" >"$T/back"
cmp "$T/film" "$T/back" || fail 'the film came back changed'
range() { # RANGE: status; the bytes in $T/answer, the headers in $T/head
	status_of -D "$T/head" -H "Range: $1" "$base/blobs/$film"
}
expect 'a range' "$(range bytes=65530-131080)" 206
cmp <(tail -c +65531 "$T/film" | head -c 65551) "$T/answer" || fail 'the range has other bytes'
grep -qi '^content-range: bytes 65530-131080/40000000' "$T/head" || fail "$(cat "$T/head")"
grep -qi '^content-length: 65551' "$T/head" || fail "$(cat "$T/head")"
expect 'to the end' "$(range bytes=39999999-)" 206
cmp <(tail -c 1 "$T/film") "$T/answer" || fail 'the last byte is another'
expect 'the last ten' "$(range bytes=-10)" 206
cmp <(tail -c 10 "$T/film") "$T/answer" || fail 'the last ten bytes are others'
expect 'behind the end' "$(range bytes=40000000-)" 416
grep -qi '^content-range: bytes \*/40000000' "$T/head" || fail "$(cat "$T/head")"
expect 'no range that it knows' "$(range lines=1-2)" 200

# ---- refused -------------------------------------------------------------------------
expect 'an unknown id' "$(status_of "$base/blobs/${film//[0-9a-f]/0}")" 404
expect 'no id' "$(status_of "$base/blobs/x")" 404
expect 'nothing' "$(status_of -X POST --data-binary '' "$base/blobs")" 400
expect 'no token' "$(curl -s -o /dev/null -w '%{http_code}' --data-binary @"$T/photo" "$base/blobs")" 401
expect 'too large' "$(status_of -X POST -H 'Content-Length: 300000000' -H 'Expect: 100-continue' --max-time 10 --data-binary "@$T/photo" "$base/blobs")" 413
device=$("$DATA" device add --dir "$T/data" camera --layers visual | sed -n 's/^token: //p')
if [ -n "$device" ]; then
	expect 'a device sends' "$(curl -s -o "$T/answer" -w '%{http_code}' -H "Authorization: Bearer $device" --data-binary "@$T/photo" "$base/blobs")" 200
	expect 'a device does not read' "$(curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $device" "$base/blobs/$photo")" 403
fi

# ---- events refer ----------------------------------------------------------------------
event() { # ID BLOB
	printf '{"source":"phone","id":"%s","layer":"visual","kind":"photo","start":"2026-11-19T18:30:00Z","blob":%s}' "$1" "$2"
}
event 1 "\"$photo\"" | api POST /api/v1/events --data-binary @- >"$T/report"
expect 'accepted' "$(jq -c '[.accepted, .rejected]' "$T/report")" '[1,[]]'
event 2 "[\"$film\",\"$photo\"]" | api POST /api/v1/events --data-binary @- >"$T/report"
expect 'two pieces' "$(jq .accepted "$T/report")" 1
event 3 "\"${photo//[0-9a-f]/0}\"" | api POST /api/v1/events --data-binary @- >"$T/report"
expect 'one that is not here' "$(jq -r '.rejected[0].field' "$T/report")" blob
api GET '/api/v1/events?from=2026-11-19T00:00:00Z&to=2026-11-20T00:00:00Z' >"$T/got"
expect 'as sent' "$(jq -r '.events[] | select(.id == "1") | .blob' "$T/got")" "$photo"
expect 'pieces as sent' "$(jq -c '.events[] | select(.id == "2") | .blob' "$T/got")" "[\"$film\",\"$photo\"]"

# ---- a kill in mid-upload ------------------------------------------------------------------
curl -s -o /dev/null --limit-rate 4M -H "Authorization: Bearer $TOKEN" -H 'Transfer-Encoding: chunked' --data-binary "@$T/film" "$base/blobs" &
upload=$!
wait_until 20 'an upload on its way' compgen -G "$T/data/blobs/new/*" >/dev/null
node_kill data
wait "$upload" || true
data_start
api GET "/api/v1/blobs/$photo" >"$T/back"
cmp "$T/photo" "$T/back" || fail 'the photo is lost'
"$DATA" verify --dir "$T/data" >"$T/verify" || fail "$(cat "$T/verify")"
! grep -rqF CANARY "$T/data" || fail 'content in the clear'
! grep -rqF "$photo" "$T/data" || fail 'an id in the clear'
expect 'no id in the log' "$(grep -c "$photo" "$T/data.log" || true)" 0

# ---- damage is named ----------------------------------------------------------------------
node_stop data
big=$(find "$T/data/blobs" -size +30M -path '*/[0-9a-f][0-9a-f]/*')
printf x | dd of="$big" bs=1 seek=20000000 conv=notrunc status=none
code=0
"$DATA" verify --dir "$T/data" >"$T/verify" 2>&1 || code=$?
expect 'verify' "$code" 4
grep -q 'blob .* does not decrypt' "$T/verify" || fail "$(cat "$T/verify")"
