//! `doorward demo`: everything at work on this machine, for a newcomer to watch.
//!
//! An engine on loopback with a throw-away data folder, a person with a tag enrolled from one picture, a recording of
//! visitors who walk up to the camera, and the real agent between them: nothing here is known to any other room.

pub mod walk;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use engine::{self, Engine};
use faces::detect::{self, Face, FaceDetector};
use faces::models::{ModelStore, Role};
use faces::picture::Picture;
use identities::Client;
use identities::wire::{Base64, FaceEnrollQuery, FaceEnrollRequest, PersonAlias};
use secrecy::SecretString;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::walk::Walk;
use super::CommandResult;
use super::identities::give_tag;
use super::replay::play;
use crate::agent::{self, Event};
use crate::cli::DemoArgs;
use crate::config::{
    ActionConfig, CameraConfig, DetectorConfig, DetectorName, IdentitiesConfig, JournalConfig, OutcomeKind, Pace,
    ReplayConfig, RuleConfig, Settings, WebhookConfig, WhenConfig,
};
use crate::recognition::Answer;
use crate::terminal::{self, ExitCode};
use crate::visits::{ActionResult, VisitOutcome};

/// The person the engine knows. The picture is NASA's portrait of her, in the public domain.
const KNOWN: (&str, &str, &str) = ("Eileen", "Collins", "VIP");
/// A picture with strangers in it.
const STRANGERS: &str = "sample3";
/// Frames nobody is in between two visitors: longer than a visit waits for a face that is gone.
const GAP_FRAMES: u32 = 26;
const WALK_FRAMES: u32 = 34;
const DETECTOR: &str = "demo-door";
const USER: &str = "demo-door";

pub async fn run(args: DemoArgs) -> CommandResult {
    let mut settings = Settings::default();
    settings.log.filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "warn".into());
    telemetry::start(&settings.log.options())?;
    let tell = Teller { json: args.json, started: Instant::now(), read: Cell::new(true) };
    let scratch = tempfile::tempdir().context("cannot make a throw-away folder")?;
    let store = ModelStore::locate(None);

    tell.note("models", &models(&store)?);
    let stop = agent::stop_on_signal()?;
    let engine = start_engine(scratch.path().join("engine"), &store, stop.child_token()).await?;
    tell.note("engine", &format!("{} with an empty data folder", engine.url));
    let photo = store.picture("astronaut").context("the demo's known person")?;
    enroll(&engine, &photo).await?;
    tell.note("enrolled", &format!("{} {} with the tag {}, from one picture", KNOWN.0, KNOWN.1, KNOWN.2));
    let (folder, pictures) = (scratch.path().join("recording"), store.clone());
    let frames = tokio::task::spawn_blocking(move || record(&pictures, &photo, &folder).map(|n| (n, folder)));
    let (frames, folder) = frames.await??;
    let who = KNOWN.0;
    let text = format!("{frames} frames: {who} walks up, then a stranger, then {who} again, mirrored in dim light");
    tell.note("recorded", &text);
    let desk = front_desk(stop.child_token()).await?;
    configure(&mut settings, engine, scratch.path(), folder, desk, !args.once)?;

    tell.note("watching", "press Ctrl-C to stop");
    let mut summary = Summary::default();
    let played = play(settings, false, stop.clone(), |event| {
        summary.note(&event);
        tell.event(&event);
        tell.read.get()
    });
    played.await?;
    stop.cancel();
    tell.summary(&summary);
    Ok(if summary.visits > 0 || !tell.read.get() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Which models will be used.
fn models(store: &ModelStore) -> Result<String> {
    let detector = store.choose(Role::Detector, "auto")?;
    let embedder = store.choose(Role::Embedder, "auto")?;
    Ok(format!("{} finds faces, {} tells them apart, from {}", detector.name, embedder.name, store.place()))
}

/// Serves the embedded engine on loopback; gives the way in.
async fn start_engine(data: PathBuf, store: &ModelStore, stop: CancellationToken) -> Result<IdentitiesConfig> {
    let password = SecretString::from(uuid::Uuid::new_v4().to_string());
    let (store, given) = (store.clone(), password.clone());
    let opened = tokio::task::spawn_blocking(move || -> Result<Engine> {
        let engine = Engine::open(&data, &store, "auto")?;
        engine.accounts().put(USER, "Administrator", &given)?;
        Ok(engine)
    });
    let engine = opened.await??;
    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on loopback")?;
    let url = format!("http://{}", listener.local_addr()?).parse()?;
    tokio::spawn(engine::serve(listener, engine, None, None, stop.cancelled_owned()));
    Ok(IdentitiesConfig::new(url, USER, password))
}

/// Enrols the known person over HTTP, as anybody would.
async fn enroll(engine: &IdentitiesConfig, photo: &Path) -> Result<()> {
    let client = Client::new(&engine.client())?;
    let photo = tokio::fs::read(photo).await.with_context(|| format!("cannot read {}", photo.display()))?;
    let request = FaceEnrollRequest { face_image: Base64(photo.into()), photo_reference_id: None };
    let person = client.face_enroll(&FaceEnrollQuery::default(), &request).await?.person_id;
    let [first_name, last_name] = [KNOWN.0, KNOWN.1].map(|name| Some(name.to_owned()));
    client.put_alias(&person, &PersonAlias { first_name, last_name, ..PersonAlias::default() }).await?;
    give_tag(&client, &person, Vec::new(), KNOWN.2, None).await.map(drop)
}

/// Opens an HTTP receiver for the webhook, which stands in for the reception's own system; gives its address.
async fn front_desk(stop: CancellationToken) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on loopback")?;
    let url = format!("http://{}/visitors", listener.local_addr()?);
    let app = axum::Router::new().route("/visitors", axum::routing::post(|| async { "noted" }));
    let server = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned());
    tokio::spawn(async move { server.await });
    Ok(url)
}

fn configure(
    settings: &mut Settings,
    engine: IdentitiesConfig,
    scratch: &Path,
    recording: PathBuf,
    desk: String,
    looped: bool,
) -> Result<()> {
    settings.state_dir = scratch.join("state");
    settings.status.listen = None;
    settings.identities = Some(engine);
    settings.actions = BTreeMap::from([
        ("journal".to_string(), ActionConfig::Journal(JournalConfig::new(scratch.join("visits.jsonl")))),
        ("front-desk".to_string(), ActionConfig::Webhook(WebhookConfig::new(desk))),
    ]);
    let camera = ReplayConfig { path: recording, pace: Pace::Recorded, fps: Some(walk::FPS), looped, starts_at: None };
    let name = DetectorName::new(DETECTOR).map_err(|error| anyhow!(error))?;
    let mut detector = DetectorConfig::new(name, CameraConfig::Replay(camera));
    let rule = |name: &str, when, action: &str| RuleConfig {
        when,
        cooldown_secs: Some(5),
        ..RuleConfig::new(name, vec![action.into()])
    };
    detector.rules = vec![
        rule("vip", WhenConfig { tags_any: vec![KNOWN.2.into()], ..WhenConfig::default() }, "front-desk"),
        rule(
            "everybody",
            WhenConfig { outcome: vec![OutcomeKind::Known, OutcomeKind::Unknown], ..WhenConfig::default() },
            "journal",
        ),
    ];
    settings.detectors = vec![detector];
    Ok(())
}

/// Makes the recording: a folder of pictures. Blocks.
fn record(store: &ModelStore, known: &Path, folder: &Path) -> Result<u32> {
    std::fs::create_dir_all(folder)?;
    let mut detector = detect::load(store, &faces::detect::SearchOptions::default(), 2)?;
    let known = Picture::read(known)?;
    let known_face = largest(detector.as_mut(), &known)?;
    let group = Picture::read(&store.picture(STRANGERS).context("the demo's stranger")?)?;
    let face = largest(detector.as_mut(), &group)?;
    // Close enough to leave the neighbours out.
    let side = face.bbox.height * 1.7;
    let centre = face.bbox.centre();
    let [left, top] = [centre.x, centre.y].map(|middle| (middle - side / 2.0) as i64);
    let stranger = group.cropped(left, top, side as u32, side as u32)?;
    let stranger_face = largest(detector.as_mut(), &stranger)?;

    let first = Walk {
        picture: &known,
        face: &known_face,
        face_px: (54.0, 125.0),
        light: 0.9,
        sway_degrees: 8.0,
        blur: 1.0,
        mirrored: false,
        frames: WALK_FRAMES,
    };
    let walks = [
        first,
        Walk { picture: &stranger, face: &stranger_face, sway_degrees: 6.0, ..first },
        Walk { light: 0.55, sway_degrees: 12.0, blur: 1.6, mirrored: true, face_px: (50.0, 105.0), ..first },
    ];
    let doorway = walk::doorway();
    let nobody = || (0..GAP_FRAMES / 2).map(|_| Ok(doorway.clone()));
    let frames = walks.iter().flat_map(|walk| {
        let visitor = (0..walk.frames).map(|n| walk.frame(n, &doorway));
        nobody().chain(visitor).chain(nobody())
    });
    let mut saved = 0;
    for frame in frames {
        std::fs::write(folder.join(format!("{saved:05}.jpg")), frame?.jpeg(92)?)?;
        saved += 1;
    }
    Ok(saved)
}

fn largest(detector: &mut dyn FaceDetector, picture: &Picture) -> Result<Face> {
    detector.detect(picture)?.into_iter().next().context("the detector finds no face in the demo's picture")
}

/// What the last line tells.
#[derive(Default)]
struct Summary {
    visits: u32,
    recognised: u32,
    unknown: u32,
    actions: u32,
    first_faces: BTreeMap<crate::track::VisitId, Instant>,
    /// From a visit's first face to its first action's end.
    first_face_to_action: Vec<Duration>,
}

impl Summary {
    fn note(&mut self, event: &Event) {
        match event {
            Event::Sent { sent, .. } => {
                self.first_faces.entry(sent.visit).or_insert(sent.first_seen.arrived);
            }
            Event::Acted { request, outcome, at } if outcome.result == ActionResult::Done => {
                self.actions += 1;
                if let Some(first) = self.first_faces.remove(&request.visit) {
                    self.first_face_to_action.push(at.saturating_duration_since(first));
                }
            }
            Event::Closed(visit) => {
                self.visits += 1;
                match visit.outcome {
                    VisitOutcome::Known => self.recognised += 1,
                    VisitOutcome::Unknown => self.unknown += 1,
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// The middle and the longest, in milliseconds; nothing where no action was fired.
    fn times(&self) -> (Option<u64>, Option<u64>) {
        let mut sorted: Vec<_> = self.first_face_to_action.iter().map(|time| time.as_millis() as u64).collect();
        sorted.sort_unstable();
        (sorted.get(sorted.len().saturating_sub(1) / 2).copied(), sorted.last().copied())
    }
}

/// Prints what happens, for people or for programs.
struct Teller {
    json: bool,
    started: Instant,
    /// Somebody still reads standard output.
    read: Cell<bool>,
}

impl Teller {
    fn note(&self, word: &str, text: &str) {
        if self.json {
            self.json(&json!({ "event": word, "text": text }));
        } else {
            self.line(word, text, "");
        }
    }

    fn event(&self, event: &Event) {
        if self.json {
            event_json(event).iter().for_each(|line| self.json(line));
            return;
        }
        match event {
            Event::Sent { sent, .. } => {
                let which = if sent.number == 1 { "first" } else { "better" };
                let (visit, quality) = (short(&sent.visit), sent.shot.quality.total);
                self.line("sent", &format!("{which} shot of visit {visit}, quality {quality:.2}"), "");
            }
            Event::Answered(answered) => match &answered.recognition.answer {
                Answer::Known(known) => {
                    let name = known.person.name.as_deref().unwrap_or(&known.person.id);
                    let tags: Vec<_> = known.tags.iter().map(|tag| tag.name.as_str()).collect();
                    let sure =
                        known.match_confidence.map(|sure| format!(", match score {sure:.2}")).unwrap_or_default();
                    self.line("known", &format!("{name} [{}]{sure}", tags.join(", ")), "32");
                }
                Answer::Unknown { .. } => self.line("unknown", "the engine knows nobody with this face", "33"),
                other => self.line("answer", &format!("{other:?}"), "33"),
            },
            Event::Acted { request, outcome, .. } => {
                let end = if outcome.result == ActionResult::Done { "done" } else { "not done" };
                self.line("action", &format!("rule {}: {} {end}", request.rule, outcome.action), "36");
            }
            Event::Closed(visit) => {
                let seconds = (visit.last_seen - visit.first_seen).as_seconds_f32();
                let text = format!("visit {} after {seconds:.1} s: {}", short(&visit.id), visit.outcome.label());
                self.line("left", &text, "");
            }
            // What they show has been said by then.
            _ => {}
        }
    }

    fn summary(&self, summary: &Summary) {
        let (p50, max) = summary.times();
        if self.json {
            let line = json!({ "summary": {
                "visits": summary.visits,
                "recognised": summary.recognised,
                "unknown": summary.unknown,
                "actions": summary.actions,
                "first_face_to_action_ms": { "p50": p50, "max": max },
            }});
            self.json(&line);
            return;
        }
        let [p50, max] = [p50, max].map(|time| time.map_or("none".to_string(), |ms| format!("{ms} ms")));
        let Summary { visits, recognised, unknown, actions, .. } = summary;
        let times = format!("first face to action p50 {p50}, max {max}");
        let text =
            format!("{visits} visits: {recognised} recognised, {unknown} unknown; {actions} actions fired; {times}");
        self.line("summary", &text, "1");
    }

    fn line(&self, word: &str, text: &str, colour: &str) {
        let seconds = self.started.elapsed().as_secs_f32();
        let (before, word, after) = (format!("{seconds:6.1} s  "), format!("{word:<9}"), format!(" {text}"));
        let told = if colour.is_empty() || !std::io::stdout().is_terminal() {
            terminal::tell(&[before, word, after].concat())
        } else {
            terminal::coloured(&before, colour, &word, &after)
        };
        self.read.set(told && self.read.get());
    }

    fn json(&self, line: &serde_json::Value) {
        self.read.set(terminal::tell(&line.to_string()) && self.read.get());
    }
}

fn short(visit: &crate::track::VisitId) -> String {
    visit.to_string().chars().skip(24).collect()
}

/// What programs are told; `None` for what is only of use inside.
fn event_json(event: &Event) -> Option<serde_json::Value> {
    Some(match event {
        Event::Sent { sent, .. } => json!({
            "event": "sent",
            "visit": sent.visit.to_string(),
            "detector": sent.detector,
            "shot": sent.number,
            "quality": sent.shot.quality.total,
        }),
        Event::Answered(answered) => {
            let recognition = &answered.recognition;
            let known = recognition.answer.known();
            json!({
                "event": "recognised",
                "visit": recognition.visit.to_string(),
                "outcome": recognition.answer.kind(),
                "person": known.and_then(|known| known.person.name.as_ref()),
                "tags": known.map_or(Vec::new(), |known| known.tags.iter().map(|tag| &tag.name).collect()),
                "match_confidence": recognition.answer.match_confidence(),
            })
        }
        Event::Acted { request, outcome, .. } => json!({
            "event": "acted",
            "visit": request.visit.to_string(),
            "rule": request.rule,
            "action": outcome.action,
            "done": outcome.result == ActionResult::Done,
        }),
        Event::Presence(news) => {
            let present: Vec<_> = news.present.iter().map(|stay| stay.person().unwrap_or("unknown")).collect();
            json!({ "event": "presence", "detector": news.detector, "present": present })
        }
        Event::Closed(visit) => {
            json!({ "event": "closed", "visit": visit.id.to_string(), "outcome": visit.outcome.label() })
        }
        _ => return None,
    })
}
