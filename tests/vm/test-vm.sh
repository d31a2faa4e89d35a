#!/usr/bin/env bash
# The v4l2 source against a real V4L2 driver: boots Debian's kernel under qemu (without KVM) with the vivid test
# camera, and runs tests/vm/v4l2.rs in there, which also pulls the camera out and hangs it. Needs Debian 12 on
# amd64, root and apt; installs what it needs. About a minute. Work folder: $1 (default: target/vm).
set -euo pipefail
cd "$(dirname "$0")/../.."
work=${1:-target/vm}
mkdir -p "$work"
work=$(cd "$work" && pwd)

[ "$(dpkg --print-architecture)" = amd64 ] || { echo "test-vm: this needs an amd64 machine" >&2; exit 1; }
packages="qemu-system-x86 busybox-static cpio kmod v4l-utils jq"
# shellcheck disable=SC2086
if ! dpkg-query -W -f '${db:Status-Status}\n' $packages 2>/dev/null | grep -c '^installed$' | grep -qx 6; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
fi

echo "test-vm: building the test"
program=$(cargo test --release --test v4l2_vm --no-run --message-format=json-render-diagnostics |
  jq -r 'select(.reason == "compiler-artifact" and .target.name == "v4l2_vm") | .executable')

# The kernel, unpacked once.
if [ ! -e "$work/kernel/complete" ]; then
  rm -rf "$work/kernel"
  mkdir -p "$work/kernel/root"
  apt-cache show linux-image-amd64 >/dev/null 2>&1 || apt-get update -qq
  package=$(apt-cache depends linux-image-amd64 | awk '/Depends:/ { print $2; exit }')
  (cd "$work/kernel" && apt-get -o APT::Sandbox::User=root download -qq "$package" && dpkg -x "$package"_*.deb root && rm -- *.deb)
  depmod -b "$work/kernel/root" "$(ls "$work/kernel/root/lib/modules")"
  touch "$work/kernel/complete"
fi
version=$(ls "$work/kernel/root/lib/modules")

echo "test-vm: laying out the machine"
disk=$work/disk
rm -rf "$disk"
mkdir -p "$disk"/{bin,dev,proc,sys,tmp,modules}
cp /bin/busybox "$disk/bin/"
for name in sh insmod ln mkdir mount poweroff ip; do ln -s busybox "$disk/bin/$name"; done
# Each program with the libraries it is linked to, at their own places.
install_program() {
  install -D "$1" "$disk/bin/$2"
  strip --strip-debug "$disk/bin/$2" 2>/dev/null || true
  { ldd "$1" | awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }'; } | while read -r library; do
    [ -e "$disk$library" ] || install -D -m 755 "$(readlink -f "$library")" "$disk$library"
  done
}
install_program "$program" v4l2_vm
install_program "$(command -v v4l2-ctl)" v4l2-ctl

number=10
for module in $(modprobe -S "$version" -d "$work/kernel/root" --show-depends vivid | awk '/insmod/ { print $2 }'); do
  cp "$module" "$disk/modules/$number-$(basename "$module")"
  number=$((number + 1))
done
cat >"$disk/init" <<'INIT'
#!/bin/sh
export PATH=/bin
mount -t devtmpfs none /dev
mount -t proc none /proc
mount -t sysfs none /sys
ip link set lo up
for module in /modules/*; do
  # One webcam with single-planar buffers and only a capture node, as a USB camera has.
  case $module in *vivid*) options="n_devs=1 node_types=0x1 num_inputs=1 input_types=0x0 multiplanar=1" ;; *) options= ;; esac
  insmod "$module" $options || echo "test-vm: insmod $module failed"
done
# What udev does on a real machine.
mkdir -p /dev/v4l/by-id
ln -s ../../video0 /dev/v4l/by-id/usb-Vivid_Test_Camera_0001-video-index0
export RUST_BACKTRACE=1
v4l2_vm --test-threads=1 --nocapture
echo "test-vm: exit $?"
poweroff -f
INIT
chmod +x "$disk/init"
(cd "$disk" && find . | cpio -o -H newc --quiet) >"$work/initrd"

echo "test-vm: booting Linux $version"
timeout 600 qemu-system-x86_64 -m 2048 -smp 2 -cpu max -nographic -no-reboot -nic none \
  -kernel "$work/kernel/root/boot/vmlinuz-$version" -initrd "$work/initrd" \
  -append "console=ttyS0 quiet panic=-1" </dev/null | tr -d '\r' | tee "$work/console.log"
grep -q '^test-vm: exit 0$' "$work/console.log" || { echo "test-vm: failed" >&2; exit 1; }
