#!/usr/bin/env bash
# What needs a device against the kernel's own drivers: boots Debian's kernel under qemu (without KVM) and runs in there
#   v4l2   cameras: the vivid test camera, which is also pulled out, hung and set, and v4l2loopback, which shows somebody at
#          a door to the real program with its engine; and devices that decode, or paint instead (tests/vm/v4l2.rs)
#   relay  GPIO relays on a simulated chip, also killed in the middle of a pulse (tests/vm/relay.rs)
# Needs Debian 12 on amd64, root, apt and the models; installs what it needs. Two or three minutes, more the first time. Only
# some of them: TESTS="relay". Work folder: $1 (default: target/vm).
set -euo pipefail
cd "$(dirname "$0")/../.."
work=${1:-target/vm}
tests=${TESTS:-v4l2 relay}
mkdir -p "$work"
work=$(cd "$work" && pwd)

[ "$(dpkg --print-architecture)" = amd64 ] || { echo "test-vm: this needs an amd64 machine" >&2; exit 1; }
packaging/install-packages qemu-system-x86 busybox-static cpio gcc kmod libva-dev v4l-utils jq make

echo "test-vm: building the tests"
built() {
  cargo test --locked --test "$1" --no-run --message-format=json-render-diagnostics |
    jq -r --arg name "$1" 'select(.reason == "compiler-artifact" and .target.name == $name) | .executable'
}

# The kernel, unpacked once.
if [ ! -e "$work/kernel/complete" ]; then
  rm -rf "$work/kernel"
  mkdir -p "$work/kernel/root"
  apt-cache show linux-image-amd64 >/dev/null 2>&1 || apt-get update -qq
  package=$(apt-cache depends linux-image-amd64 | awk '/Depends:/ { print $2; exit }')
  (cd "$work/kernel" && apt-get -o APT::Sandbox::User=root download -qq "$package" && dpkg -x "$package"_*.deb root &&
    dpkg-deb -f "$package"_*.deb Version >package-version && rm -- *.deb)
  depmod -b "$work/kernel/root" "$(ls "$work/kernel/root/lib/modules")"
  touch "$work/kernel/complete"
fi
version=$(ls "$work/kernel/root/lib/modules")

# v4l2loopback, which Debian has as source.
loopback=$work/kernel/v4l2loopback.ko
if [[ $tests == *v4l2* && ! -e $loopback ]]; then
  echo "test-vm: building v4l2loopback"
  packaging/install-packages "linux-headers-$version"
  build=$work/v4l2loopback
  rm -rf "$build"
  mkdir -p "$build"
  (cd "$build" && apt-get -o APT::Sandbox::User=root download -qq v4l2loopback-dkms &&
    dpkg-deb --fsys-tarfile v4l2loopback-dkms_*.deb | tar -x --strip-components=4 --wildcards './usr/src/*/*.[ch]' &&
    rm -- *.deb)
  echo 'obj-m := v4l2loopback.o' >"$build/Kbuild"
  make -s -C "/usr/src/linux-headers-$version" M="$build" modules >/dev/null
  strip --strip-debug -o "$loopback" "$build/v4l2loopback.ko"
fi

# Files of the very source of that kernel, put into $1.
kernel_source() {
  local build=$1 series source
  shift
  series=$(cut -d. -f1,2 <<<"$version")
  source=linux-source-$series
  (cd "$build" && apt-get -o APT::Sandbox::User=root download -qq "$source=$(cat "$work/kernel/package-version")" &&
    dpkg-deb --fsys-tarfile "$source"_*.deb | tar -xO "./usr/src/$source.tar.xz" >source.tar.xz &&
    tar -xJf source.tar.xz --strip-components=1 --occurrence=1 "${@/#/$source/}" &&
    rm -- *.deb source.tar.xz)
}

# A device that decodes. Debian's kernel is built without what such devices are made of.
m2m_decoder=$work/kernel/m2m_decoder.ko
if [[ $tests == *v4l2* && tests/vm/m2m_decoder.c -nt $m2m_decoder ]]; then
  echo "test-vm: building the device that decodes"
  packaging/install-packages "linux-headers-$version"
  build=$work/m2m_decoder
  rm -rf "$build"
  mkdir -p "$build"
  kernel_source "$build" drivers/media/v4l2-core/v4l2-mem2mem.c
  cp "$build/drivers/media/v4l2-core/v4l2-mem2mem.c" "$build"
  cp tests/vm/m2m_decoder.c "$build/paints.c"
  printf 'obj-m := m2m_decoder.o\nm2m_decoder-y := paints.o v4l2-mem2mem.o\n' >"$build/Kbuild"
  make -s -C "/usr/src/linux-headers-$version" M="$build" modules >/dev/null
  strip --strip-debug -o "$m2m_decoder" "$build/m2m_decoder.ko"
fi

# The simulated GPIO chip. Debian's kernel is built without it.
gpio_sim=$work/kernel/gpio-sim.ko
if [[ $tests == *relay* && ! -e $gpio_sim ]]; then
  echo "test-vm: building the kernel's gpio-sim"
  packaging/install-packages "linux-headers-$version"
  build=$work/gpio-sim
  rm -rf "$build"
  mkdir -p "$build"
  kernel_source "$build" drivers/gpio/gpio-sim.c drivers/gpio/gpiolib.h kernel/irq/irq_sim.c
  cp "$build/drivers/gpio/gpio-sim.c" "$build/chip.c"
  cp "$build"/{drivers/gpio/gpiolib.h,kernel/irq/irq_sim.c} "$build"
  # Modules may not call irq_to_desc; later kernels have this line.
  sed -i 's/handle_simple_irq(irq_to_desc(irqnum));/generic_handle_irq(irqnum);/' "$build/irq_sim.c"
  printf 'obj-m := gpio-sim.o\ngpio-sim-y := chip.o irq_sim.o\n' >"$build/Kbuild"
  make -s -C "/usr/src/linux-headers-$version" M="$build" modules >/dev/null
  strip --strip-debug -o "$gpio_sim" "$build/gpio-sim.ko"
fi

echo "test-vm: laying out the machine"
disk=$work/disk
rm -rf "$disk"
mkdir -p "$disk"/{bin,dev,proc,sys,tmp,modules,models,shared/video}
cp /bin/busybox "$disk/bin/"
for name in sh cat insmod ip ln mkdir mkfifo mount poweroff rmmod; do ln -s busybox "$disk/bin/$name"; done
# Each program with the libraries it is linked to, at their own places.
install_program() {
  install -D "$1" "$disk/bin/$2"
  strip --strip-debug "$disk/bin/$2" 2>/dev/null || true
  install_libraries "$1"
}
install_libraries() {
  { ldd "$1" | awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }'; } | while read -r library; do
    [ -e "$disk$library" ] || install -D -m 755 "$(readlink -f "$library")" "$disk$library"
  done
}
# An engine's data in $1, with the person of the clip $3, or else of the portrait among the models $2, enrolled: out here
# that takes a second, in there minutes.
enroll() {
  local door=$1 engine_is photo=$2/astronaut.png
  export DOORWARD_MODELS_DIR=$2
  mkdir -p "$door"
  (umask 077 && od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$door/password")
  target/debug/doorward engine user add --username door --role Administrator --password-file "$door/password" \
    --data "$door/engine"
  if [ -e "$3" ]; then
    photo=$work/photo.jpg
    mkdir -p "$work/photo/detectors"
    : >"$work/photo/doorward.toml"
    printf 'time_zone = "UTC"\n[camera]\ntype = "replay"\npath = "%s"\n' "$(realpath "$3")" >"$work/photo/detectors/door.toml"
    target/debug/doorward camera snapshot --config "$work/photo/doorward.toml" --out "$photo" --force
  fi
  target/debug/doorward engine serve --listen 127.0.0.1:0 --data "$door/engine" >"$work/engine.log" 2>"$work/engine.errors" &
  engine_is=$!
  trap "kill $engine_is" EXIT
  until grep -q 'listening on' "$work/engine.log"; do
    kill -0 "$engine_is" && sleep 0.1 || { cat "$work/engine.errors" >&2; exit 1; }
  done
  target/debug/doorward identities enroll --url "$(sed -n 's/.*listening on //p' "$work/engine.log" | head -1)" \
    --username door --password-file "$door/password" --photo "$photo" --first-name Mara --tag staff --json >"$door/enrolled.json"
  trap - EXIT
  kill "$engine_is"
  wait "$engine_is" || true
}
for test in $tests; do install_program "$(built "${test}_vm")" "${test}_vm"; done
install_program target/debug/doorward doorward
install_program "$(command -v v4l2-ctl)" v4l2-ctl
# Where the tests were built to look for it.
mkdir -p "$disk$PWD/target/debug"
ln -s /bin/doorward "$disk$PWD/target/debug/doorward"
if [[ $tests == *v4l2* ]]; then
  # Whichever models there are, without those for liveness, and a clip of a person where the shared test data has one.
  models=${DOORWARD_MODELS_DIR:-models}
  find "$models" -maxdepth 1 -type f ! -name '*minifas*' -exec cp -t "$disk/models" {} +
  for library in "$disk"/models/*.so*; do install_libraries "$library"; done
  clip=${DOORWARD_TEST_SHARED:+$DOORWARD_TEST_SHARED/video/head-pose-face-detection-female.mjpg.avi}
  [ ! -e "$clip" ] || cp "$clip" "$disk/shared/video"
  enroll "$disk/door" "$models" "$clip"
  mkdir -p "$disk/va"
  gcc -std=gnu11 -O1 -shared -fPIC -o "$disk/va/paints_drv_video.so" tests/vm/va_driver.c
fi

number=10
for module in $(for name in configfs vivid vgem; do modprobe -S "$version" -d "$work/kernel/root" --show-depends "$name"; done |
  awk '/insmod/ && !seen[$2]++ { print $2 }'); do
  cp "$module" "$disk/modules/$number-$(basename "$module")"
  number=$((number + 1))
done
if [[ $tests == *v4l2* ]]; then
  cp "$m2m_decoder" "$disk/modules/97-m2m_decoder.ko"
  cp "$loopback" "$disk/modules/98-v4l2loopback.ko"
fi
[[ $tests != *relay* ]] || cp "$gpio_sim" "$disk/modules/99-gpio-sim.ko"
echo "$tests" >"$disk/tests"
cat >"$disk/init" <<'INIT'
#!/bin/sh
export PATH=/bin
mount -t devtmpfs none /dev
mount -t proc none /proc
mount -t sysfs none /sys
mount -t tmpfs none /tmp
ip link set lo up
# One webcam with single-planar buffers and only a capture node, as a USB camera has.
export VIVID_OPTIONS="n_devs=1 node_types=0x1 num_inputs=1 input_types=0x0 multiplanar=1"
for module in /modules/*; do
  case $module in
  *vivid*) export VIVID=$module options=$VIVID_OPTIONS ;;
  # Its test brings it in.
  *m2m_decoder*) export M2M_DECODER=$module && continue ;;
  *loopback*) options="devices=1 video_nr=9 card_label=Loopback" ;;
  *) options= ;;
  esac
  insmod "$module" $options || echo "test-vm: insmod $module failed"
done
# What udev does on a real machine.
mkdir -p /dev/v4l/by-id
ln -s ../../video0 /dev/v4l/by-id/usb-Vivid_Test_Camera_0001-video-index0
mount -t configfs none /sys/kernel/config
export RUST_BACKTRACE=1 DOORWARD_MODELS_DIR=/models DOORWARD_TEST_SHARED=/shared
export LIBVA_DRIVERS_PATH=/va LIBVA_DRIVER_NAME=paints
failed=0
for test in $(cat /tests); do ${test}_vm --test-threads=1 --nocapture || failed=1; done
echo "test-vm: exit $failed"
poweroff -f
INIT
chmod +x "$disk/init"
(cd "$disk" && find . | cpio -o -H newc --quiet) >"$work/initrd"

echo "test-vm: booting Linux $version"
timeout 600 qemu-system-x86_64 -m 3072 -smp 2 -cpu max -nographic -no-reboot -nic none \
  -kernel "$work/kernel/root/boot/vmlinuz-$version" -initrd "$work/initrd" \
  -append "console=ttyS0 quiet panic=-1" </dev/null | tr -d '\r' | tee "$work/console.log"
grep -q '^test-vm: exit 0$' "$work/console.log" || { echo "test-vm: failed" >&2; exit 1; }
