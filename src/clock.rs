//! The clock that ages are measured on: it never steps, and it goes on while the machine sleeps.
//!
//! In: nothing. Out: moments, and which start of the machine they belong to. Rust's own `Instant::now` stands still
//! during a suspend, so that an answer from before it would pass for a fresh one; the wall clock is set by people and
//! by NTP. It does not know what is measured.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use uuid::Uuid;

/// Now. The moments are `Instant`s, and equal to those of `Instant::now` as long as the machine has not slept since the
/// process was started.
pub fn now() -> Instant {
    static START: OnceLock<(Instant, Duration)> = OnceLock::new();
    let Some(up) = up() else { return Instant::now() };
    let (instant, at_start) = START.get_or_init(|| (Instant::now(), up));
    // Two threads may race for the start: the one that read the clock earlier gets the start itself.
    *instant + up.saturating_sub(*at_start)
}

/// For how long the machine has been running, sleep included; `None` where the system does not tell.
pub fn up() -> Option<Duration> {
    clock_gettime(ClockId::CLOCK_BOOTTIME).ok().map(Duration::from)
}

/// Tells one start of the machine from another: what [`up`] gave is comparable within one only. `None` where the system
/// does not tell.
pub fn boot() -> Option<Uuid> {
    static BOOT: OnceLock<Option<Uuid>> = OnceLock::new();
    *BOOT.get_or_init(|| std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_runs_beside_the_systems_own() {
        let (before, age) = (now(), Instant::now());
        std::thread::sleep(Duration::from_millis(30));
        let passed = now() - before;
        assert!(
            passed >= Duration::from_millis(30) && passed <= age.elapsed() + Duration::from_millis(30),
            "{passed:?}"
        );
        assert!(now() >= before && up() >= Some(passed));
        assert_eq!((boot(), boot().is_some()), (boot(), true));
    }
}
