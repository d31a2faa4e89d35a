//! What the process tells of itself: logs, metrics, panics.
//!
//! In: [`LogOptions`] and the environment. Out: log lines on standard error, a [`Metrics`] handle to render, and
//! [`Repeated`], which turns a storm of one error into a line a minute. It does not know what is worth telling.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};
use parking_lot::Mutex;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// Wins over `log.filter`.
pub const FILTER_VARIABLE: &str = "RUST_LOG";

/// The buckets of every duration, in seconds: from an inference on a fast machine to an engine that is about to time
/// out.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("`{filter}` is not a log filter; write it like `info,doorward::capture=debug`")]
    Filter { filter: String, source: ParseError },
    #[error("cannot start logging; it was started before in this process")]
    Logs { source: TryInitError },
    #[error("cannot start counting; it was started before in this process")]
    Metrics { source: BuildError },
}

/// What is logged, and how.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// `info`, or per module, `info,doorward::capture=debug`.
    pub filter: String,
    /// A JSON object per event, and not a line for people. (That has no time stamp under systemd, whose journal has its
    /// own.)
    pub json: bool,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { filter: "info".into(), json: false }
    }
}

/// Everything counted so far, as Prometheus reads it: `render` gives the text a server scrapes, `run_upkeep` sums up
/// what was measured since the last call. Without either, single measurements pile up in memory.
pub use metrics_exporter_prometheus::PrometheusHandle as Metrics;

/// Starts logging, counting and the panic hook, once per process.
pub fn start(options: &LogOptions) -> Result<Metrics, TelemetryError> {
    logs(options)?;
    panic_hook();
    metrics()
}

/// Logs to standard error as configured; `RUST_LOG` wins over the configured filter.
pub fn logs(options: &LogOptions) -> Result<(), TelemetryError> {
    let named = std::env::var(FILTER_VARIABLE).ok().filter(|filter| !filter.is_empty());
    let filter = filter(named.as_deref().unwrap_or(&options.filter))?;
    let base = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if options.json {
        base.json().flatten_event(true).finish().try_init()
    } else if goes_to_the_journal() {
        base.with_ansi(false).event_format(Journal).finish().try_init()
    } else {
        let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        base.with_ansi(colours).finish().try_init()
    };
    started.map_err(|source| TelemetryError::Logs { source })
}

/// A filter like `info,doorward::capture=debug`. ONNX Runtime tells of every piece of memory it takes; only its
/// warnings are logged unless the filter names it (`ort=info`).
pub fn filter(text: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder()
        .parse(format!("ort=warn,{text}"))
        .map_err(|source| TelemetryError::Filter { filter: text.to_owned(), source })
}

/// Counts from now on. Somebody has to call [`Metrics::run_upkeep`] every few seconds.
pub fn metrics() -> Result<Metrics, TelemetryError> {
    let built = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS);
    let built = built.and_then(PrometheusBuilder::install_recorder);
    built.map_err(|source| TelemetryError::Metrics { source })
}

/// Logs and counts a panic with its place and thread, and without its message, which may hold what must not be told.
pub fn panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let (thread, location) = (thread.name().unwrap_or("unnamed"), panic.location().map(ToString::to_string));
        let location = location.unwrap_or_else(|| "an unknown place".into());
        metrics::counter!("doorward_telemetry_panics_total").increment(1);
        if tracing::dispatcher::has_been_set() {
            tracing::error!(thread, location, "the thread {thread} panicked at {location}; please report this");
        } else {
            // Standard error may be gone; then there is nobody left to tell.
            let _ =
                writeln!(std::io::stderr(), "doorward: the thread {thread} panicked at {location}; please report this");
        }
    }));
}

/// One kind of trouble, told at most once per period.
///
/// ```text
/// note -> told -> more within the period: counted -> the first after it: told, with how many there were and since when
/// ```
#[derive(Debug)]
pub struct Repeated {
    period: Duration,
    /// No other lock is taken with it.
    state: Mutex<Repeats>,
}

#[derive(Debug, Default)]
struct Repeats {
    told: Option<Instant>,
    /// How many since then were not told.
    untold: u32,
    /// Something was told that has not been taken back.
    open: bool,
}

impl Repeated {
    pub fn new(period: Duration) -> Self {
        Self { period, state: Mutex::default() }
    }

    /// One more; gives the line to log now, if any: the error as it is, or "N in the last 5 minutes, last was: …"
    /// where there were others since the last line.
    pub fn note(&self, now: Instant, error: impl fmt::Display) -> Option<String> {
        let mut state = self.state.lock();
        let since = state.told.map(|told| now.saturating_duration_since(told));
        if since.is_some_and(|since| since < self.period) {
            state.untold += 1;
            return None;
        }
        let untold = std::mem::take(&mut state.untold);
        (state.told, state.open) = (Some(now), true);
        Some(match since {
            Some(since) if untold > 0 => format!("{} in the last {}, last was: {error}", untold + 1, span(since)),
            _ => error.to_string(),
        })
    }

    /// The trouble is over; whether something was told of it that is to be taken back.
    pub fn is_over(&self) -> bool {
        std::mem::take(&mut self.state.lock().open)
    }
}

/// A stretch of time for people, in the largest whole unit of which there is more than one, or a minute.
fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        60..120 => "minute".into(),
        seconds @ 120..7200 => format!("{} minutes", seconds / 60),
        seconds => format!("{} hours", seconds / 3600),
    }
}

impl Default for Repeated {
    /// Once a minute.
    fn default() -> Self {
        Self::new(Duration::from_secs(60))
    }
}

/// Lines for systemd's journal: its priority in front (sd-daemon(3)), no time, which the journal has.
struct Journal;

impl<S, N> FormatEvent<S, N> for Journal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::new();
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            line.push_str(span.name());
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>().filter(|fields| !fields.is_empty()) {
                line.push_str(&format!("{{{fields}}}"));
            }
            line.push_str(": ");
        }
        context.field_format().format_fields(Writer::new(&mut line), event)?;
        let priority = priority(*event.metadata().level());
        // The journal takes every line for an entry of its own.
        line.lines().try_for_each(|line| writeln!(to, "<{priority}>{line}"))
    }
}

/// syslog's number for a level.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// Whether standard error is the journal's: `$JOURNAL_STREAM` names its device and inode (systemd.exec(5)).
fn goes_to_the_journal() -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(about) = nix::sys::stat::fstat(std::io::stderr()) else { return false };
    named == format!("{}:{}", about.st_dev, about.st_ino)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn repeats_become_one_line_a_minute() {
        let start = Instant::now();
        let repeated = Repeated::default();
        let at = |seconds| start + Duration::from_secs(seconds);
        for (seconds, error, expected) in [
            (0, "a", Some("a")),
            (1, "b", None),
            (59, "c", None),
            (60, "d", Some("3 in the last minute, last was: d")),
            (61, "e", None),
            // After quiet hours it is told how long ago the others were.
            (3 * 3600 + 60, "f", Some("2 in the last 3 hours, last was: f")),
            (3 * 3600 + 300, "g", Some("g")),
            (3 * 3600 + 301, "h", None),
            (3 * 3600 + 600, "i", Some("2 in the last 5 minutes, last was: i")),
        ] {
            assert_eq!(repeated.note(at(seconds), error).as_deref(), expected, "at {seconds}");
        }
        assert!(repeated.is_over() && !repeated.is_over(), "it is taken back once");
        assert_eq!(repeated.note(at(3 * 3600 + 601), "j"), None);
        assert!(!repeated.is_over(), "nothing more was told");
    }

    /// A writer into memory.
    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_journal_gets_priorities_and_no_time() {
        let memory = Memory::default();
        let writer = memory.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .event_format(Journal)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("detector", name = "front").entered();
            tracing::error!(visit = 7, "the engine is gone");
            tracing::warn!("two\nlines");
            tracing::info!("started");
            tracing::debug!("detail");
        });
        let text = String::from_utf8(memory.0.lock().clone()).unwrap();
        let span = "detector{name=\"front\"}: ";
        let expected = [
            format!("<3>{span}the engine is gone visit=7"),
            format!("<4>{span}two"),
            "<4>lines".into(),
            format!("<6>{span}started"),
            format!("<7>{span}detail"),
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_panic_is_told_without_its_message() {
        let memory = Memory::default();
        let writer = memory.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let before = std::panic::take_hook();
        panic_hook();
        let outcome = tracing::subscriber::with_default(subscriber, || {
            std::panic::catch_unwind(|| panic!("{}", ["hunt", "er2"].concat()))
        });
        std::panic::set_hook(before);
        assert!(outcome.is_err());
        let text = String::from_utf8(memory.0.lock().clone()).unwrap();
        assert!(text.contains("panicked at crates/telemetry/src/lib.rs:") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn filters_are_checked() {
        for (text, good) in [("info", true), ("info,doorward::capture=debug", true), ("warn,doorward=loud", false)] {
            assert_eq!(filter(text).is_ok(), good, "{text}");
        }
    }
}
