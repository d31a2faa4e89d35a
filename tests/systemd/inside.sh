#!/usr/bin/env bash
# Runs as a service of the booted container: see test-systemd.sh. Stops at the first thing that is not as the units promise.
set -euo pipefail
password=$(cat /etc/doorward/credentials/IDENTITIES_PASSWORD)

failed() {
  echo "not so: line $1"
  systemctl status --no-pager --full doorward.service || true
  journalctl --no-pager -u doorward.service -u 'doorward@*' | tail -n 60
}
trap 'failed $LINENO' ERR

property() { systemctl show --value --property "$2" "$1"; }
# Waits up to 60 seconds until a command succeeds.
until_so() {
  for _ in $(seq 300); do
    if "$@"; then return 0; fi
    sleep 0.2
  done
  echo "waited for: $*"
  return 1
}
restarted() { [ "$(property doorward NRestarts)" = "$1" ] && [ "$(property doorward ActiveState)" = active ]; }
# `set -e` does not look at what stands behind a `!`.
fails() { if "$@" >/dev/null 2>&1; then return 1; fi; }
# A process of its own user reads only what belongs to that user or everybody.
owned_alone() { [ -z "$(find "$1" -mindepth 1 -perm /077 -print -quit)" ] && [ "$(stat -c %a "$1")" = 700 ]; }

echo "it starts, tells when it is ready, and is nobody in particular"
systemctl start doorward
[ "$(property doorward ActiveState)" = active ]
pid=$(property doorward MainPID)
[ "$(awk '/^Uid:/ { print $2 }' "/proc/$pid/status")" != 0 ]
until_so test -e /var/lib/private/doorward/outbox
owned_alone /var/lib/private/doorward
[ "$(stat -c %U /var/lib/private/doorward)" = doorward ]
grep -q '^Max core file size *0 *0 ' "/proc/$pid/limits"
grep -q '^NoNewPrivs:.*1$' "/proc/$pid/status"
grep -q '^CapBnd:.*0000000000000000$' "/proc/$pid/status"

echo "the password comes as a credential and goes nowhere"
until_so sh -c 'journalctl -u doorward | grep -q "127.0.0.1"'
fails grep -a "$password" "/proc/$pid/environ"
fails grep -ra "$password" /var/lib/private/doorward /var/log
journalctl --no-pager >/tmp/journal
fails grep "$password" /tmp/journal

echo "it tells the service manager how it is"
until_so sh -c 'systemctl show --value --property StatusText doorward | grep -q .'
echo "  $(property doorward StatusText)"

echo "hung, it is ended by the watchdog and started again"
kill -STOP "$pid"
until_so restarted 1
journalctl --no-pager -u doorward | grep -q "Watchdog timeout"
[ "$(property doorward MainPID)" != "$pid" ]

echo "killed, it is started again"
systemctl kill --signal=KILL --kill-whom=main doorward
until_so restarted 2

echo "stopped, it ends by itself and in time"
systemctl stop doorward
[ "$(property doorward Result)" = success ]
[ "$(property doorward ExecMainStatus)" = 0 ]

echo "a wrong configuration ends it with 78, and is not tried again"
cp /etc/doorward/doorward.toml /tmp/right.toml
echo 'max_age_hour = 1' >>/etc/doorward/doorward.toml
fails systemctl start doorward
sleep 6
[ "$(property doorward ActiveState)" = failed ]
[ "$(property doorward ExecMainStatus)" = 78 ]
[ "$(property doorward NRestarts)" = 0 ]
journalctl --no-pager -u doorward | grep -q 'max_age_hour'
cp /tmp/right.toml /etc/doorward/doorward.toml

echo "one process per detector"
systemctl start doorward@front-door
[ "$(property doorward@front-door ActiveState)" = active ]
until_so test -e /var/lib/private/doorward-front-door/outbox
owned_alone /var/lib/private/doorward-front-door
systemctl stop doorward@front-door
bay=$(systemd-escape --template doorward@.service "Loading bay")
mv /etc/doorward/detectors/front-door.toml "/etc/doorward/detectors/Loading bay.toml"
systemctl start "$bay"
[ "$(property "$bay" ActiveState)" = active ]
systemctl stop "$bay"

echo "the engine, and a command beside it"
printf 'a long password\n' >/tmp/password
doorward engine user add --data /var/lib/doorward-engine --username root --role Administrator --password-file /tmp/password
systemctl start doorward-engine
[ "$(property doorward-engine ActiveState)" = active ]
healthy() { exec 3<>/dev/tcp/127.0.0.1/6009 && printf 'GET /health HTTP/1.0\r\n\r\n' >&3 && grep -q '"ok":true' <&3; }
until_so healthy
owned_alone /var/lib/private/doorward-engine
doorward engine user add --data /var/lib/doorward-engine --username gate --role "Edge Publisher" --password-file /tmp/password
until_so healthy
systemctl stop doorward-engine
[ "$(property doorward-engine Result)" = success ]

echo "what systemd thinks of its walls"
systemd-analyze verify /etc/systemd/system/doorward.service /etc/systemd/system/doorward-engine.service
for unit in doorward.service doorward@front-door.service doorward-engine.service; do
  # The threshold is in tenths.
  systemd-analyze security --no-pager --threshold=15 "$unit" | tail -n 1
done
echo "all is well"
