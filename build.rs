//! What the linker is told: see `src/capture/ffmpeg/tls.rs`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // FFmpeg asks for this function with a version, for which some linkers do not show it the program's own.
    println!("cargo::rustc-link-arg=-Wl,--export-dynamic-symbol=gnutls_handshake");
}
