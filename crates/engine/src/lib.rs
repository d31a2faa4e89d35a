//! An Identities engine of our own: the REST API of the contract over one data folder.
//!
//! In: HTTP requests with pictures and records. Out: who is in the pictures, and the records. It reuses the agent's
//! models and the wire types of its client; nothing in the agent's flow knows it exists.
//!
//! ```text
//! http ──▶ auth (who asks) ──▶ faces / people ──▶ store (SQLite, on disk before the answer)
//!  │ guard, limits, JSON          │   ▲
//!  ▼                              ▼   │ nearest
//! problem+json              analyzer  gallery (vectors in memory)
//! ```

mod analyzer;
mod auth;
mod erase;
mod error;
mod export;
mod gallery;
mod http;
pub mod index;
mod permission;
mod preparation;
mod recognition;
mod refusal;
mod serve;
mod serving;
mod store;

use std::path::Path;
use std::sync::Arc;

use secrecy::SecretString;
use tokio::sync::{RwLock, Semaphore};
use uuid::Uuid;

pub use auth::{Accounts, AuditLine, RoleLine, UserLine};
pub use error::EngineError;
pub use export::{Exported, export};
pub use permission::Permission;
pub use preparation::{ModelState, Progress};
pub use serve::{Tls, TlsFiles, serve};

use analyzer::Loader;
use auth::Auth;
use faces::models::ModelStore;
use preparation::Preparation;
use refusal::Refusal;
use serving::Serving;
use store::{FolderLock, Store};
use telemetry::Repeated;

/// Database work under way at once; more waits. Writers queue among themselves anyway, so this bounds the readers and
/// the threads.
const BLOCKING: usize = 16;

/// Pictures analysed at once: as many as there are cores, but no more than this. Each has its own copy of the models.
const MOST_ANALYZERS: usize = 4;

/// A running engine; clones are the same one.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    auth: Auth,
    /// Requests about faces hold it to read; another model taking over waits for them.
    serving: Arc<RwLock<Serving>>,
    preparation: Preparation,
    analyzer_count: usize,
    /// Permits for blocking work, and for hashing a password: one log-in after the other, or many clients at once
    /// could guess oftener than the throttle allows, and use up every core.
    blocking: Arc<Semaphore>,
    hashing: Arc<Semaphore>,
    /// Detectors whose clocks are ahead, told once a minute.
    clocks_ahead: Repeated,
    /// The folder is ours until the last clone is gone.
    _lock: FolderLock,
}

impl Engine {
    /// Opens the data folder, making it if need be, with the detector and embedding model of the manifest (`auto` or
    /// a name for the latter). Blocks, for seconds. Enrolled photos the model has not seen are analysed while the
    /// engine is [served](serve); the model before answers until then.
    pub fn open(data: &Path, models: &ModelStore, model: &str) -> Result<Self, EngineError> {
        // The folder first: what is wrong with it is known at once, the models take seconds.
        let (store, lock) = (Store::open(data)?, Store::lock(data)?);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::assemble(store, lock, analyzer::loader(models.clone()), model, cores.min(MOST_ANALYZERS))
    }

    fn assemble(
        store: Store,
        lock: FolderLock,
        load: Loader,
        model: &str,
        analyzer_count: usize,
    ) -> Result<Self, EngineError> {
        let (serving, preparation) = preparation::begin(&store, load, model, analyzer_count)?;
        let auth = Auth::new(&store)?;
        let inner = Inner {
            store,
            auth,
            serving: Arc::new(RwLock::new(serving)),
            preparation,
            analyzer_count,
            blocking: Arc::new(Semaphore::new(BLOCKING)),
            hashing: Arc::new(Semaphore::new(1)),
            clocks_ahead: Repeated::default(),
            _lock: lock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Adds a user, or gives an existing one this role and password.
    pub fn add_user(&self, username: &str, role: &str, password: &SecretString) -> Result<(), EngineError> {
        Ok(auth::put_user(&self.inner.store, username, role, password)?)
    }

    /// Makes an administrator with a random password if there is none yet, and gives name and password, which nobody
    /// will see again.
    pub fn first_administrator(&self) -> Result<Option<(String, SecretString)>, EngineError> {
        Ok(auth::first_administrator(&self.inner.store)?)
    }

    /// A user who may put people in, for as long as the guest is held.
    pub fn guest(&self) -> Result<Guest, EngineError> {
        let password = auth::guest(&self.inner.store)?;
        Ok(Guest { username: auth::GUEST, password, inner: self.inner.clone() })
    }

    /// Photos enrolled, and unknown faces that are recognised again.
    pub async fn faces(&self) -> (usize, usize) {
        self.inner.serving.read().await.gallery().sizes()
    }

    /// Which embedding model answers, and how far the next one is.
    pub fn model_state(&self) -> ModelState {
        self.inner.preparation.state()
    }

    /// Does blocking work on a thread that may block, a bounded number at once. Work once begun is finished even if
    /// nobody waits for it any more.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.limited(&self.inner.blocking, work).await
    }

    async fn limited<T: Send + 'static>(
        &self,
        limit: &Arc<Semaphore>,
        work: impl FnOnce(&Inner) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let permit = limit.clone().acquire_owned().await.map_err(|_| EngineError::Interrupted)?;
        let inner = self.inner.clone();
        let worked = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(&inner)
        });
        worked.await.map_err(|_| EngineError::Interrupted)?
    }
}

/// A user of the engine's own process, removed when dropped.
pub struct Guest {
    pub username: &'static str,
    pub password: SecretString,
    inner: Arc<Inner>,
}

impl Drop for Guest {
    fn drop(&mut self) {
        if let Err(error) = auth::remove_guest(&self.inner.store).map_err(EngineError::from) {
            tracing::warn!("cannot remove the user {}, whose password nobody knows: {error}", self.username);
        }
    }
}

/// A GUID as the contract writes them: 8-4-4-4-12 hexadecimal digits.
fn guid(text: &str) -> Result<Uuid, Refusal> {
    match Uuid::parse_str(text) {
        Ok(id) if text.len() == 36 => Ok(id),
        _ => Err(Refusal::bad_input("an id must be a GUID like 2c9f9a4e-6d0c-4b57-b3f8-0b9a7f7f2e10")),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use chrono::{TimeDelta, Utc};
    use rusqlite::Connection;

    use tokio_util::sync::CancellationToken;

    use super::analyzer::fake::FakeAnalyzer;
    use super::recognition::{Enrolment, Include, Published};
    use super::*;
    use faces::picture::Picture;

    const RED: [u8; 3] = [60, 60, 250];
    const GREEN: [u8; 3] = [60, 240, 60];
    const BLUE: [u8; 3] = [230, 60, 60];
    const DARK: [u8; 3] = [0, 0, 0];

    fn engine(folder: &Path, model: &str) -> Engine {
        let (store, lock) = (Store::open(folder).unwrap(), Store::lock(folder).unwrap());
        let load: Loader = Arc::new(|model, count| match model {
            "gone" => Err(EngineError::NoAnalyzer),
            _ => Ok((0..count).map(|_| FakeAnalyzer::boxed(model)).collect()),
        });
        Engine::assemble(store, lock, load, model, 2).unwrap()
    }

    /// A picture the fake analyser sees one face per colour in.
    fn picture(height: u32, colours: &[[u8; 3]]) -> Bytes {
        let row: Vec<u8> = colours.iter().flat_map(|colour| colour.repeat(40)).collect();
        let picture = Picture::new(colours.len() as u32 * 40, height, row.repeat(height as usize)).unwrap();
        picture.jpeg(95).unwrap().into()
    }

    async fn caller(engine: &Engine) -> auth::Caller {
        engine.add_user("root", "Administrator", &"password".into()).unwrap();
        let inner = engine.inner.clone();
        let (_, token) = inner.auth.log_in(&inner.store, [127, 0, 0, 1].into(), "root", &"password".into()).unwrap();
        inner.auth.caller(&inner.store, &token).unwrap()
    }

    fn enrolment(colour: [u8; 3]) -> Enrolment {
        Enrolment { picture: picture(80, &[colour]), person: None, photo_reference: None, force: false }
    }

    fn published(picture: Bytes) -> Published {
        Published {
            picture,
            detector: "gate".into(),
            time_zone: "UTC".into(),
            time: Utc::now(),
            largest_only: false,
            allow_double: true,
            include: Include { person: true, ..Include::default() },
        }
    }

    async fn who(engine: &Engine, caller: &auth::Caller, colours: &[[u8; 3]]) -> Vec<Option<String>> {
        let faces = engine.publish(caller, published(picture(80, colours))).await.unwrap();
        faces.into_iter().map(|face| face.person.map(|person| person.person_id)).collect()
    }

    #[tokio::test]
    async fn everybody_in_a_picture_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path(), "one");
        let caller = caller(&engine).await;
        let red = engine.enroll(&caller, enrolment(RED)).await.unwrap().to_string();
        let green = engine.enroll(&caller, enrolment(GREEN)).await.unwrap().to_string();
        assert_eq!(who(&engine, &caller, &[BLUE, DARK, GREEN, RED]).await, [Some(red), Some(green), None]);
        assert_eq!(engine.faces().await, (2, 1));
        assert_eq!(who(&engine, &caller, &[DARK]).await, []);
    }

    #[tokio::test]
    async fn a_restart_forgets_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let first = engine(folder.path(), "one");
        let asking = caller(&first).await;
        let red = first.enroll(&asking, enrolment(RED)).await.unwrap().to_string();
        let stranger = first.publish(&asking, published(picture(80, &[BLUE]))).await.unwrap().remove(0).face_id;
        assert!(matches!(Store::lock(folder.path()), Err(EngineError::InUse { .. })));
        drop(first);
        let second = engine(folder.path(), "one");
        let asking = caller(&second).await;
        assert_eq!(who(&second, &asking, &[RED]).await, [Some(red)]);
        assert_eq!(second.publish(&asking, published(picture(80, &[BLUE]))).await.unwrap()[0].face_id, stranger);
    }

    #[tokio::test]
    async fn another_model_takes_over_once_it_has_seen_every_photo() {
        let folder = tempfile::tempdir().unwrap();
        let first = engine(folder.path(), "one");
        let asking = caller(&first).await;
        let red = first.enroll(&asking, enrolment(RED)).await.unwrap().to_string();
        let green = first.enroll(&asking, enrolment(GREEN)).await.unwrap().to_string();
        first.publish(&asking, published(picture(80, &[BLUE]))).await.unwrap();
        assert_eq!(first.model_state(), ModelState { answering: "one".into(), ..ModelState::default() });
        drop(first);

        // Until it has, the model before answers, for the enrolment that comes meanwhile too.
        let second = engine(folder.path(), "two, blind to green");
        let asking = caller(&second).await;
        let progress =
            |done, photos, faceless| Some(Progress { model: "two, blind to green".into(), photos, done, faceless });
        assert_eq!(second.model_state().answering, "one");
        assert_eq!(second.model_state().preparing, progress(0, 2, 0));
        assert_eq!(who(&second, &asking, &[RED, GREEN]).await, [Some(red.clone()), Some(green.clone())]);
        let blue = second.enroll(&asking, enrolment(BLUE)).await.unwrap().to_string();
        assert_eq!(who(&second, &asking, &[BLUE]).await, [Some(blue.clone())]);
        preparation::run(second.clone(), CancellationToken::new()).await;
        let after = ModelState { answering: "two, blind to green".into(), preparing: None, faceless: 1 };
        assert_eq!(second.model_state(), after);
        assert_eq!(second.faces().await, (2, 0));
        assert_eq!(who(&second, &asking, &[RED, BLUE, GREEN]).await, [Some(red.clone()), Some(blue.clone())]);
        drop(second);

        // Once is enough, for photos without a face too; and it remembers.
        let third = engine(folder.path(), "two, blind to green");
        assert_eq!(third.model_state(), after);
        drop(third);

        // The first model's vectors are there to go back to, but for what was enrolled since.
        let fourth = engine(folder.path(), "one");
        let asking = caller(&fourth).await;
        assert_eq!(fourth.model_state().answering, "one");
        assert_eq!(fourth.faces().await, (3, 1));
        assert_eq!(who(&fourth, &asking, &[GREEN]).await, [Some(green)]);
    }

    #[tokio::test]
    async fn a_preparation_cut_short_goes_on_where_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let first = engine(folder.path(), "one");
        let asking = caller(&first).await;
        for _ in 0..5 {
            first.enroll(&asking, Enrolment { force: true, ..enrolment(RED) }).await.unwrap();
        }
        drop(first);
        // Told to stop before it began, it leaves everything as it was.
        let second = engine(folder.path(), "two");
        let stopped = CancellationToken::new();
        stopped.cancel();
        preparation::run(second.clone(), stopped).await;
        assert_eq!(second.model_state().answering, "one");
        drop(second);
        // As a kill after two of five photos would leave it.
        let database = Connection::open(folder.path().join("engine.db")).unwrap();
        database.execute("INSERT INTO embeddings SELECT face_id, 'two', vector FROM embeddings LIMIT 2", []).unwrap();
        let third = engine(folder.path(), "two");
        assert_eq!(third.model_state().preparing.unwrap().done, 2);
        preparation::run(third.clone(), CancellationToken::new()).await;
        assert_eq!(third.model_state(), ModelState { answering: "two".into(), ..ModelState::default() });
        assert_eq!(third.faces().await, (5, 0));
    }

    #[tokio::test]
    async fn without_the_model_before_people_are_known_photo_by_photo() {
        let folder = tempfile::tempdir().unwrap();
        let first = engine(folder.path(), "one");
        let asking = caller(&first).await;
        let red = first.enroll(&asking, enrolment(RED)).await.unwrap().to_string();
        drop(first);
        let database = Connection::open(folder.path().join("engine.db")).unwrap();
        database.execute("UPDATE meta SET value = x'676f6e65' WHERE key = 'model'", []).unwrap();
        let second = engine(folder.path(), "two");
        let asking = caller(&second).await;
        assert_eq!((second.model_state().answering.as_str(), second.faces().await), ("two", (0, 0)));
        preparation::run(second.clone(), CancellationToken::new()).await;
        assert_eq!(who(&second, &asking, &[RED]).await, [Some(red)]);
        assert_eq!(second.model_state().preparing, None);
    }

    #[tokio::test]
    async fn requests_go_on_while_another_model_takes_over() {
        let folder = tempfile::tempdir().unwrap();
        let first = engine(folder.path(), "one");
        let asking = caller(&first).await;
        let red = first.enroll(&asking, enrolment(RED)).await.unwrap().to_string();
        for _ in 0..20 {
            first.enroll(&asking, Enrolment { force: true, ..enrolment(GREEN) }).await.unwrap();
        }
        drop(first);
        let second = engine(folder.path(), "two");
        let asking = caller(&second).await;
        let preparing = tokio::spawn(preparation::run(second.clone(), CancellationToken::new()));
        let clients: Vec<_> = (0..4)
            .map(|n| {
                let (second, asking, red) = (second.clone(), asking.clone(), red.clone());
                tokio::spawn(async move {
                    for _ in 0..20 {
                        assert_eq!(who(&second, &asking, &[RED]).await, [Some(red.clone())]);
                        if n == 0 {
                            let again = Enrolment { force: true, ..enrolment(BLUE) };
                            second.enroll(&asking, again).await.unwrap();
                        }
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        preparing.await.unwrap();
        assert_eq!(second.model_state(), ModelState { answering: "two".into(), ..ModelState::default() });
        assert_eq!(second.faces().await, (41, 0));
    }

    #[tokio::test]
    async fn strangers_are_forgotten_in_time_and_their_history_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path(), "one");
        let caller = caller(&engine).await;
        engine.publish(&caller, published(picture(80, &[BLUE]))).await.unwrap();
        assert_eq!(engine.faces().await, (0, 1));
        let long_ago = store::millis(Utc::now() - TimeDelta::days(31));
        let database = Connection::open(folder.path().join("engine.db")).unwrap();
        database.execute("UPDATE faces SET last_seen = ?", [long_ago]).unwrap();
        // The first cleaning took place at the first stranger; the next is due in an hour.
        engine.inner.serving.read().await.gallery_mut().clean_soon();
        engine.publish(&caller, published(picture(80, &[GREEN]))).await.unwrap();
        assert_eq!(engine.faces().await, (0, 1));
        let count = |table: &str| {
            database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap()
        };
        assert_eq!((count("faces"), count("embeddings"), count("detections")), (2, 1, 2));
    }

    #[tokio::test]
    async fn poor_and_doubtful_photos_are_turned_down_unless_forced() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path(), "one");
        let caller = caller(&engine).await;
        for (photo, forced) in
            [(picture(30, &[RED]), true), (picture(80, &[RED, GREEN]), true), (picture(80, &[DARK]), false)]
        {
            for force in [false, true] {
                let enrolment = Enrolment { picture: photo.clone(), force, ..enrolment(RED) };
                let enrolled = engine.enroll(&caller, enrolment).await;
                assert_eq!(enrolled.is_ok(), force && forced);
                assert!(matches!(enrolled, Ok(_) | Err(Refusal::TurnedDown(_))));
            }
        }
        assert_eq!(engine.faces().await, (2, 0));
    }

    #[tokio::test]
    async fn a_photo_makes_a_second_person_only_when_forced() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path(), "one");
        let caller = caller(&engine).await;
        let red = engine.enroll(&caller, enrolment(RED)).await.unwrap();
        let green = engine.enroll(&caller, enrolment(GREEN)).await.unwrap();
        let of = |person| Enrolment { person, ..enrolment(RED) };
        for somebody_else in [None, Some(green)] {
            let refused = engine.enroll(&caller, of(somebody_else)).await;
            let Err(Refusal::TurnedDown(why)) = refused else { panic!("{refused:?}") };
            assert!(why.contains(&red.to_string()) && why.contains("forceEnrollment"), "{why}");
        }
        assert_eq!(engine.enroll(&caller, of(Some(red))).await.unwrap(), red);
        let second = engine.enroll(&caller, Enrolment { force: true, ..enrolment(RED) }).await.unwrap();
        assert!(second != red && second != green);
        assert_eq!(engine.faces().await, (4, 0));
    }

    #[tokio::test]
    async fn a_reference_stands_for_one_photo() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path(), "one");
        let caller = caller(&engine).await;
        let under = |colour| Enrolment { photo_reference: Some("hr-42".into()), ..enrolment(colour) };
        let red = engine.enroll(&caller, under(RED)).await.unwrap();
        assert_eq!(engine.enroll(&caller, under(RED)).await.unwrap(), red);
        for another in [under(GREEN), Enrolment { person: Some(red), force: true, ..under(GREEN) }] {
            let refused = engine.enroll(&caller, another).await;
            let Err(Refusal::BadInput(why)) = refused else { panic!("{refused:?}") };
            assert!(why.starts_with("photoReferenceId: another photo"), "{why}");
        }
        assert_eq!(engine.faces().await, (1, 0));
    }

    #[tokio::test]
    async fn a_clock_that_is_ahead_does_not_head_the_history() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path(), "one");
        let caller = caller(&engine).await;
        let seen = |ahead| Published { time: Utc::now() + ahead, ..published(picture(80, &[BLUE])) };
        let before = store::millis(Utc::now());
        for ahead in [TimeDelta::days(400), TimeDelta::minutes(5), TimeDelta::seconds(20), TimeDelta::days(-400)] {
            engine.publish(&caller, seen(ahead)).await.unwrap();
        }
        let after = store::millis(Utc::now());
        let database = Connection::open(folder.path().join("engine.db")).unwrap();
        let mut times = database.prepare("SELECT time FROM detections ORDER BY rowid").unwrap();
        let times: Vec<i64> = times.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        assert!(times[..2].iter().all(|time| (before..=after).contains(time)), "{times:?} of {before}..={after}");
        assert!((before + 20_000..=after + 20_000).contains(&times[2]), "twenty seconds are believed");
        assert!(times[3] < before - 399 * 86_400_000, "so is what was seen long ago");
    }

    #[tokio::test]
    async fn boxes_stay_within_the_picture() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path(), "wide");
        let caller = caller(&engine).await;
        let both = picture(80, &[BLUE, RED]);
        let published = engine.publish(&caller, published(both.clone())).await.unwrap();
        let listed = engine.list_faces(both).await.unwrap();
        let boxes = published.iter().map(|face| face.bounding_box).chain(listed.iter().map(|face| face.bounding_box));
        for found in boxes {
            assert!(found.x >= 0.0 && found.y >= 0.0 && found.width > 0.0 && found.height > 0.0, "{found:?}");
            assert!(found.x + found.width <= 80.0 && found.y + found.height <= 80.0, "{found:?}");
        }
    }

    #[tokio::test]
    async fn the_first_administrator_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path(), "one");
        engine.add_user("admin", "Viewer", &"taken".into()).unwrap();
        let (name, _) = engine.first_administrator().unwrap().unwrap();
        assert_eq!(name, "admin-2");
        assert!(engine.first_administrator().unwrap().is_none());
        for (username, role, password) in
            [("x", "nothing", "p"), ("x", "Viewer", ""), ("", "Viewer", "p"), (" x", "Viewer", "p")]
        {
            assert!(engine.add_user(username, role, &password.into()).is_err());
        }
    }

    #[test]
    fn a_database_of_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("engine.db");
        Connection::open(&file).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
        assert!(matches!(Store::open(folder.path()), Err(EngineError::NotOurDatabase { .. })));
        std::fs::write(&file, "not a database at all, but long enough to look at").unwrap();
        assert!(matches!(Store::open(folder.path()), Err(EngineError::OpenDatabase { .. })));
    }

    #[test]
    fn only_guids_in_their_usual_form_are_ids() {
        assert!(guid("2C9F9A4E-6d0c-4b57-b3f8-0b9a7f7f2e10").is_ok());
        for wrong in ["", "x", "2c9f9a4e6d0c4b57b3f80b9a7f7f2e10", "{2c9f9a4e-6d0c-4b57-b3f8-0b9a7f7f2e1}"] {
            assert!(matches!(guid(wrong), Err(Refusal::BadInput(_))), "{wrong}");
        }
    }
}
