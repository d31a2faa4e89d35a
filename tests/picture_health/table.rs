//! The cases: what becomes of the picture, and what is to be said of it.
//!
//! Rows of a table, each played on several scenes. What no picture tells is not in it: whether a camera that shows one
//! person before a plain wall was zoomed, say.

use doorward::capture::Lens;
use faces::picture::{Picture, Turn};

use super::changes::{self as make, Dice};

/// One row.
pub struct Row {
    pub name: &'static str,
    /// What has to be believed: one of these, and nothing else; nothing at all where there is none.
    pub expected: &'static [Lens],
    pub change: Change,
    pub begins: Begins,
    pub lasts_secs: f32,
    /// Only where there are shapes all over the scene.
    pub rich: bool,
}

/// When it begins.
#[derive(Clone, Copy, PartialEq)]
pub enum Begins {
    /// After the scene was watched for a while.
    Learned,
    /// With the first frame.
    AtOnce,
}

/// What it does to a picture.
pub enum Change {
    Each(fn(&Picture) -> Picture),
    /// The same, with noise of this deviation on top.
    Noisy(fn(&Picture) -> Picture, f32),
    /// Depending on the seconds since it began.
    Timed(fn(&Picture, f32, &mut Dice) -> Picture),
    /// The first picture again and again, changed.
    Frozen(fn(&Picture, f32, &mut Dice) -> Picture),
    /// Somebody stands there: left, top, right, bottom.
    Visitor([f32; 4]),
    /// People stand there: another scene's picture.
    Group([f32; 4]),
}

const LONG: f32 = 34.0;
const DARK: &[Lens] = &[Lens::Dark];
const WHITE: &[Lens] = &[Lens::Overexposed];
const COVERED: &[Lens] = &[Lens::Covered];
const FROZEN: &[Lens] = &[Lens::Frozen];
const BLURRED: &[Lens] = &[Lens::Blurred];
/// So far out of focus that only shades are left, it may as well be covered.
const NO_SHAPES: &[Lens] = &[Lens::Blurred, Lens::Covered];
const MOVED: &[Lens] = &[Lens::Moved];
const UPSIDE_DOWN: &[Lens] = &[Lens::Turned(Turn::Half)];
const CLOCKWISE: &[Lens] = &[Lens::Turned(Turn::Quarter)];
const ANTICLOCKWISE: &[Lens] = &[Lens::Turned(Turn::ThreeQuarters)];
const CLEAR: &[Lens] = &[];

fn row(name: &'static str, expected: &'static [Lens], change: Change) -> Row {
    Row { name, expected, change, begins: Begins::Learned, lasts_secs: LONG, rich: false }
}

fn rich(row: Row) -> Row {
    Row { rich: true, ..row }
}

fn at_once(row: Row) -> Row {
    Row { begins: Begins::AtOnce, ..row }
}

fn lasts(secs: f32, row: Row) -> Row {
    Row { lasts_secs: secs, ..row }
}

/// A thing that was there for a moment.
fn short(row: Row) -> Row {
    lasts(8.0, row)
}

fn plain(picture: &Picture, level: u8) -> Picture {
    Picture::filled(picture.width(), picture.height(), [level; 3])
}

pub fn rows() -> Vec<Row> {
    use Change::{Each, Frozen, Group, Noisy, Timed, Visitor};
    let same = Picture::clone;
    vec![
        row("dark", DARK, Each(|it| make::brighter(it, 0.02, 1.0))),
        row("a cap, with a sensor's noise", DARK, Noisy(|it| plain(it, 6), 4.0)),
        row("very dim", DARK, Each(|it| make::brighter(it, 0.1, 0.0))),
        row("very dim, with noise", DARK, Noisy(|it| make::brighter(it, 0.08, 0.0), 3.0)),
        row("overexposed", WHITE, Each(|it| make::brighter(it, 4.0, 100.0))),
        row("white", WHITE, Each(|it| plain(it, 255))),
        row("tape, with noise", COVERED, Noisy(|it| plain(it, 110), 8.0)),
        row("a white sheet", COVERED, Noisy(|it| plain(it, 235), 2.0)),
        row("a bag, lit from one side", COVERED, Noisy(|it| make::ramp(it, 20.0, 120.0), 3.0)),
        row("a bag in the sun", COVERED, Noisy(|it| make::ramp(it, 5.0, 220.0), 3.0)),
        row("the left half covered", COVERED, Each(|it| make::covered(it, [0.0, 0.0, 0.5, 1.0], 30.0))),
        row("the right half covered", COVERED, Each(|it| make::covered(it, [0.5, 0.0, 1.0, 1.0], 70.0))),
        row("the upper half covered, black", COVERED, Each(|it| make::covered(it, [0.0, 0.0, 1.0, 0.5], 0.0))),
        row("the lower half taped", COVERED, Noisy(|it| make::covered(it, [0.0, 0.5, 1.0, 1.0], 60.0), 8.0)),
        rich(row("the left third covered", COVERED, Each(|it| make::covered(it, [0.0, 0.0, 0.34, 1.0], 90.0)))),
        rich(row("the lower third covered", COVERED, Each(|it| make::covered(it, [0.0, 0.66, 1.0, 1.0], 20.0)))),
        row("a hand before the left", COVERED, Each(|it| make::hand(it, [0.3, 0.5, 0.36, 0.5]))),
        row("a hand before the middle", COVERED, Each(|it| make::hand(it, [0.45, 0.55, 0.45, 0.5]))),
        row("steamed up", COVERED, Each(|it| make::fogged(it, 0.15))),
        row("steamed up, with noise", COVERED, Noisy(|it| make::fogged(it, 0.1), 3.0)),
        row("frozen", FROZEN, Frozen(|it, _, _| it.clone())),
        row("frozen under a clock", FROZEN, Frozen(|it, secs, _| make::clock(it, secs as u32))),
        row("frozen under little noise", FROZEN, Frozen(|it, _, dice| make::noise(it, 1.0, dice))),
        rich(row("frozen under noise", FROZEN, Frozen(|it, _, dice| make::noise(it, 3.0, dice)))),
        row(
            "frozen under a clock and noise",
            FROZEN,
            Frozen(|it, secs, dice| make::noise(&make::clock(it, secs as u32), 1.0, dice)),
        ),
        row("blurred", BLURRED, Each(|it| make::blurred(it, 0.012))),
        row("blurred more", BLURRED, Each(|it| make::blurred(it, 0.02))),
        row("blurred much", BLURRED, Each(|it| make::blurred(it, 0.04))),
        row("blurred beyond use", NO_SHAPES, Each(|it| make::blurred(it, 0.08))),
        row("blurred, with noise", BLURRED, Noisy(|it| make::blurred(it, 0.015), 5.0)),
        row("moved to the right", MOVED, Each(|it| make::shifted(it, -0.15, 0.0))),
        row("moved up and to the left", MOVED, Each(|it| make::shifted(it, 0.25, 0.1))),
        rich(row("moved far to the right", MOVED, Each(|it| make::shifted(it, -0.4, 0.0)))),
        rich(row("moved down", MOVED, Each(|it| make::shifted(it, 0.0, -0.25)))),
        rich(row("zoomed in", MOVED, Each(|it| make::tilted(it, 0.0, 1.35, false)))),
        rich(row("zoomed out", MOVED, Each(|it| make::tilted(it, 0.0, 0.7, false)))),
        rich(row("tilted by 12 degrees", MOVED, Each(|it| make::tilted(it, 12.0, 1.0, false)))),
        rich(row("tilted by 20 degrees", MOVED, Each(|it| make::tilted(it, -20.0, 1.0, true)))),
        row("upside down", UPSIDE_DOWN, Each(|it| it.turned(Turn::Half).unwrap())),
        row("on its side, sides exchanged", CLOCKWISE, Each(|it| it.turned(Turn::Quarter).unwrap())),
        row("on its other side, exchanged", ANTICLOCKWISE, Each(|it| it.turned(Turn::ThreeQuarters).unwrap())),
        row("on its side, squeezed", CLOCKWISE, Each(|it| make::squeezed(it, Turn::Quarter))),
        row("on its side, cut off", ANTICLOCKWISE, Each(|it| make::tilted(it, 90.0, 1.0, true))),
        row("on its other side, cut off", CLOCKWISE, Each(|it| make::tilted(it, -90.0, 1.0, false))),
        row("on its side, barred", CLOCKWISE, Each(make::barred)),
        at_once(row("dark from the start", DARK, Each(|it| make::brighter(it, 0.02, 1.0)))),
        at_once(row("very dim from the start", DARK, Noisy(|it| make::brighter(it, 0.08, 0.0), 2.0))),
        at_once(row("white from the start", WHITE, Each(|it| plain(it, 255)))),
        at_once(row("taped from the start", COVERED, Noisy(|it| plain(it, 110), 8.0))),
        at_once(row("bagged from the start", COVERED, Noisy(|it| make::ramp(it, 20.0, 120.0), 3.0))),
        at_once(row("half covered from the start", COVERED, Each(|it| make::covered(it, [0.0, 0.0, 0.5, 1.0], 30.0)))),
        at_once(row("frozen from the start", FROZEN, Frozen(|it, _, _| it.clone()))),
        at_once(row("blurred from the start", NO_SHAPES, Each(|it| make::blurred(it, 0.02)))),
        at_once(row("blurred beyond use from the start", NO_SHAPES, Each(|it| make::blurred(it, 0.08)))),
        row("as it was", CLEAR, Each(same)),
        row("a third as bright", CLEAR, Each(|it| make::brighter(it, 0.35, 0.0))),
        row("a third as bright, with noise", CLEAR, Noisy(|it| make::brighter(it, 0.3, 0.0), 3.0)),
        row("brighter by 40 %", CLEAR, Each(|it| make::brighter(it, 1.4, 0.0))),
        lasts(
            60.0,
            row(
                "the exposure steps",
                CLEAR,
                Timed(|it, secs, _| {
                    make::brighter(it, [1.0, 0.6, 1.3, 0.45, 0.8, 1.5][(secs / 10.0) as usize % 6], 0.0)
                }),
            ),
        ),
        lasts(
            60.0,
            row("dusk", CLEAR, Timed(|it, secs, _| make::brighter(it, 1.0 - 0.7 * (secs / 45.0).min(1.0), 0.0))),
        ),
        row("a lamp on the left", CLEAR, Each(make::side_lamp)),
        lasts(60.0, row("no colours", CLEAR, Each(make::grey))),
        lasts(60.0, row("infra-red light", CLEAR, Each(make::infra_red))),
        row("noise", CLEAR, Noisy(same, 15.0)),
        row("coarse compression", CLEAR, Each(|it| Picture::decode(&it.jpeg(20).unwrap(), 1 << 24).unwrap())),
        row("a little out of focus", CLEAR, Each(|it| make::blurred(it, 0.003))),
        row("pushed by a hundredth", CLEAR, Each(|it| make::shifted(it, 0.01, 0.01))),
        row("pushed by two hundredths", CLEAR, Each(|it| make::shifted(it, 0.02, 0.0))),
        row(
            "shaken by the wind",
            CLEAR,
            Timed(|it, secs, _| make::shifted(it, 0.01 * (secs * 17.0).sin(), 0.012 * (secs * 23.0).cos())),
        ),
        row(
            "a lamp that flickers",
            CLEAR,
            Timed(|it, secs, _| {
                make::brighter(it, if ((secs * 10.0) as u32).is_multiple_of(3) { 0.85 } else { 1.1 }, 0.0)
            }),
        ),
        row("snow", CLEAR, Timed(|it, _, dice| make::snow(it, dice))),
        lasts(
            20.0,
            row(
                "a truck passes",
                CLEAR,
                Timed(|it, secs, _| {
                    let left = -0.9 + secs / 20.0 * 1.9;
                    make::covered(it, [left, 0.15, left + 0.9, 1.0], 200.0)
                }),
            ),
        ),
        lasts(20.0, row("a truck stops in front", CLEAR, Each(|it| make::covered(it, [0.1, 0.15, 1.0, 1.0], 190.0)))),
        lasts(45.0, row("somebody stands there", CLEAR, Visitor([0.2, 0.3, 0.7, 1.1]))),
        lasts(45.0, rich(row("somebody stands close", CLEAR, Visitor([-0.1, 0.05, 0.9, 1.4])))),
        lasts(45.0, rich(row("a group waits", CLEAR, Group([0.15, 0.35, 0.85, 1.0])))),
        short(row("dark for a moment", CLEAR, Each(|it| make::brighter(it, 0.02, 1.0)))),
        short(row("white for a moment", CLEAR, Each(|it| plain(it, 255)))),
        short(row("covered for a moment", CLEAR, Noisy(|it| plain(it, 110), 8.0))),
        short(row("half covered for a moment", CLEAR, Each(|it| make::covered(it, [0.0, 0.0, 0.5, 1.0], 30.0)))),
        short(row("still for a moment", CLEAR, Frozen(|it, _, _| it.clone()))),
        short(row("blurred for a moment", CLEAR, Each(|it| make::blurred(it, 0.03)))),
        short(row("turned away for a moment", CLEAR, Each(|it| make::shifted(it, 0.3, 0.1)))),
        short(row("upside down for a moment", CLEAR, Each(|it| it.turned(Turn::Half).unwrap()))),
        at_once(lasts(
            60.0,
            row("a still corridor, with noise", CLEAR, Frozen(|it, _, dice| make::noise(it, 3.0, dice))),
        )),
        at_once(lasts(30.0, rich(row("somebody is there at the start", CLEAR, Visitor([0.2, 0.3, 0.7, 1.1]))))),
    ]
}
