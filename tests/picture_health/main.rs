//! Whether it is noticed what is wrong with a camera's picture, in time and without flapping, and nothing else is told.
//!
//! A table of labelled cases is played on loops of frames: the clips of the shared test data where they are, and always
//! scenes made on the spot. Time is that of the frames. `--nocapture` prints the table.

mod changes;
mod scenes;
#[path = "../support/shared.rs"]
mod shared;
mod table;

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use doorward::capture::{Lens, LensWatch};
use faces::picture::Picture;

use changes::Dice;
use scenes::Scene;
use table::{Begins, Change, Row};

/// How long a scene is watched before something happens to it, and after.
const LEARNED_SECS: f32 = 70.0;
const AFTERWARDS_SECS: f32 = 13.0;
/// On how many scenes each row is played.
const SCENES_A_ROW: usize = 1;
/// Everything wrong must be known within this time, and forgotten as fast.
const WITHIN_SECS: f32 = 60.0;
const FORGOTTEN_SECS: f32 = 12.0;
/// Of all cases so many must be right.
const RIGHT: f32 = 0.95;

/// What was believed in one case: each change with its seconds since the case began.
struct Outcome<'a> {
    row: &'a Row,
    scene: &'a str,
    changes: Vec<(f32, Lens)>,
}

impl Outcome<'_> {
    /// What was said to be wrong, when, and when it was over again.
    fn faults(&self) -> Vec<Lens> {
        self.changes.iter().map(|(_, lens)| *lens).filter(|lens| *lens != Lens::Clear).collect()
    }

    fn is_right(&self) -> bool {
        match (self.row.expected, self.changes.as_slice()) {
            ([], changes) => changes.is_empty(),
            (expected, [(noticed, lens), (forgotten, Lens::Clear)]) => {
                let over = self.row.lasts_secs;
                expected.contains(lens) && *noticed <= WITHIN_SECS.min(over) && *forgotten - over <= FORGOTTEN_SECS
            }
            _ => false,
        }
    }
}

impl fmt::Display for Outcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_right() { "right" } else { "WRONG" };
        write!(f, "{verdict}  {:34} {:42}", self.row.name, self.scene)?;
        for (secs, lens) in &self.changes {
            write!(f, "  {lens:?} at {secs:.0} s")?;
        }
        Ok(())
    }
}

/// Shows frames for so long, at the scene's rate; each `change` of a frame is given its number and its time.
fn show(
    watch: &mut LensWatch,
    scene: &Scene,
    begins: f32,
    secs: f32,
    mut change: impl FnMut(usize, f32) -> Option<Picture>,
    mut believed: impl FnMut(f32, Lens),
) {
    for number in 0..(secs * scene.fps) as usize {
        let since = number as f32 / scene.fps;
        let changed = change(number % scene.frames.len(), since);
        let picture = changed.as_ref().unwrap_or(&scene.frames[number % scene.frames.len()]);
        believed(since, watch.observe(picture, Duration::from_secs_f32(begins + since)));
    }
}

/// Plays one row on one scene, from where the scene is known if the row wants that.
fn play<'a>(row: &'a Row, scene: &'a Scene, learned: &LensWatch, group: &Scene, visitor: &Picture) -> Outcome<'a> {
    let (mut watch, begins) = match row.begins {
        Begins::Learned => (learned.clone(), LEARNED_SECS),
        Begins::AtOnce => (LensWatch::new(), 0.0),
    };
    let mut dice = Dice::new(7);
    let mut before = Lens::Clear;
    let mut changes = Vec::new();
    let mut believed = |secs: f32, lens: Lens| {
        if std::mem::replace(&mut before, lens) != lens {
            changes.push((secs, lens));
        }
    };
    // What is the same each time a frame is shown is made once.
    let mut made: Vec<Option<Picture>> = vec![None; scene.frames.len()];
    let mut once = |number: usize, make: &dyn Fn(&Picture) -> Picture| {
        made[number].get_or_insert_with(|| make(&scene.frames[number])).clone()
    };
    let change = |number: usize, secs: f32| {
        let frame = &scene.frames[number];
        Some(match &row.change {
            Change::Each(make) => once(number, make),
            Change::Noisy(make, deviation) => changes::noise(&once(number, make), *deviation, &mut dice),
            Change::Timed(make) => make(frame, secs, &mut dice),
            Change::Frozen(make) => make(&scene.frames[0], secs, &mut dice),
            Change::Visitor([left, top, right, bottom]) => {
                // Nobody stands quite still.
                let sways = 0.006 * (secs * 0.9).sin();
                changes::person(frame, visitor, [left + sways, *top, right + sways, *bottom])
            }
            Change::Group(place) => {
                let people = &group.frames[(secs * group.fps) as usize % group.frames.len()];
                changes::pasted(frame, people, *place, |_, _| 1.0)
            }
        })
    };
    show(&mut watch, scene, begins, row.lasts_secs, change, &mut believed);
    let over = row.lasts_secs;
    show(&mut watch, scene, begins + over, AFTERWARDS_SECS, |_, _| None, |secs, lens| believed(over + secs, lens));
    Outcome { row, scene: &scene.name, changes }
}

/// Plays every row on some of the scenes, in turn; on all that have shapes all over where it asks for these.
fn play_all(scenes: &[Scene], rows: &[Row]) {
    let learned: Vec<LensWatch> = scenes
        .iter()
        .map(|scene| {
            let mut watch = LensWatch::new();
            show(
                &mut watch,
                scene,
                0.0,
                LEARNED_SECS,
                |_, _| None,
                |_, lens| assert_eq!(lens, Lens::Clear, "{}", scene.name),
            );
            watch
        })
        .collect();
    let visitor = scenes::visitor();
    let mut cases = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let fit: Vec<usize> = (0..scenes.len()).filter(|&at| scenes[at].rich || !row.rich).collect();
        cases.extend((0..SCENES_A_ROW.min(fit.len())).map(|n| (row, fit[(number + n) % fit.len()])));
    }
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    let (todo, outcomes) = (Mutex::new(cases.into_iter().enumerate()), Mutex::new(Vec::new()));
    std::thread::scope(|threads| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            threads.spawn(|| {
                loop {
                    let Some((number, (row, at))) = todo.lock().unwrap().next() else { return };
                    let group = &scenes[(at + 1) % scenes.len()];
                    let outcome = play(row, &scenes[at], &learned[at], group, &visitor);
                    outcomes.lock().unwrap().push((number, outcome));
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap();
    outcomes.sort_by_key(|(number, _)| *number);
    let outcomes: Vec<Outcome> = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
    let table: Vec<String> = outcomes.iter().map(Outcome::to_string).collect();
    let table = table.join("\n");
    let right = outcomes.iter().filter(|outcome| outcome.is_right()).count();
    println!("{table}\n{right} of {} right", outcomes.len());
    assert!(right as f32 >= RIGHT * outcomes.len() as f32, "{right} of {} right:\n{table}", outcomes.len());
    // Silence is better than a false alarm.
    let alarms: Vec<String> =
        outcomes.iter().filter(|it| it.row.expected.is_empty() && !it.is_right()).map(Outcome::to_string).collect();
    assert!(alarms.is_empty(), "false alarms:\n{}", alarms.join("\n"));
    let flapping: Vec<String> =
        outcomes.iter().filter(|outcome| outcome.faults().len() > 1).map(Outcome::to_string).collect();
    assert!(flapping.is_empty(), "one fault after another:\n{}", flapping.join("\n"));
}

#[test]
fn what_is_wrong_with_a_made_scene_is_noticed_in_time() {
    play_all(&scenes::made(), &table::rows());
}

#[test]
fn what_is_wrong_with_a_clip_is_noticed_in_time() {
    let clips =
        scenes::CLIPS.iter().filter_map(|(file, rich)| Some((shared::shared(&format!("video/{file}"))?, *rich)));
    let scenes: Vec<Scene> = clips.map(|(file, rich)| scenes::clip(&file, rich)).collect();
    // Without the clips, on what others the other test leaves out.
    let scenes = if scenes.is_empty() { scenes::made().into_iter().rev().collect() } else { scenes };
    play_all(&scenes, &table::rows());
}

/// A clip that is looped begins anew with a cut, which is none either.
#[test]
fn nothing_is_told_of_what_is_as_it_was() {
    const SECS: f32 = 120.0;
    let mut played = 0;
    for (file, _) in scenes::CLIPS {
        let Some(file) = shared::shared(&format!("video/{file}")) else { continue };
        played += 1;
        let (mut watch, mut begins) = (LensWatch::new(), 0.0);
        while begins < SECS {
            let mut last = (0.0, 0.0);
            scenes::play(&file, |_, picture, secs| {
                let lens = watch.observe(&picture, Duration::from_secs_f32(begins + secs));
                assert_eq!(lens, Lens::Clear, "{} after {:.0} s", file.display(), begins + secs);
                last = (secs, secs - last.0);
                true
            });
            begins += last.0 + last.1;
        }
    }
    if played > 0 {
        return;
    }
    for scene in scenes::made() {
        show(
            &mut LensWatch::new(),
            &scene,
            0.0,
            SECS,
            |_, _| None,
            |secs, lens| {
                assert_eq!(lens, Lens::Clear, "{} after {secs:.0} s", scene.name);
            },
        );
    }
}
