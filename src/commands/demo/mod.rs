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

use anyhow::{Context, Result};
use engine::{self, Engine};
use faces::detect::{self, Face, FaceDetector};
use faces::models::{ModelStore, Role};
use faces::picture::Picture;
use identities::Client;
use identities::wire::{Base64, FaceEnrollQuery, FaceEnrollRequest, PersonAlias};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::walk::Walk;
use super::CommandResult;
use super::engine::loopback;
use super::identities::give_tag;
use super::replay::play;
use crate::agent::{self, Event};
use crate::cli::DemoArgs;
use crate::config::{self, Settings, Surroundings};
use crate::recognition::{Answer, Recognition};
use crate::terminal::{self, ExitCode};
use crate::track::VisitId;
use crate::visits::{ActionResult, VisitOutcome};

/// The person the engine knows. The picture is NASA's portrait of her, in the public domain.
const KNOWN: (&str, &str, &str) = ("Eileen", "Collins", "VIP");
/// A picture with strangers in it.
const STRANGERS: &str = "sample3";
/// Frames nobody is in between two visitors: longer than a visit waits for a face that is gone.
const GAP_FRAMES: u32 = 26;
const WALK_FRAMES: u32 = 34;
const ACCOUNT: &str = "demo-door";

pub async fn run(args: DemoArgs) -> CommandResult {
    let scratch = tempfile::tempdir().context("cannot make a throw-away folder")?;
    let ((engine, engine_url), (desk, desk_url)) = (loopback().await?, loopback().await?);
    let password = Uuid::new_v4().to_string();
    let settings = configure(
        &scratch.path().join("config"),
        [
            ("SCRATCH", scratch.path().display().to_string()),
            ("ENGINE", engine_url.clone()),
            ("ACCOUNT", ACCOUNT.into()),
            ("PASSWORD", password.clone()),
            ("FRONT_DESK", format!("{desk_url}/visitors")),
            ("DOORWARD__DETECTORS__DEMO_DOOR__CAMERA__LOOP", (!args.once).to_string()),
        ],
    )?;
    telemetry::start(&settings.log.options())?;
    let tell = Teller { json: args.json, started: Instant::now(), read: Cell::new(true) };
    let store = ModelStore::locate(None);

    tell.note("models", &models(&store)?);
    let stop = agent::stop_on_signal()?;
    serve_engine(engine, scratch.path().join("engine"), &store, password.into(), stop.child_token()).await?;
    tell.note("engine", &format!("{engine_url} with an empty data folder"));
    let photo = store.picture("astronaut").context("the demo's known person")?;
    enroll(&settings, &photo).await?;
    tell.note("enrolled", &format!("{} {} with the tag {}, from one picture", KNOWN.0, KNOWN.1, KNOWN.2));
    let (folder, pictures) = (scratch.path().join("recording"), store.clone());
    let frames = tokio::task::spawn_blocking(move || record(&pictures, &photo, &folder)).await??;
    let who = KNOWN.0;
    let text = format!("{frames} frames: {who} walks up, then a stranger, then {who} again, mirrored in dim light");
    tell.note("recorded", &text);
    serve_front_desk(desk, stop.child_token());

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

/// Writes the demo's configuration into a folder and reads it as any other, with these variables around it.
fn configure<const N: usize>(folder: &Path, variables: [(&str, String); N]) -> Result<Settings> {
    let (main, detectors) = (folder.join("doorward.toml"), folder.join("detectors"));
    std::fs::create_dir_all(&detectors)?;
    std::fs::write(&main, include_str!("doorward.toml"))?;
    std::fs::write(detectors.join("demo-door.toml"), include_str!("demo-door.toml"))?;
    let variables = variables.map(|(name, value)| (name.to_owned(), value)).into();
    Ok(config::load_in(Some(&main), &Surroundings { variables, credentials: None })?.settings)
}

/// Which models will be used.
fn models(store: &ModelStore) -> Result<String> {
    let detector = store.choose(Role::Detector, "auto")?;
    let embedder = store.choose(Role::Embedder, "auto")?;
    Ok(format!("{} finds faces, {} tells them apart, from {}", detector.name, embedder.name, store.place()))
}

/// Serves the embedded engine, once it can be entered.
async fn serve_engine(
    listener: TcpListener,
    data: PathBuf,
    store: &ModelStore,
    password: SecretString,
    stop: CancellationToken,
) -> Result<()> {
    let store = store.clone();
    let opened = tokio::task::spawn_blocking(move || -> Result<Engine> {
        let engine = Engine::open(&data, &store, "auto")?;
        engine.accounts().put(ACCOUNT, "Administrator", &password)?;
        Ok(engine)
    });
    let options = engine::ServeOptions::default();
    tokio::spawn(engine::serve(listener, opened.await??, options, stop.cancelled_owned()));
    Ok(())
}

/// Enrols the known person over HTTP, as anybody would.
async fn enroll(settings: &Settings, photo: &Path) -> Result<()> {
    let engine = settings.identities.as_ref().context("the demo's engine")?;
    let client = Client::new(&engine.client())?;
    let photo = tokio::fs::read(photo).await.with_context(|| format!("cannot read {}", photo.display()))?;
    let request = FaceEnrollRequest { face_image: Base64(photo.into()), photo_reference_id: None };
    let person = client.face_enroll(&FaceEnrollQuery::default(), &request).await?.person_id;
    let [first_name, last_name] = [KNOWN.0, KNOWN.1].map(|name| Some(name.to_owned()));
    client.put_alias(&person, &PersonAlias { first_name, last_name, ..PersonAlias::default() }).await?;
    give_tag(&client, &person, Vec::new(), KNOWN.2, None).await.map(drop)
}

/// Answers the webhook, in the place of the reception's own system.
fn serve_front_desk(listener: TcpListener, stop: CancellationToken) {
    let app = axum::Router::new().route("/visitors", axum::routing::post(|| async { "noted" }));
    let server = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned());
    tokio::spawn(async move { server.await });
}

/// Makes the recording: a folder of pictures. Blocks.
fn record(store: &ModelStore, known: &Path, folder: &Path) -> Result<u32> {
    std::fs::create_dir_all(folder)?;
    let mut detector = detect::load(store, &faces::detect::SearchOptions::default(), 2)?;
    let known = Picture::read(known)?;
    let known_face = largest(&mut detector, &known)?;
    let group = Picture::read(&store.picture(STRANGERS).context("the demo's stranger")?)?;
    let face = largest(&mut detector, &group)?;
    // Close enough to leave the neighbours out.
    let side = face.bbox.height * 1.7;
    let centre = face.bbox.centre();
    let [left, top] = [centre.x, centre.y].map(|middle| (middle - side / 2.0) as i64);
    let stranger = group.cropped(left, top, side as u32, side as u32)?;
    let stranger_face = largest(&mut detector, &stranger)?;

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

fn largest(detector: &mut FaceDetector, picture: &Picture) -> Result<Face> {
    detector.detect(picture)?.into_iter().next().context("the detector finds no face in the demo's picture")
}

/// What the last line tells.
#[derive(Default)]
struct Summary {
    visits: u32,
    recognised: u32,
    unknown: u32,
    actions: u32,
    first_faces: BTreeMap<VisitId, Instant>,
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
        self.say(word, "", text, &json!({ "event": word, "text": text }));
    }

    fn event(&self, event: &Event) {
        match event {
            Event::Sent { sent, .. } => {
                let which = if sent.number == 1 { "first" } else { "better" };
                let (visit, quality) = (short(&sent.visit), sent.shot.quality.total);
                let json = json!({
                    "event": "sent",
                    "visit": sent.visit.to_string(),
                    "detector": sent.detector,
                    "shot": sent.number,
                    "quality": quality,
                });
                self.say("sent", "", &format!("{which} shot of visit {visit}, quality {quality:.2}"), &json);
            }
            Event::Answered(answered) => self.answer(&answered.recognition),
            Event::Acted { request, outcome, .. } => {
                let (rule, action, done) = (&request.rule, &outcome.action, outcome.result == ActionResult::Done);
                let json = json!({
                    "event": "acted",
                    "visit": request.visit.to_string(),
                    "rule": rule,
                    "action": action,
                    "done": done,
                });
                let end = if done { "done" } else { "not done" };
                self.say("action", "36", &format!("rule {rule}: {action} {end}"), &json);
            }
            // To people, what the others say is enough.
            Event::Presence(news) if self.json => {
                let present: Vec<_> = news.present.iter().map(|stay| stay.person().unwrap_or("unknown")).collect();
                let json = json!({ "event": "presence", "detector": news.detector, "present": present });
                self.say("present", "", "", &json);
            }
            Event::Closed(visit) => {
                let (seconds, outcome) = ((visit.last_seen - visit.first_seen).as_seconds_f32(), visit.outcome.label());
                let json = json!({ "event": "closed", "visit": visit.id.to_string(), "outcome": outcome });
                let text = format!("visit {} after {seconds:.1} s: {outcome}", short(&visit.id));
                self.say("left", "", &text, &json);
            }
            _ => {}
        }
    }

    fn answer(&self, recognition: &Recognition) {
        let known = recognition.answer.known();
        let name = known.and_then(|known| known.person.name.as_deref());
        let tags: Vec<_> = known.iter().flat_map(|known| &known.tags).map(|tag| tag.name.as_str()).collect();
        let sure = recognition.answer.match_confidence();
        let (word, colour, text) = match &recognition.answer {
            Answer::Known(known) => {
                let sure = sure.map(|sure| format!(", match score {sure:.2}")).unwrap_or_default();
                let text = format!("{} [{}]{sure}", name.unwrap_or(&known.person.id), tags.join(", "));
                ("known", "32", text)
            }
            Answer::Unknown { nearest, .. } => {
                let nearest = nearest.as_ref().map(|nearest| format!(", nearest {}", nearest.told()));
                let text = format!("the engine knows nobody with this face{}", nearest.unwrap_or_default());
                ("unknown", "33", text)
            }
            other => ("answer", "33", format!("{other:?}")),
        };
        let json = json!({
            "event": "recognised",
            "visit": recognition.visit.to_string(),
            "outcome": recognition.answer.kind(),
            "person": name,
            "tags": tags,
            "match_confidence": sure,
        });
        self.say(word, colour, &text, &json);
    }

    fn summary(&self, summary: &Summary) {
        let (p50, max) = summary.times();
        let Summary { visits, recognised, unknown, actions, .. } = summary;
        let json = json!({ "summary": {
            "visits": visits,
            "recognised": recognised,
            "unknown": unknown,
            "actions": actions,
            "first_face_to_action_ms": { "p50": p50, "max": max },
        }});
        let [p50, max] = [p50, max].map(|time| time.map_or("none".to_string(), |ms| format!("{ms} ms")));
        let times = format!("first face to action p50 {p50}, max {max}");
        let text =
            format!("{visits} visits: {recognised} recognised, {unknown} unknown; {actions} actions fired; {times}");
        self.say("summary", "1", &text, &json);
    }

    /// One thing that happened: a line for people, its word in a colour, or one of JSON.
    fn say(&self, word: &str, colour: &str, text: &str, json: &Value) {
        let seconds = self.started.elapsed().as_secs_f32();
        let (before, word, after) = (format!("{seconds:6.1} s  "), format!("{word:<9}"), format!(" {text}"));
        let told = if self.json {
            terminal::tell(&json.to_string())
        } else if colour.is_empty() || !std::io::stdout().is_terminal() {
            terminal::tell(&[before, word, after].concat())
        } else {
            terminal::coloured(&before, colour, &word, &after)
        };
        self.read.set(told && self.read.get());
    }
}

fn short(visit: &VisitId) -> String {
    visit.to_string().chars().skip(24).collect()
}
