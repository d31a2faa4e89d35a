#!/usr/bin/env bash
# The unit files under a real systemd: boots this machine's own system as a container (systemd-nspawn) over a throw-away layer
# in memory, installs doorward in it as its units say, and runs tests/systemd/inside.sh there. Needs root and what
# `make test-systemd` gets ready; installs systemd-nspawn. Half a minute to two. Work folder: $1 (default: target/systemd).
set -euo pipefail
cd "$(dirname "$0")/../.."
work=${1:-target/systemd}
program=target/debug/doorward
models=${DOORWARD_MODELS_DIR:-models}
[ "$(id -u)" = 0 ] || { echo "test-systemd: this needs root" >&2; exit 1; }
packaging/install-packages systemd systemd-container dbus bsdutils

mkdir -p "$work"
work=$(cd "$work" && pwd)
layer=$work/layer
cleanup() {
  umount "$layer/root" 2>/dev/null || true
  umount "$layer" 2>/dev/null || true
}
trap cleanup EXIT
cleanup
rm -rf "$work/result"
mkdir -p "$layer" "$work/result"
mount -t tmpfs -o size=2g tmpfs "$layer"
mkdir "$layer"/{upper,work,root}
mount -t overlay -o "lowerdir=/,upperdir=$layer/upper,workdir=$layer/work" overlay "$layer/root"
root=$layer/root

echo "test-systemd: installing"
rm -rf "$root/etc/doorward" "$root/var/lib/doorward" "$root/var/lib/private" "$root/etc/machine-id" "$root/var/log/journal"
install -D -m 755 "$program" "$root/usr/bin/doorward"
install -D -m 644 -t "$root/usr/share/doorward/models" "$models"/*.onnx "$models"/*.so
install -D -m 644 -t "$root/usr/share/doorward/visitors" "$models"/sample*.jpg
# Not from where it lies: a booted system has a /tmp of its own, which hides a clone below it.
install -D -m 755 tests/systemd/inside.sh "$root/usr/lib/doorward-test/inside.sh"
install -D -m 644 -t "$root/etc/systemd/system" systemd/*.service
install -D -m 600 /dev/stdin "$root/etc/doorward/credentials/IDENTITIES_PASSWORD" <<<"credential-5c1e7a90"
install -D -m 644 /dev/stdin "$root/etc/doorward/doorward.toml" <<'TOML'
state_dir = "${STATE_DIRECTORY:/var/lib/doorward}"
[identities]
url = "http://127.0.0.1:9"
username = "box"
password = "${IDENTITIES_PASSWORD}"
TOML
install -D -m 644 /dev/stdin "$root/etc/doorward/detectors/front-door.toml" <<'TOML'
time_zone = "Europe/Stockholm"
[camera]
type = "replay"
path = "/usr/share/doorward/visitors"
loop = true
TOML
for unit in doorward.service doorward@.service; do
  install -D -m 644 /dev/stdin "$root/etc/systemd/system/$unit.d/test.conf" <<'UNIT'
[Service]
LoadCredential=IDENTITIES_PASSWORD:/etc/doorward/credentials/IDENTITIES_PASSWORD
# Instead of half a minute.
WatchdogSec=8
UNIT
done
# Only what the test is about is started, nothing else of this machine.
cat >"$root/etc/systemd/system/doorward-test.target" <<'UNIT'
[Unit]
Requires=basic.target dbus.service doorward-test.service
UNIT
cat >"$root/etc/systemd/system/doorward-test.service" <<UNIT
[Unit]
After=basic.target dbus.service
[Service]
Type=oneshot
TimeoutStartSec=300
ExecStart=/bin/bash /usr/lib/doorward-test/inside.sh
ExecStopPost=/bin/systemctl poweroff --force --no-block
StandardOutput=file:/result/log
StandardError=inherit
UNIT

echo "test-systemd: booting"
# systemd-nspawn shows what the system says only to a terminal; script(1) is one.
SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 timeout 400 script -qec "systemd-nspawn --quiet --register=no --keep-unit \
  --directory=$root --bind=$work/result:/result --boot systemd.unit=doorward-test.target" "$work/console.log" \
  </dev/null >/dev/null 2>&1 || true
cat "$work/result/log" 2>/dev/null || tail -n 40 "$work/console.log"
grep -qx "all is well" "$work/result/log" || { echo "test-systemd: failed" >&2; exit 1; }
