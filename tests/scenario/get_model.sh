#!/usr/bin/env bash
# deploy/get-model against a local server: a broken download goes on, wrong
# content never gets a model's name, the published hash is believed.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

# A hub: the file under resolve/, its git-lfs pointer under raw/.
mkdir -p "$T/www/org/repo/resolve/main" "$T/www/org/repo/raw/main"
file=$T/www/org/repo/resolve/main/little.Q8_0.gguf
{
	printf 'GGUF'
	head -c 3000000 /dev/urandom
} >"$file"
hash=$(sha256sum "$file" | cut -d' ' -f1)
pointer() { # HASH
	printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 3000004\n' "$1" \
		>"$T/www/org/repo/raw/main/little.Q8_0.gguf"
}
pointer "$hash"

serve_files() { # FLAGS...: sets $port
	[ -z "${PID[files]:-}" ] || node_kill files
	: >"$T/files.out"
	"$TOOLS/common_file_server" "$T/www" "$@" >"$T/files.out" 2>"$T/files.log" &
	PID[files]=$!
	wait_until 10 'the file server' test -s "$T/files.out"
	port=$(cat "$T/files.out")
	printf 'little 3M http://127.0.0.1:%s/org/repo/resolve/main/little.Q8_0.gguf %s\n' "$port" "${PIN:--}" >"$T/models.txt"
}
export HEARTH_MODELS_TABLE=$T/models.txt HEARTH_MODELS_DIR=$T/models
got=$T/models/little.Q8_0.gguf
get() { # ARGS...: the exit code
	local code=0
	deploy/get-model "$@" >"$T/get.out" 2>&1 || code=$?
	echo $code
}

# Whole, by the default name, with the hash the hub publishes.
serve_files
expect 'a plain download' "$(get)" 0
cmp "$file" "$got"
expect 'once more is a no-op' "$(get little)" 0
grep -q 'is there' "$T/get.out" || fail 'it was fetched again'

# Every connection breaks after 1.2 MB: three pieces make the whole.
rm "$got"
serve_files --cut 1200000
expect 'a download that breaks twice' "$(get little)" 0
cmp "$file" "$got"
grep -q 'going on' "$T/get.out" || fail 'nothing was interrupted, so nothing was tested'

# Half a file of an earlier run, continued.
rm "$got"
head -c 1000000 "$file" >"$got.part"
serve_files
expect 'an earlier piece' "$(get little)" 0
cmp "$file" "$got"

# The earlier run got everything but was ended before the check.
rm "$got"
cp "$file" "$got.part"
expect 'a whole piece' "$(get little)" 0
cmp "$file" "$got"

# A server that cannot continue: from the start.
rm "$got"
head -c 1000000 "$file" >"$got.part"
serve_files --no-range
expect 'no ranges' "$(get little)" 0
cmp "$file" "$got"

# Wrong content: exit 4, no model, no piece left; the same for a wrong pin.
rm "$got"
pointer "$(printf '%064d' 7)"
expect 'wrong content' "$(get little)" 4
[ ! -e "$got" ] && [ ! -e "$got.part" ] || fail 'wrong content was kept'
grep -q 'SHA-256' "$T/get.out" || fail 'it does not say what is wrong'
pointer "$hash"
PIN=$(printf '%064d' 9) serve_files
expect 'a wrong pin' "$(get little)" 4
PIN=${hash^^} serve_files
expect 'the right pin, in capitals' "$(get little)" 0
rm "$got"

# A piece of another file under the same name is noticed, not completed.
head -c 1000000 /dev/urandom >"$got.part"
expect 'a foreign piece' "$(get little)" 4
expect 'the next try' "$(get little)" 0

# No pointer, no pin: nothing to check with, nothing fetched.
rm "$got" "$T/www/org/repo/raw/main/little.Q8_0.gguf"
serve_files
expect 'no hash to be had' "$(get little)" 1
[ ! -e "$got" ] || fail 'an unchecked model was kept'

# By URL and hash; usage errors; a file that is not there; no GGUF.
url=http://127.0.0.1:$port/org/repo/resolve/main/little.Q8_0.gguf
expect 'URL and hash' "$(get "$url" "$hash")" 0
expect 'URL alone' "$(get "$url")" 2
expect 'bad hash' "$(get "$url" abc)" 2
expect 'unknown name' "$(get nothing-like-it)" 2
expect 'unknown option' "$(get --force)" 2
expect 'no plain name' "$(get "http://127.0.0.1:$port/.gguf" "$hash")" 2
expect 'missing file' "$(get "http://127.0.0.1:$port/none.gguf" "$hash")" 1
echo 'an error page' >"$T/www/page.gguf"
expect 'an error page' "$(get "http://127.0.0.1:$port/page.gguf" "$(sha256sum "$T/www/page.gguf" | cut -d' ' -f1)")" 4
[ ! -e "$T/models/page.gguf" ] || fail 'an error page became a model'
deploy/get-model --list | grep -q little || fail '--list'
