//! HLS as a real web server gives it: live, at the pace of the camera, with whatever goes wrong on the way.
//!
//! In: a playlist that grows by a piece whenever the camera has filmed one. Out: when its frames are seen, what is told
//! while it does not grow, and what is fetched of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use doorward::capture::CameraState;
use doorward::config::{CameraConfig, from_toml};
use ffmpeg_next::codec::Id;
use tempfile::TempDir;

use super::clip::{Clip, frames};
use super::trusted::Certificate;
use super::watched::{Watched, metric};
use super::web::WebServer;

const FPS: usize = 25;
/// How much a piece holds.
const PIECE: Duration = Duration::from_secs(1);
const PER_PIECE: usize = FPS * PIECE.as_secs() as usize;
/// Pieces on the list.
const LISTED: usize = 3;
const PIECES: usize = 40;

/// A camera that writes pieces and their list into a folder, and goes on until it is dropped.
struct Live {
    folder: TempDir,
    grows: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    films: Option<JoinHandle<()>>,
}

impl Live {
    /// Of these sizes, each in a list of its own; `missing` is a piece that is listed and never there.
    fn start(sizes: &[(u32, u32)], missing: Option<usize>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let filmed: Vec<_> = sizes.iter().map(|&size| (size, film(size))).collect();
        let (grows, over) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        let (at, go, end) = (folder.path().to_owned(), grows.clone(), over.clone());
        let publish = move |last: usize| {
            for ((width, _), pieces) in &filmed {
                if missing != Some(last) {
                    std::fs::write(at.join(format!("{width}-{last}.ts")), &pieces[last % PIECES]).unwrap();
                }
                list(&at, *width, last);
            }
        };
        (0..LISTED).for_each(&publish);
        let films = thread::spawn(move || {
            let (mut last, mut due) = (LISTED, Instant::now() + PIECE);
            while !end.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(10));
                if Instant::now() >= due && go.load(Ordering::Relaxed) {
                    publish(last);
                    (last, due) = (last + 1, Instant::now() + PIECE);
                }
            }
        });
        let mut master = "#EXTM3U\n".to_owned();
        for (width, height) in sizes {
            let bandwidth = width * 1000;
            master += &format!("#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},RESOLUTION={width}x{height}\n{width}.m3u8\n");
        }
        std::fs::write(folder.path().join("master.m3u8"), master).unwrap();
        Self { folder, grows, over, films: Some(films) }
    }

    fn grows(&self, grows: bool) {
        self.grows.store(grows, Ordering::Relaxed);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(films) = self.films.take() {
            let _ = films.join();
        }
    }
}

/// One long stream in pieces, each of which begins with a key frame.
fn film((width, height): (u32, u32)) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("long.ts");
    let clip = Clip { key_every: PER_PIECE as u32, ..Clip::steady(Id::MPEG4, (width, height), PIECES * PER_PIECE, 40) };
    // No two frames are alike, or the camera would be frozen.
    clip.write(&file, |frame| vec![(frame % 50 * 5) as u8; (width * height * 3) as usize]);
    let bytes = std::fs::read(&file).unwrap();
    // The tables of the stream stand before each key frame: two packets.
    let begins: Vec<_> =
        frames(&file).iter().step_by(PER_PIECE).map(|(at, _)| (at / 188 * 188).saturating_sub(2 * 188)).collect();
    (0..begins.len()).map(|n| bytes[begins[n]..*begins.get(n + 1).unwrap_or(&bytes.len())].to_vec()).collect()
}

fn list(folder: &Path, width: u32, last: usize) {
    let (first, secs) = ((last + 1).saturating_sub(LISTED), PIECE.as_secs());
    let mut text = format!("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{secs}\n#EXT-X-MEDIA-SEQUENCE:{first}\n");
    for n in first..=last {
        text += &format!("#EXTINF:{secs}.0,\n{width}-{n}.ts\n");
    }
    // All at once, as whoever reads it may come at any moment.
    std::fs::write(folder.join("next"), text).unwrap();
    std::fs::rename(folder.join("next"), folder.join(format!("{width}.m3u8"))).unwrap();
}

fn camera(url: &str, more: &str) -> CameraConfig {
    from_toml(&format!("type = 'stream'\nurl = '{url}'\n{more}")).unwrap()
}

fn reconnects(name: &str) -> f64 {
    metric(&format!("doorward_capture_reconnects_total{{detector=\"{name}\"}}"))
}

#[test]
fn a_live_playlist_is_shown_at_its_pace_and_what_is_missing_of_it_is_passed_over() {
    let live = Live::start(&[(64, 48)], Some(LISTED + 2));
    let certificate = Certificate::new(live.folder.path(), "server", "127.0.0.1", 2041);
    let plain = WebServer::start(live.folder.path(), &[]);
    let secure = WebServer::start(live.folder.path(), &certificate.as_option());
    let cameras = [
        ("hls-http", format!("http://127.0.0.1:{}/64.m3u8", plain.port), String::new()),
        ("hls-https", format!("https://127.0.0.1:{}/64.m3u8", secure.port), certificate.by_file()),
    ]
    .map(|(name, url, trust)| {
        (name, Watched::start(name, camera(&url, &format!("stall_ms = 10000\n{trust}")), Duration::ZERO))
    });
    for (name, camera) in cameras {
        // Four pieces, of which one is missing.
        camera.wait_for_frames(3 * PER_PIECE + 10);
        let frames = camera.stop();
        let within = |range: std::ops::Range<usize>| frames[range.end].time.offset - frames[range.start].time.offset;
        // Not all of a piece at once.
        for piece in 0..3 {
            let took = within(piece * PER_PIECE + 4..piece * PER_PIECE + 20);
            assert!(took > PIECE / 3, "{name}: 16 frames within {took:?}");
        }
        assert_eq!(reconnects(name), 0.0, "{name}: it was opened again");
    }
    assert!(plain.requests().iter().any(|line| line.contains(&format!("/64-{}.ts", LISTED + 2))), "it was asked for");
}

#[test]
fn a_playlist_that_no_longer_grows_is_a_fault_and_shows_nothing_old_until_it_does() {
    let live = Live::start(&[(64, 48)], None);
    let server = WebServer::start(live.folder.path(), &[]);
    let url = format!("http://127.0.0.1:{}/64.m3u8", server.port);
    let watched = Watched::start("hls-stops", camera(&url, "stall_ms = 1500"), Duration::ZERO);
    watched.wait_for_frames(5);
    live.grows(false);
    let state = watched.wait_for(|state| matches!(state, CameraState::Failed { .. }));
    assert!(format!("{state:?}").contains("no frame for"), "{state:?}");
    let seen = watched.frames.lock().unwrap().len();
    // Long enough to open it again.
    let asked = server.requests().len();
    watched.until(|| server.requests().len() >= asked + 4, || "it is asked for again".into());
    thread::sleep(Duration::from_millis(300));
    assert_eq!(watched.frames.lock().unwrap().len(), seen, "what was there was shown as if it were new");
    live.grows(true);
    watched.wait_for_frames(seen + 5);
    watched.stop();
}

#[test]
fn of_several_variants_the_largest_is_shown_and_no_other_fetched() {
    let live = Live::start(&[(64, 48), (128, 96), (32, 24)], None);
    let server = WebServer::start(live.folder.path(), &[]);
    let url = format!("http://127.0.0.1:{}/master.m3u8", server.port);
    let watched = Watched::start("hls-variants", camera(&url, ""), Duration::ZERO);
    watched.wait_for_frames(2 * PER_PIECE + 5);
    assert!(watched.stop().iter().all(|frame| frame.picture.width() == 128));
    let fetched = |width: &str| server.requests().iter().filter(|line| line.contains(&format!("/{width}-"))).count();
    assert!(fetched("128") >= 3 && fetched("64") <= 2 && fetched("32") <= 2, "{:?}", server.requests());
}
