#!/usr/bin/env bash
# Keys: without what opens it nothing starts and nothing is readable (exit code 3,
# with the reason); the recovery key of `init` opens it when all else is lost; the
# ways in can be changed, and the old ones are void.
# limit_s: 60
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

code_of() { # COMMAND...: exit code; output in $T/out and $T/err
	local code=0
	"$@" >"$T/out" 2>"$T/err" </dev/null || code=$?
	echo $code
}
# closed WHAT REGEX: commands that read end with 3 and say why; each time another
# three of them, for each asks for the key anew.
commands=('events' 'search word' 'status' 'verify' 'serve --listen 127.0.0.1:1' 'key show'
	'forget --layer text')
turn=0
closed() {
	local command end=$((turn + 3))
	for (( ; turn < end; turn++)); do
		command=${commands[turn % ${#commands[@]}]}
		# shellcheck disable=SC2086
		expect "$1: $command" "$(code_of "$DATA" ${command%% *} --dir "$T/data" ${command#"${command%% *}"})" 3
		expect_match "$1: $command" "$(cat "$T/err")" "$2"
		expect "$1: $command prints" "$(wc -c <"$T/out")" 0
	done
}

data_init
recovery=$(sed -n 's/^recovery key: //p' "$T/data.init")
expect_match 'recovery key' "$recovery" '^([0-9A-Z]{4}-){8}[0-9A-Z]{4}$'
echo '{"source":"pen","id":"1","layer":"text","kind":"note","start":1795100400000000000,"text":"under lock"}' >"$T/event"
data_cli import "$T/event" >/dev/null
readable() {
	expect "$1" "$(data_cli events --json | jq -r '.events[0].text')" 'under lock'
}
readable 'with its key'

# ---- the key file is lost, cut off, empty, swapped ---------------------------------------
cp "$T/data/key" "$T/saved"
rm "$T/data/key"
closed 'no key file' 'key'
head -c 20 "$T/saved" >"$T/data/key"
closed 'a key file cut off' 'cut off'
: >"$T/data/key"
closed 'an empty key file' 'not a key file'
"$DATA" init --dir "$T/other" >/dev/null
cp "$T/other/key" "$T/data/key"
closed 'the key file of another node' 'wrong key file'
cp "$T/saved" "$T/data/key"
# ---- the keyring is damaged, swapped, of a newer program ---------------------------------
cp "$T/data/keyring" "$T/keyring"
printf '\xff' | dd of="$T/data/keyring" bs=1 seek=300 conv=notrunc status=none
closed 'a damaged keyring' 'damaged'
head -c 100 "$T/keyring" >"$T/data/keyring"
closed 'a keyring cut off' 'cut off'
cp "$T/other/keyring" "$T/data/keyring"
closed 'the keyring of another node' 'wrong key file'
cp "$T/keyring" "$T/data/keyring"
printf '\x63' | dd of="$T/data/keyring" bs=1 seek=11 conv=notrunc status=none
closed 'a keyring of a newer program' 'format 99, .*up to 2'
cp "$T/keyring" "$T/data/keyring"
readable 'with all back'

# ---- a passphrase instead, then lost; the recovery key ------------------------------------
echo 'correct horse battery' >"$T/words"
data_cli key passphrase --new-passphrase-file "$T/words"
[ ! -e "$T/data/key" ] || fail 'the key file that opens nothing any more is still there'
readable 'remembered where the passphrase is'
mv "$T/words" "$T/words.gone"
closed 'the passphrase file is gone' 'words'
echo 'correct horse batterx' >"$T/words"
closed 'a wrong passphrase' 'wrong passphrase'
expect 'by a pipe' "$(data_cli key show --passphrase-file <(cat "$T/words.gone") | grep -c '^passphrases: 1')" 1
echo "${recovery,,}" | tr - ' ' >"$T/paper"
echo 'new words' >"$T/new"
data_cli key passphrase --recovery-file "$T/paper" --new-passphrase-file "$T/new"
readable 'after recovery'
cp "$T/words.gone" "$T/words"
expect 'the old passphrase is void' "$(code_of "$DATA" key show --dir "$T/data" --passphrase-file "$T/words")" 3

# ---- a new recovery key, a fresh key file, wrapped anew -------------------------------------
data_cli key recovery >"$T/recovered"
expect_match 'a new recovery key' "$(cat "$T/recovered")" '^recovery key: ([0-9A-Z]{4}-){8}[0-9A-Z]{4}$'
expect 'the old one is void' "$(code_of "$DATA" key show --dir "$T/data" --recovery-file "$T/paper")" 3
expect_match 'and says so' "$(cat "$T/err")" 'wrong recovery key'
sed 's/recovery key: //' "$T/recovered" >"$T/paper"
data_cli key rekey --recovery-file "$T/paper"
data_cli key file
readable 'with a key file again'
expect 'the passphrase is void' "$(code_of "$DATA" key show --dir "$T/data" --passphrase-file "$T/new")" 3
[ ! -e "$T/data/keyring.old" ] || fail 'an old keyring was left lying'

# ---- usage; and not under a node that serves ------------------------------------------------
expect 'no such change' "$(code_of "$DATA" key --dir "$T/data" change)" 2
expect 'a passphrase without a file' "$(code_of "$DATA" key --dir "$T/data" passphrase)" 2
expect 'a file that does not belong' "$(code_of "$DATA" key --dir "$T/data" rekey --new-key-file "$T/x")" 2
data_start
expect 'while it serves' "$(code_of "$DATA" key --dir "$T/data" rekey)" 1
expect_match 'while it serves' "$(cat "$T/err")" 'stop that one first'
node_stop data
