#!/usr/bin/env bash
# deploy/install puts each node's files where its unit looks for them; the units
# are valid and as closed as systemd's own measure can tell.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

for node in data compute; do
	HEARTH_BUILD=$HEARTH_BUILD deploy/install $node --root "$T/root" --prefix /opt/hearth >"$T/$node.out" ||
		fail "deploy/install $node"
	unit=$T/root/etc/systemd/system/hearth-$node.service
	program=$(sed -n 's/^ExecStart=\([^ ]*\) .*/\1/p' "$unit")
	expect "program of the unit of $node" "$program" "/opt/hearth/bin/$node-node"
	[ -x "$T/root$program" ] || fail "$program is not there"
	"$T/root$program" version >"$T/version" 2>&1 || "$T/root$program" --version >"$T/version"
	grep -q "^$node-node " "$T/version" || fail "$program does not run"
	library=$T/root/opt/hearth/bin/compute-cuda.so extra=$unit.d/cuda.conf
	if [ "$node" = compute ] && [ -f "$HEARTH_BUILD/compute-cuda.so" ]; then
		[ -x "$library" ] || fail "the library for the GPU is not beside the program"
		grep -q '^PrivateDevices=no' "$extra" || fail "the unit cannot see the GPU"
	elif [ "$node" = compute ] && { [ -e "$library" ] || [ -e "$extra" ]; }; then
		fail "a library for the GPU that was not built"
	fi
	if grep -q '@[A-Z]*@' "$unit"; then fail "a name was not filled in: $unit"; fi
	grep -q '^Type=notify' "$unit" || fail "the unit of $node does not wait for READY"
	# Each option that the unit passes is one that the program knows.
	flags=$(sed -n 's/^ExecStart=[^ ]* serve //p' "$unit" | grep -o -- '--[a-z-]*')
	for flag in $flags; do
		"$T/root$program" serve --help | grep -q -- "$flag " || fail "serve knows no $flag"
	done
done
expect_match 'documents' "$(ls "$T/root/opt/hearth/share/doc/hearth" | tr '\n' ' ')" '^LOG-IDS.md OPERATOR.md $'
if grep -Eq '^(State|Cache|Logs|Runtime)Directory=|^ReadWritePaths=' "$T/root/etc/systemd/system/hearth-compute.service"; then
	fail 'the compute node has a directory to write to'
fi
expect 'again, as an upgrade' "$(HEARTH_BUILD=$HEARTH_BUILD deploy/install data --root "$T/root" --prefix /opt/hearth >"$T/again" 2>&1; echo $?)" 0
expect 'no node named' "$(deploy/install --root "$T/root" >"$T/usage" 2>&1; echo $?)" 2
expect 'a relative prefix' "$(deploy/install data --prefix here --root "$T/root" >"$T/usage" 2>&1; echo $?)" 1

# Every command in the guide is one that the programs have.
grep -o "\bhd [a-z][a-z]*" deploy/OPERATOR.md | sed "s/^hd //" | sort -u >"$T/commands"
[ -s "$T/commands" ] || fail 'no commands in the guide'
while read -r command; do
	"$DATA" "$command" --help >"$T/help" 2>&1 || fail "the guide names data-node $command"
done <"$T/commands"

command -v systemd-analyze >/dev/null || {
	echo 'no systemd-analyze: the units were not verified'
	exit 0
}
for node in data compute; do
	# Its program stands below the folder of the test.
	sed "s|^ExecStart=|&$T/root|; s|^User=.*|User=root|; s|^Group=.*|Group=root|" \
		"$T/root/etc/systemd/system/hearth-$node.service" >"$T/hearth-$node.service"
	systemd-analyze verify "$T/hearth-$node.service" >"$T/verify" 2>&1 || true
	if grep "hearth-$node.service" "$T/verify"; then fail "the unit of $node"; fi
	exposure=$(systemd-analyze security --offline=true "$T/root/etc/systemd/system/hearth-$node.service" 2>/dev/null |
		sed -n 's/.*Overall exposure level for [^:]*: \([0-9.]*\).*/\1/p')
	echo "hearth-$node: exposure $exposure of 10"
	[ -z "$exposure" ] || awk -v e="$exposure" 'BEGIN { exit !(e <= 2.5) }' || fail "exposure of $node: $exposure"
done
