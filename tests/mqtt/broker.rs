//! A mosquitto of the test's own, and somebody who listens to everything.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rumqttc::{Client, Event, Incoming, MqttOptions, QoS};
use serde_json::Value;

use crate::support::{Running, wait_for};

/// The broker; with `persistence` it keeps what it has over an orderly restart.
pub struct Mosquitto {
    pub folder: tempfile::TempDir,
    pub port: u16,
    running: Option<Running>,
}

impl Mosquitto {
    /// Lets everybody in.
    pub fn start() -> Self {
        Self::with("allow_anonymous true")
    }

    /// With these lines in its configuration; `FOLDER` and `PORT` stand for its folder and another free port.
    pub fn with(lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let lines = lines.replace("FOLDER", &folder.path().display().to_string());
        // It drops root's rights, and could then not read the folder, unless told not to.
        let text = format!(
            "user root\nlistener {port} 127.0.0.1\nmax_queued_messages 0\npersistence_location {}/\n{lines}\n",
            folder.path().display()
        );
        std::fs::write(folder.path().join("mosquitto.conf"), text).unwrap();
        let mut broker = Self { folder, port, running: None };
        broker.restart();
        broker
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Starts it (again) and waits until it listens.
    pub fn restart(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut command = Command::new("/usr/sbin/mosquitto");
        command.arg("-c").arg(self.folder.path().join("mosquitto.conf"));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.running = Some(Running(command.spawn().expect("mosquitto is installed by `make test`")));
        wait_for("mosquitto to listen", || std::net::TcpStream::connect(("127.0.0.1", self.port)).ok());
    }

    /// In order: what it is told to keep is on disk.
    pub fn stop(&mut self) {
        self.running.take().unwrap().stop();
    }

    /// As by a power cut.
    pub fn kill(&mut self) {
        self.running.take().unwrap().kill();
    }
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A message as it came.
#[derive(Clone)]
pub struct Got {
    pub topic: String,
    pub payload: Vec<u8>,
    /// It was there before the listener was.
    pub retained: bool,
}

impl std::fmt::Debug for Got {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text: String = String::from_utf8_lossy(&self.payload).chars().take(300).collect();
        write!(f, "{}{}: {text}", if self.retained { "retained " } else { "" }, self.topic)
    }
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).unwrap()
    }
}

/// Listens to every topic until it is dropped, and finds the broker again after an outage; the broker keeps for it what
/// comes meanwhile, as long as the broker itself does not forget.
pub struct Watcher {
    got: Arc<Mutex<Vec<Got>>>,
    client: Client,
    ending: Arc<AtomicBool>,
}

impl Watcher {
    pub fn start(port: u16, id: &str) -> Self {
        Self::with(MqttOptions::new(id, "127.0.0.1", port))
    }

    pub fn with(mut options: MqttOptions) -> Self {
        options.set_max_packet_size(8 << 20, 8 << 20).set_clean_session(false).set_keep_alive(Duration::from_secs(5));
        let (client, mut connection) = Client::new(options, 100);
        let (got, ending) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (kept, ended, subscriber) = (Arc::clone(&got), Arc::clone(&ending), client.clone());
        let (subscribed, is_subscribed) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for event in connection.iter() {
                match event {
                    Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                        subscriber.try_subscribe("#", QoS::AtLeastOnce).unwrap()
                    }
                    Ok(Event::Incoming(Incoming::SubAck(_))) => drop(subscribed.send(())),
                    Ok(Event::Incoming(Incoming::Publish(message))) => kept.lock().unwrap().push(Got {
                        topic: message.topic,
                        payload: message.payload.to_vec(),
                        retained: message.retain,
                    }),
                    Ok(_) => {}
                    Err(_) if ended.load(Ordering::SeqCst) => return,
                    Err(_) => std::thread::sleep(Duration::from_millis(50)),
                }
            }
        });
        is_subscribed.recv_timeout(Duration::from_secs(30)).expect("the broker takes the subscription");
        Self { got, client, ending }
    }

    pub fn publish(&self, topic: &str, payload: &str) {
        self.client.publish(topic, QoS::AtLeastOnce, false, payload).unwrap();
    }

    /// The broker keeps it.
    pub fn keep(&self, topic: &str, payload: &str) {
        self.client.publish(topic, QoS::AtLeastOnce, true, payload).unwrap();
    }

    /// Everything so far on topics that end so.
    pub fn on(&self, ending: &str) -> Vec<Got> {
        self.got.lock().unwrap().iter().filter(|got| got.topic.ends_with(ending)).cloned().collect()
    }

    /// The newest on such a topic for which this holds, waited for.
    pub fn wait(&self, ending: &str, holds: impl Fn(&Got) -> bool) -> Got {
        let what = format!("a message on {ending}");
        wait_for(&what, || self.on(ending).into_iter().rev().find(|got| holds(got)))
    }

    /// The newest JSON on such a topic with this at this key, waited for.
    pub fn wait_json(&self, ending: &str, key: &str, wanted: impl Into<Value>) -> Value {
        let wanted = wanted.into();
        self.wait(ending, |got| got.json()[key] == wanted).json()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        let _ = self.client.disconnect();
    }
}

/// Whether a file of the test holds a word; to look for what must not be there.
pub fn holds(file: &Path, word: &str) -> bool {
    String::from_utf8_lossy(&std::fs::read(file).unwrap()).contains(word)
}
