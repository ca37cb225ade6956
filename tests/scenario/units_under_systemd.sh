#!/usr/bin/env bash
# Both units under a real systemd: booted in namespaces of its own, over a copy of this
# system that nothing is written to.  deploy/install installs and starts both nodes; they
# answer, come back when they are killed or frozen, and stay down where starting again
# cannot help.
# limit_s: 240
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

[ "$(id -u)" = 0 ] || skip 'not root: no system can be booted'
[ -x /lib/systemd/systemd ] || skip 'no systemd'
[[ $HEARTH_BUILD != *sanitize* ]] || skip 'sanitizers map memory as the units do not allow'
command -v unshare >/dev/null || skip 'no unshare(1)'

# A control group for it, so that whatever it leaves can be taken away again.  Of version
# 2 on any host: with version 1 nobody tells a system in a namespace that a group is empty.
mkdir "$T/groups"
mount -t cgroup2 none "$T/groups" 2>/dev/null || skip 'no control groups of version 2'
group=$T/groups$(sed -n 's/^0:://p' /proc/self/cgroup)/hearth-$$
take_away() {
	find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
	[ ! -d "$group" ]
}
end_system() {
	local code=$?
	set +e
	[ -z "${system:-}" ] || kill -9 "$system" 2>/dev/null
	wait 2>/dev/null
	(wait_until 5 'its control groups go' take_away)
	umount "$T/groups"
	(exit $code)
	scenario_end
}
trap end_system EXIT
mkdir "$group" 2>/dev/null || skip 'no control group can be made'

mkdir "$T/out"
tiny_model "$T/tiny.gguf" --seed 3 --ctx 1024
cat >"$T/boot" <<'END'
set -e
out=$1 root=$2 build=$3 tree=$4
mount --make-rprivate /
mount -t tmpfs tmpfs "$root"
mkdir "$root"/{upper,work,new}
mount -t overlay overlay -o "lowerdir=/,upperdir=$root/upper,workdir=$root/work" "$root/new"
new=$root/new
mount -t proc proc "$new/proc"
mount -t sysfs sysfs "$new/sys"
mount -t cgroup2 cgroup2 "$new/sys/fs/cgroup"
mount --rbind /dev "$new/dev"
# Ours hold this very system; RemoveIPC= looks through all of it.
for place in dev/shm run tmp var/lib etc/hearth; do
	mkdir -p "$new/$place"
	mount -t tmpfs tmpfs "$new/$place"
done
mkdir -p "$new/opt/try"
mount --bind "$out" "$new/opt/try"
cp "$build/data-node" "$build/compute-node" "$out"
cp -r "$tree/deploy" "$out"
cat >"$new/etc/systemd/system/try.service" <<-'UNIT'
	[Unit]
	DefaultDependencies=no
	[Service]
	Type=oneshot
	ExecStart=/bin/bash /opt/try/inside
	StandardOutput=append:/opt/try/told
	StandardError=append:/opt/try/told
UNIT
for unit in systemd-udevd systemd-udev-trigger systemd-journald systemd-resolved systemd-logind systemd-tmpfiles-setup; do
	ln -sf /dev/null "$new/etc/systemd/system/$unit.service"
done
exec chroot "$new" /usr/bin/env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
	SYSTEMD_PROC_CMDLINE='systemd.unit=try.service systemd.unified_cgroup_hierarchy=1' \
	/lib/systemd/systemd --system --log-target=null
END

sed -n '/^wait_until()/,/^}/p' tests/support/scenario.sh >"$T/out/inside"
cat >>"$T/out/inside" <<'END'
fail() {
	echo "FAILED: $*"
	systemctl --no-pager -n 0 status hearth-data hearth-compute
	tail -n 5 /opt/try/*.log
	echo 1 >/opt/try/done
	exit 1
}
state() { # NODE PROPERTY
	systemctl show "hearth-$1" -p "$2" --value
}
await() { # WHAT CONDITION...
	wait_until 30 "$@"
}
is() { # NODE PROPERTY VALUE
	[ "$(state "$1" "$2")" = "$3" ]
}
as() { # NODE COMMAND...
	local node=$1
	shift
	setpriv --reuid "hearth-$node" --regid "hearth-$node" --clear-groups "$@"
}
data=(as data /usr/local/bin/data-node) compute=(as compute /usr/local/bin/compute-node)
export HEARTH_BUILD=/opt/try
cd /opt/try || exit
ip link set lo up 2>/dev/null
for node in data compute; do
	mkdir -p /etc/systemd/system/hearth-$node.service.d
	printf '[Service]\nWatchdogSec=2\nStandardOutput=append:/opt/try/%s.log\nStandardError=append:/opt/try/%s.log\n' \
		$node $node >/etc/systemd/system/hearth-$node.service.d/try.conf
done
for node in compute data; do
	deploy/install $node >/opt/try/installed.$node 2>&1 || fail "deploy/install $node: $(tail -n 3 /opt/try/installed.$node)"
	is $node ActiveState active || fail "$node is $(state $node ActiveState)"
done
cp /opt/try/tiny.gguf /usr/local/share/tiny.gguf
chmod 644 /usr/local/share/tiny.gguf
echo 'model = /usr/local/share/tiny.gguf' >>/etc/hearth/compute/compute.conf
systemctl restart hearth-compute || fail 'the compute node does not start with a model'

key() { # FILE
	sed -n 's/^public key: //p' "$1"
}
"${compute[@]}" allow --dir /etc/hearth/compute "$(key installed.data)" >/dev/null || fail allow
"${data[@]}" compute add box tcp://127.0.0.1:8421 "$(key installed.compute)" --dir /var/lib/hearth >/dev/null || fail 'compute add'
token=$(sed -n 's/^owner token: //p' installed.data)
answers() {
	curl -sS -m 10 -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
		-d '{"model":"tiny","prompt":"the day","max_tokens":4}' http://127.0.0.1:8420/v1/completions |
		grep -q '"finish_reason"'
}
await 'an answer' answers

for node in data compute; do
	pid=$(state $node MainPID)
	grep -q '^CapBnd:[[:space:]]*0*$' /proc/"$pid"/status || fail "$node has capabilities"
	grep -q '^NoNewPrivs:[[:space:]]*1$' /proc/"$pid"/status || fail "$node may gain privileges"
	grep -q '^Seccomp:[[:space:]]*2$' /proc/"$pid"/status || fail "$node may call anything"
	[ "$(stat -c %U /proc/"$pid")" = hearth-$node ] || fail "$node runs as $(stat -c %U /proc/"$pid")"
	# Killed, then frozen: the manager's watchdog ends it.
	systemctl kill -s KILL hearth-$node
	await "$node is back after a kill" is $node NRestarts 1
	await "$node is ready again" is $node ActiveState active
	await 'an answer after a kill' answers
	systemctl kill -s STOP --kill-whom=main hearth-$node
	await "$node is back after the watchdog" is $node NRestarts 2
	await "$node is ready again" is $node ActiveState active
	await 'an answer after a freeze' answers
done

# A wrong configuration is not tried over and over.
systemctl stop hearth-data || fail stop
mv /var/lib/hearth/key /var/lib/hearth/away
systemctl start hearth-data 2>/dev/null && fail 'it starts without its key'
is data ExecMainStatus 3 || fail "without its key it ends with $(state data ExecMainStatus)"
await 'it stays down' is data ActiveState failed
mv /var/lib/hearth/away /var/lib/hearth/key
systemctl reset-failed hearth-data
systemctl start hearth-data || fail 'it does not start again'
# An upgrade keeps key and data.
deploy/install data >/opt/try/again 2>&1 || fail "an upgrade: $(tail -n 3 /opt/try/again)"
await 'an answer after an upgrade' answers
systemctl stop hearth-data hearth-compute || fail stop
for node in data compute; do
	is $node Result success || fail "$node ended with $(state $node Result)"
	is $node ExecMainStatus 0 || fail "$node ended with $(state $node ExecMainStatus)"
done
echo 0 >/opt/try/done
END
cp "$T/tiny.gguf" "$T/out"

mkdir "$T/root"
(
	echo "$BASHPID" >"$group/cgroup.procs"
	exec unshare --fork --pid --mount --uts --ipc --net --cgroup --kill-child \
		bash "$T/boot" "$T/out" "$T/root" "$HEARTH_BUILD" "$PWD"
) >"$T/boot.log" 2>&1 &
system=$!
ended() {
	[ -e "$T/out/done" ] || ! kill -0 $system 2>/dev/null
}
wait_until 200 'the system has done its work' ended
cat "$T/out/told" 2>/dev/null || true
if [ ! -e "$T/out/told" ]; then
	grep -v '^$' "$T/boot.log" | tail -n 3
	skip 'systemd does not boot here'
fi
expect 'the end' "$(cat "$T/out/done" 2>/dev/null)" 0
