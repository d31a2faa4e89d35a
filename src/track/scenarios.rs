//! Scenes played before the tracker, and what must come of them.

use std::collections::BTreeMap;
use std::time::Duration;

use faces::quality::{self, QualityOptions};
use proptest::prelude::*;

use super::stage::{Actor, BLUE, GREEN, Played, Pose, RED, Scene, actor, frame, front, name, picture};
use super::*;
use crate::config::{Subject, TrackConfig};
use crate::detect::Detections;

/// From left to right or back at 1.5 faces of 60 px a second.
fn walk(from: f32, to: f32, y: f32, height: f32, secs: f32) -> impl Fn(f32) -> Option<Pose> {
    move |t| front(from + (to - from) * (t / secs).clamp(0.0, 1.0), y, height)
}

#[test]
fn people_keep_their_visits() {
    // (what, actors the furthest first, seconds, what the detector finds)
    type Case = (&'static str, Vec<Actor>, f32, fn(u32, usize) -> bool);
    let cases: Vec<Case> = vec![
        (
            "two cross, one before the other",
            vec![actor(RED, walk(60.0, 580.0, 120.0, 60.0, 4.0)), actor(BLUE, walk(580.0, 60.0, 130.0, 66.0, 4.0))],
            4.0,
            |_, _| true,
        ),
        (
            "two cross while the detector misses every third face",
            vec![actor(RED, walk(60.0, 580.0, 120.0, 60.0, 4.0)), actor(BLUE, walk(580.0, 60.0, 130.0, 66.0, 4.0))],
            4.0,
            |frame, actor| !(frame + actor as u32).is_multiple_of(3),
        ),
        (
            "two meet, one hides the other for a moment, and both turn back",
            vec![
                actor(RED, |t| front(300.0 - 70.0 * (t - 2.0).abs(), 120.0, 60.0)),
                actor(BLUE, |t| front(310.0 + 70.0 * (t - 2.0).abs(), 126.0, 64.0)),
            ],
            4.0,
            |_, _| true,
        ),
        (
            "stop and go",
            vec![actor(RED, |t| {
                front(60.0 + 150.0 * (t - 1.0).clamp(0.0, 1.0) + 150.0 * (t - 3.0).max(0.0), 120.0, 60.0)
            })],
            5.0,
            |_, _| true,
        ),
        (
            "walking up, from far to very near",
            vec![actor(GREEN, |t| front(320.0 + 10.0 * t, 100.0 + 14.0 * t, 24.0 * 2f32.powf(t / 1.3)))],
            4.0,
            |_, _| true,
        ),
        ("running past", vec![actor(GREEN, walk(20.0, 620.0, 120.0, 50.0, 1.2))], 1.2, |_, _| true),
        (
            "missed for a second and a half",
            vec![actor(RED, |t| front(200.0 + 3.0 * t, 120.0, 60.0))],
            5.0,
            |frame, _| !(25..43).contains(&frame),
        ),
        (
            "seen in every third frame",
            vec![actor(RED, walk(100.0, 400.0, 120.0, 60.0, 5.0)), actor(BLUE, |_| front(520.0, 120.0, 60.0))],
            5.0,
            |frame, _| frame % 3 == 0 || frame < 2,
        ),
        (
            "a box that jitters by a tenth",
            vec![actor(RED, |t| {
                let shake = |k: f32| (t * k).sin() * 6.0;
                front(200.0 + shake(97.0), 120.0 + shake(61.0), 60.0 + shake(83.0))
            })],
            4.0,
            |_, _| true,
        ),
        (
            "twenty people",
            (0..20)
                .map(|i| {
                    let (x, y) = (60.0 + (i % 7) as f32 * 80.0, 50.0 + (i / 7) as f32 * 110.0);
                    let shirt = [RED, BLUE, GREEN][i % 3];
                    actor(shirt, move |t| front(x + (t * 3.0 + i as f32).sin() * 12.0, y, 50.0))
                })
                .collect(),
            3.0,
            |frame, actor| !(frame * 7 + actor as u32).is_multiple_of(5),
        ),
    ];
    for (what, actors, secs, finds) in cases {
        let scene = Scene { finds, ..Scene::new(actors, secs) };
        scene.play().assert_one_visit_each(what);
        let slow = Scene { fps: 6.0, ..scene };
        if what != "running past" {
            slow.play().assert_one_visit_each(&format!("{what}, at half the rate"));
        }
    }
}

#[test]
fn who_is_gone_longer_than_the_limit_is_a_new_visit() {
    let scene = |gone: f32| {
        Scene::new(
            vec![actor(RED, move |t| if t < 2.0 || t > 2.0 + gone { front(200.0, 120.0, 60.0) } else { None })],
            7.0,
        )
    };
    for (gone, visits) in [(0.5, 1), (1.7, 1), (2.3, 2), (4.0, 2)] {
        let played = scene(gone).play();
        assert_eq!(played.ends.len(), visits, "gone for {gone} s");
        assert!(played.ends.iter().all(|end| end.shots >= 1));
    }
}

#[test]
fn the_next_in_line_is_not_taken_for_the_one_who_left() {
    let played = Scene::new(
        vec![
            actor(RED, |t| if t < 2.0 { front(300.0, 120.0, 70.0) } else { None }),
            actor(BLUE, |t| if t > 2.8 { front(304.0, 124.0, 68.0) } else { None }),
        ],
        5.0,
    )
    .play();
    played.assert_one_visit_each("a change of persons");
    assert_eq!(played.outcomes(), ["sent", "sent"]);
}

#[test]
fn flickers_make_no_visit_and_are_counted() {
    fn at(x: f32, y: f32) -> Face {
        Pose { x, y, height: 60.0, turn: 0.0 }.face()
    }
    // One frame each, all over the picture; and one that comes back in the same place every second.
    let played = Scene {
        invents: |frame| match frame % 12 {
            0 => vec![at(80.0, 100.0)],
            6 => vec![at(200.0 + (frame * 37 % 300) as f32, 80.0 + (frame * 53 % 200) as f32)],
            _ => Vec::new(),
        },
        ..Scene::new(Vec::new(), 10.0)
    }
    .play();
    assert!(played.ends.is_empty() && played.shots.is_empty());
    assert_eq!(played.glimpses, 21);
}

#[test]
fn a_face_found_twice_is_one_visit() {
    let played = Scene {
        invents: |_| vec![Pose { x: 202.0, y: 124.0, height: 44.0, turn: 0.0 }.face()],
        ..Scene::new(vec![actor(RED, |_| front(200.0, 120.0, 60.0))], 2.0)
    }
    .play();
    assert_eq!(played.ends.len(), 1);
}

#[test]
fn a_damaged_frame_keeps_a_visit_and_is_never_a_shot() {
    let scene = |damages| Scene { damages, ..Scene::new(vec![actor(RED, |_| front(200.0, 120.0, 60.0))], 3.0) };
    for (what, damages, outcome) in [
        ("at first", (|frame| frame < 12) as fn(u32) -> bool, "sent"),
        ("every other", |frame| frame % 2 == 0, "sent"),
        ("every one", |_| true, "damaged"),
    ] {
        let played = scene(damages).play();
        played.assert_one_visit_each(what);
        assert_eq!(played.outcomes(), [outcome], "{what}");
        assert!(played.shots.iter().all(|(_, shot)| !shot.frame.damaged), "{what}");
    }
    // Not even where the configuration takes every face there is.
    let mut all_good = scene(|_| true);
    all_good.config.subject = Subject::Largest;
    assert_eq!(all_good.play().shots.len(), 0);
}

#[test]
fn what_a_visit_comes_to() {
    // (what, the face, shots, why none)
    type Case = (&'static str, fn(f32) -> Option<Pose>, u8, Option<Unsent>);
    let cases: [Case; 6] = [
        ("plainly there", |_| front(300.0, 120.0, 70.0), 1, None),
        ("too far away", |_| front(300.0, 120.0, 30.0), 0, Some(Unsent::TooSmall)),
        ("never looks", |_| Some(Pose { x: 300.0, y: 120.0, height: 70.0, turn: 80.0 }), 0, Some(Unsent::TooPoor)),
        (
            "looks aside and then here",
            |t| Some(Pose { x: 300.0, y: 120.0, height: 70.0, turn: if t < 2.0 { 55.0 } else { 0.0 } }),
            2,
            None,
        ),
        ("comes near", |t| front(300.0, 120.0, (49.0 + 30.0 * (t - 1.5).max(0.0)).min(120.0)), 2, None),
        ("half a second only", |t| if t < 0.5 { front(300.0, 120.0, 60.0) } else { None }, 1, None),
    ];
    for (what, at, shots, unsent) in cases {
        let played = Scene::new(vec![actor(RED, at)], 5.0).play();
        assert_eq!(played.ends.len(), 1, "{what}");
        let end = &played.ends[0];
        assert_eq!((end.shots, end.unsent), (shots, unsent), "{what}: best {:?}", end.best);
    }
}

#[test]
fn whoever_is_not_known_is_asked_for_until_they_are() {
    let turns = |t: f32| Some(Pose { x: 300.0, y: 120.0, height: 70.0, turn: 30.0 * (t * 0.8).sin() });
    // (what, the answers, shots in six seconds)
    type Case = (&'static str, fn(&BestShot) -> ShotAnswer, u8);
    let cases: [Case; 4] = [
        ("known at once", |_| ShotAnswer::Known, 1),
        (
            "known from the front only",
            |shot| match shot.quality.pose.value < 12.0 {
                true => ShotAnswer::Known,
                false => ShotAnswer::Unknown,
            },
            1,
        ),
        ("known at the third", |shot| if shot.number == 3 { ShotAnswer::Known } else { ShotAnswer::NoFace }, 3),
        ("a stranger", |_| ShotAnswer::Unknown, 5),
    ];
    for (what, answers, shots) in cases {
        let played = Scene { answers: Some(answers), ..Scene::new(vec![actor(RED, turns)], 6.0) }.play();
        assert_eq!(played.ends.iter().map(|end| end.shots).collect::<Vec<_>>(), [shots], "{what}");
    }
}

#[test]
fn the_largest_is_sent_first_and_the_next_after_its_answer() {
    let near = || actor(RED, |_| front(120.0, 120.0, 70.0));
    let far = || actor(BLUE, |_| front(300.0, 120.0, 60.0));
    let further = || actor(GREEN, |_| front(480.0, 120.0, 52.0));
    let known: fn(&BestShot) -> ShotAnswer = |_| ShotAnswer::Known;
    for (what, answers, pause_ms) in [("answered", Some(known), 200..500), ("no answer", None, 1000..1300)] {
        let mut scene = Scene { answers, ..Scene::new(vec![further(), near(), far()], 5.0) };
        scene.config.subject = Subject::Largest;
        let played = scene.play();
        let heights: Vec<f32> = played.shots.iter().map(|(_, shot)| shot.face.bbox.height).collect();
        assert_eq!(heights, [70.0, 60.0, 52.0], "{what}");
        for pair in played.shots.windows(2) {
            let pause = (pair[1].0 - pair[0].0).as_millis();
            assert!(pause_ms.contains(&pause), "{what}: {pause} ms");
        }
    }
}

#[test]
fn the_largest_is_the_subject() {
    let left = || actor(RED, |_| front(120.0, 120.0, 60.0));
    let about_the_same = || actor(BLUE, |t: f32| front(300.0, 120.0, 60.0 + 5.0 * (t * 7.0).sin()));
    let comes_near =
        || actor(GREEN, |t: f32| front(480.0, 120.0, if t < 2.0 { 50.0 } else { 50.0 + 30.0 * (t - 2.0) }));
    let takes_over = || actor(BLUE, |t: f32| if t > 1.0 { front(480.0, 130.0, 100.0) } else { None });
    let photo_bomb = || actor(GREEN, |t: f32| if (1.0..1.08).contains(&t) { front(480.0, 130.0, 140.0) } else { None });
    let leaves = || actor(BLUE, |t: f32| if t < 2.0 { front(480.0, 130.0, 90.0) } else { None });
    let turned_away = || actor(GREEN, |_| Some(Pose { x: 480.0, y: 120.0, height: 110.0, turn: 80.0 }));
    // (what, actors, their outcomes in the order the visits ended)
    let cases: Vec<(&str, Vec<Actor>, Vec<&str>)> = vec![
        ("alone", vec![left()], vec!["sent"]),
        ("two of about a size are sent one after the other", vec![left(), about_the_same()], vec!["sent", "sent"]),
        ("who comes near is sent too", vec![left(), comes_near()], vec!["sent", "sent"]),
        ("who steps before the others is sent too", vec![left(), takes_over()], vec!["sent", "sent"]),
        ("a single frame of somebody large changes nothing", vec![left(), photo_bomb()], vec!["sent"]),
        ("who waits behind is next", vec![left(), leaves()], vec!["sent", "sent"]),
        ("a large face that cannot be sent is no subject", vec![left(), turned_away()], vec!["sent", "too_poor"]),
    ];
    for (what, actors, expected) in cases {
        let mut scene = Scene::new(actors, 5.0);
        scene.config.subject = Subject::Largest;
        let mut outcomes = scene.play().outcomes().iter().map(|it| it.to_string()).collect::<Vec<_>>();
        outcomes.sort_by_key(|it| it != "sent");
        assert_eq!(outcomes, expected, "{what}");
    }
}

#[test]
fn a_slow_pipeline_still_sends_in_time() {
    // Two frames a second: waiting for a second frame would break the promise of 400 ms.
    let scene = Scene {
        fps: 2.0,
        ..Scene::new(vec![actor(RED, |t| if t >= 2.0 { front(300.0, 120.0, 70.0) } else { None })], 5.0)
    };
    let played = scene.play();
    assert_eq!(played.shots[0].0, Duration::from_secs(2));
    // A doubtful face has to wait for its second frame all the same.
    let doubtful = Scene {
        invents: |frame| match frame {
            5 => vec![Face { score: 0.65, ..Pose { x: 300.0, y: 120.0, height: 70.0, turn: 0.0 }.face() }],
            _ => Vec::new(),
        },
        actors: Vec::new(),
        ..scene
    };
    assert!(doubtful.play().ends.is_empty());
}

#[test]
fn the_same_recording_gives_the_same_visits() {
    let ids = || {
        let played = Scene::new(
            vec![actor(RED, |_| front(200.0, 120.0, 60.0)), actor(BLUE, |_| front(400.0, 120.0, 60.0))],
            1.0,
        )
        .play();
        played.ends.iter().map(|end| end.visit).collect::<Vec<_>>()
    };
    assert_eq!(ids(), ids());
    assert_ne!(ids()[0], ids()[1]);
}

/// Frames as a hostile world sends them: their time since the one before (or before that), and their faces.
fn frames() -> impl Strategy<Value = Vec<(i64, Vec<Face>)>> {
    let number = || prop_oneof![12 => -60f32..700.0, 1 => Just(f32::NAN), 1 => Just(f32::INFINITY), 1 => Just(0.0)];
    let step = prop_oneof![12 => 1i64..250, 2 => Just(0), 1 => -500i64..0, 1 => 1_000i64..1_000_000_000];
    let face = (number(), number(), number(), 0f32..1.0, -80f32..80.0, any::<bool>()).prop_map(
        |(x, y, height, score, turn, broken)| {
            let mut face = Face { score, ..Pose { x, y, height: height.abs().min(400.0), turn }.face() };
            if broken && score < 0.1 {
                face.landmarks[2].x = f32::NAN;
                face.score = f32::NAN;
            }
            face
        },
    );
    // Somebody who stays, and whatever else.
    let stays = (100f32..500.0, 30f32..150.0).prop_map(|(x, height)| Pose { x, y: 150.0, height, turn: 0.0 }.face());
    proptest::collection::vec((step, stays, any::<bool>(), proptest::collection::vec(face, 0..5)), 1..40).prop_map(
        |frames| {
            let stays = frames[0].1.clone();
            let faces = |(there, mut faces): (bool, Vec<Face>)| {
                faces.extend(there.then(|| stays.clone()));
                faces
            };
            frames.into_iter().map(|(step, _, there, others)| (step, faces((there, others)))).collect()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_comes_visits_end_once_and_what_is_good_is_sent(
        frames in frames(),
        largest in any::<bool>(),
        min_frames in 0u32..4,
        first_shot_ms in 0u64..1000,
        better_by in 0f32..0.5,
    ) {
        let subject = if largest { Subject::Largest } else { Subject::Each };
        let config = TrackConfig { subject, min_frames, first_shot_ms, better_by, ..TrackConfig::default() };
        let mut tracker = Tracker::new(name(), &config, &QualityOptions::default());
        // `take` asserts the order and number of events.
        let mut played = Played::default();
        let pixels = picture(&[(RED, Pose { x: 300.0, y: 150.0, height: 80.0, turn: 0.0 })]);
        let mut time = 10_000i64;
        for (seq, (step, faces)) in frames.into_iter().enumerate() {
            time = (time + step).max(0);
            let offset = Duration::from_millis(time as u64);
            let detections = Detections { frame: frame(seq as u32, offset, pixels.clone()), faces };
            played.take(tracker.observe(&detections), offset);
            prop_assert!(tracker.present().count() <= 32);
        }
        played.take(tracker.finish(), Duration::MAX);
        let ended: BTreeMap<_, _> = played.ends.iter().map(|end| (end.visit, end)).collect();
        prop_assert!(played.shots.iter().all(|(_, shot)| ended.contains_key(&shot.visit)), "a shot without an end");
        prop_assert!(tracker.finish().is_empty());
    }

    #[test]
    fn the_first_shot_is_never_late(
        steps in proptest::collection::vec(10u64..350, 20..60),
        turns in proptest::collection::vec(prop_oneof![Just(0f32), 30f32..80.0], 60),
        heights in (35f32..90.0, -3f32..3.0),
    ) {
        let config = TrackConfig { subject: Subject::Each, ..TrackConfig::default() };
        let limits = QualityOptions::default();
        let mut tracker = Tracker::new(name(), &config, &limits);
        let mut played = Played::default();
        let (mut now, mut good_since, mut longest) = (0, None, 0);
        for (number, step) in steps.iter().enumerate() {
            now += step;
            longest = longest.max(*step);
            let height = (heights.0 + heights.1 * number as f32).clamp(30.0, 200.0);
            let pose = Pose { x: 300.0, y: 150.0, height, turn: turns[number] };
            let frame = frame(number as u32, Duration::from_millis(now), picture(&[(RED, pose)]));
            let face = pose.face();
            if quality::measure(&frame.picture, &face, &limits).good_enough(&limits) {
                good_since.get_or_insert(now);
            }
            played.take(tracker.observe(&Detections { frame, faces: vec![face] }), Duration::from_millis(now));
            if let Some(since) = good_since && now > since + config.first_shot_ms + longest {
                prop_assert!(!played.shots.is_empty(), "good since {since}, now {now}");
            }
        }
        played.take(tracker.finish(), Duration::MAX);
        prop_assert_eq!(played.shots.is_empty(), good_since.is_none());
    }
}
