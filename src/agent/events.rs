//! What happens in the agent, as one stream: rooms report, listeners hear.
//!
//! In: [`Event`]s from any thread or task. Out: the same, in the order they came, to every [`Listener`], on a thread of
//! its own; between them what the book of visits makes of each. A listener never waits, neither for the disk nor for a
//! network: it passes on what takes longer.
//!
//! ```text
//! track -- Sent, Left ------┐                                   ┌-▶ metrics and log
//! delivery -- Answered, … --┼-▶ book of visits -- Visit, … --▶--┼-▶ history (the outbox)
//! cameras -- Camera --------┘                                   ├-▶ page, broker, trackers
//!                                                               └-▶ whoever runs the agent (demo, replay)
//! ```

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use bytes::Bytes;

use super::presence::PresenceNews;
use super::supervisor::Beat;
use crate::actions::Outcome;
use crate::capture::CameraState;
use crate::config::DetectorName;
use crate::outbox::Dropped;
use crate::recognition::{Answer, Recognition};
use crate::rules::{ActionRequest, RefusedAction};
use crate::track::{Confirm, Feedback, ShotAnswer, VisitEnd, VisitId};
use crate::visits::{Sent, Visit, VisitBook};

/// Something that happened; what concerns one visit comes in order.
#[derive(Debug, Clone)]
pub enum Event {
    /// A shot became a sighting, and is stored. The picture is the expanded crop, JPEG.
    Sent { sent: Box<Sent>, picture: Bytes },
    /// A visitor is out of sight.
    Left(Box<VisitEnd>),
    /// The engine answered.
    Answered(Box<Answered>),
    /// The outbox ended a sighting without an answer.
    Dropped(Dropped),
    /// An action ended, at this moment.
    Acted { request: Box<ActionRequest>, outcome: Box<Outcome>, at: Instant },
    /// Somebody came or left, or the agent has started.
    Presence(Box<PresenceNews>),
    /// A camera does something else than before.
    Camera { detector: DetectorName, state: CameraState },
    /// A visit that goes on is known better than before.
    Visit(Arc<Visit>),
    /// A visit is over: the visitor left, all answers are in, all actions have ended.
    Closed(Arc<Visit>),
    /// What the tracker is to know of a shot: what became of it, and which pictures an actuator waits for.
    Feedback { detector: DetectorName, visit: VisitId, feedback: Feedback },
}

/// An answer, and what the rules made of it.
#[derive(Debug, Clone)]
pub struct Answered {
    pub recognition: Recognition,
    /// Of the shot, 0 to 1.
    pub quality: f32,
    /// What the liveness models say of the visit together, 0 to 1.
    pub live: Option<f32>,
    /// It came too late for an actuator.
    pub late: bool,
    /// What is to be done.
    pub requests: Vec<ActionRequest>,
    /// What a guard held back.
    pub refused: Vec<RefusedAction>,
    /// Further pictures an actuator waits for.
    pub confirm: Option<Confirm>,
}

/// Hears what happens. What it does must not wait.
pub trait Listener: Send {
    fn on(&mut self, event: &Event);
}

/// Where rooms report; cheap to clone.
#[derive(Clone)]
pub struct Events(Sender<Message>);

/// The stream's other end, to be [run](Stream::run) on a thread of its own.
pub struct Stream {
    messages: Receiver<Message>,
    book: VisitBook,
    listeners: Vec<Box<dyn Listener>>,
}

enum Message {
    Happened(Event),
    /// Nothing will happen any more.
    End,
}

impl Events {
    /// A stream that these listen to, in this order.
    pub fn stream(listeners: Vec<Box<dyn Listener>>) -> (Self, Stream) {
        // Without a bound: what reports is slower than what listens, and must not wait for it.
        let (sender, messages) = channel();
        (Self(sender), Stream { messages, book: VisitBook::default(), listeners })
    }

    /// Reports something. After the end of the stream nobody hears it.
    pub fn tell(&self, event: Event) {
        let _ = self.0.send(Message::Happened(event));
    }

    /// Closes every visit that is still open, as it stands, and ends the stream.
    pub fn end(&self) {
        let _ = self.0.send(Message::End);
    }
}

impl Stream {
    /// Hands on what happens until the [end](Events::end).
    pub fn run(mut self, beat: &Beat) {
        while let Ok(Message::Happened(event)) = self.messages.recv() {
            beat.during("handing on what happened", || {
                let consequences = self.follow(&event);
                self.hand_on(&event);
                consequences.iter().for_each(|event| self.hand_on(event));
            });
        }
        for visit in self.book.close_all() {
            self.hand_on(&Event::Closed(Arc::new(visit)));
        }
    }

    fn hand_on(&mut self, event: &Event) {
        self.listeners.iter_mut().for_each(|listener| listener.on(event));
    }

    /// Keeps the book; gives what has changed in it.
    fn follow(&mut self, event: &Event) -> Vec<Event> {
        let book = &mut self.book;
        let mut consequences = Vec::new();
        let closed = match event {
            Event::Sent { sent, .. } => {
                book.sent(sent);
                None
            }
            Event::Left(end) => book.left(end),
            Event::Answered(answered) => {
                let Answered { recognition, requests, refused, confirm, .. } = &**answered;
                let closed = book.answered(recognition, requests, refused);
                // The visitor may stand there for long; who it is is known meanwhile.
                consequences.extend(book.open(recognition.visit).cloned().map(|visit| Event::Visit(Arc::new(visit))));
                consequences.push(feedback(recognition, *confirm, book));
                closed
            }
            Event::Dropped(dropped) => {
                if let Ok(detector) = DetectorName::new(&dropped.detector) {
                    let feedback = Feedback { shot: 0, answer: ShotAnswer::None, confirm: None };
                    consequences.push(Event::Feedback { detector, visit: dropped.visit, feedback });
                }
                book.dropped(dropped.visit, dropped.sighting, dropped.reason.reason())
            }
            Event::Acted { request, outcome, .. } => book.acted(request.visit, &outcome.key, &outcome.result),
            _ => None,
        };
        let closed = closed.into_iter().chain(book.overflow());
        consequences.extend(closed.map(|visit| Event::Closed(Arc::new(visit))));
        consequences
    }
}

/// What an answer tells the tracker: further shots are taken of who was not known, or by a weak match alone, and the
/// pictures an actuator waits for beside those whose answers are not in.
fn feedback(recognition: &Recognition, confirm: Option<Confirm>, book: &VisitBook) -> Event {
    let Recognition { visit, answer, .. } = recognition;
    let unanswered = u8::try_from(book.unanswered(*visit)).unwrap_or(u8::MAX);
    let mut confirm = confirm.unwrap_or(Confirm { more: 0, most: 0, min_quality: 0.0 });
    confirm.more = confirm.more.saturating_sub(unanswered);
    let agreed = answer.person_id().is_some_and(|person| book.named(*visit, person) > 1);
    let answer = match answer {
        Answer::Known(_) if confirm.more > 0 || (answer.weak() && !agreed) => ShotAnswer::Doubted,
        Answer::Known(_) => ShotAnswer::Known,
        Answer::Unknown { .. } | Answer::Refused { .. } => ShotAnswer::Unknown,
        Answer::NoFace => ShotAnswer::NoFace,
        Answer::Accepted => ShotAnswer::None,
    };
    let feedback = Feedback { shot: recognition.shot, answer, confirm: Some(confirm) };
    Event::Feedback { detector: recognition.detector.clone(), visit: recognition.visit, feedback }
}
