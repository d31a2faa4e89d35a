//! A camera's controls, such as its exposure, and what the configuration wants of them.
//!
//! In: what the driver says of each control, and the configured values. Out: the number to set for each, in an order
//! that works, or what is wrong with a value. It asks and sets through functions it is given; how a driver is spoken to
//! is not known here.

use std::collections::BTreeMap;
use std::io;

use wording::{listed, nearest};

use crate::capture::Unmet;
use crate::config::{ControlValue, control_word};

/// A control of a camera that is a number in the end.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraControl {
    /// The driver's number for it.
    pub(super) id: u32,
    /// As `v4l2-ctl` writes it, and the configuration.
    pub name: String,
    pub kind: ControlKind,
    pub min: i64,
    pub max: i64,
    pub step: u64,
    pub default: i64,
    /// What it is set to; `None` when it does not say.
    pub value: Option<i64>,
    /// Of a menu, the entries it has: their numbers and names.
    pub menu: Vec<(i64, String)>,
    /// Another control has it in its hands, such as an automatic.
    pub is_inactive: bool,
    pub is_read_only: bool,
    /// It cannot be set while the camera is in use.
    pub is_grabbed: bool,
    /// Setting it can change what others are.
    pub(super) changes_others: bool,
}

/// What a control's numbers mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ControlKind {
    Integer,
    Boolean,
    Menu,
    Bitmask,
}

/// Sets what is wanted of the controls that `ask` tells of, through `set`, and answers what could not be set.
/// Automatics are set before what they have in their hands; what one of them has released is set after it.
pub fn set_all(
    camera: &str,
    wanted: &BTreeMap<String, ControlValue>,
    mut ask: impl FnMut() -> io::Result<Vec<CameraControl>>,
    mut set: impl FnMut(&CameraControl, i64) -> io::Result<()>,
) -> Vec<Unmet> {
    let mut unmet: Vec<Unmet> = Vec::new();
    let mut left: Vec<(&String, &ControlValue)> = wanted.iter().collect();
    while !left.is_empty() {
        let controls = match ask() {
            Ok(controls) => controls,
            Err(error) => {
                let problem = format!("the controls of {camera} cannot be asked for: {error}");
                unmet.push(Unmet { key: "controls".into(), problem });
                return unmet;
            }
        };
        let mut wrong = |name: &str, problem| unmet.push(Unmet { key: format!("controls.{name}"), problem });
        let mut ready: Vec<(u8, &CameraControl, i64, &String)> = Vec::new();
        let mut inactive: Vec<(&String, &CameraControl)> = Vec::new();
        left.retain(|(name, value)| {
            let word = control_word(name);
            let Some(control) = controls.iter().find(|control| control.name == word) else {
                wrong(name, no_such(camera, name, &controls));
                return false;
            };
            match control.number(value) {
                Err(problem) => {
                    wrong(name, format!("`{word}` of {camera} cannot be {value}: {problem}"));
                    return false;
                }
                Ok(_) if control.is_inactive => inactive.push((name, control)),
                Ok(number) => ready.push((control.rank(), control, number, name)),
            }
            true
        });
        let Some(first) = ready.iter().map(|(rank, ..)| *rank).min() else {
            inactive.into_iter().for_each(|(name, control)| wrong(name, control.why_inactive(camera, &controls)));
            return unmet;
        };
        for (_, control, number, name) in ready.into_iter().filter(|(rank, ..)| *rank == first) {
            if let Err(error) = set(control, number) {
                let value = control.shown(number);
                wrong(name, format!("{camera} refuses to set `{}` to {value}: {error}", control.name));
            }
            left.retain(|(other, _)| *other != name);
        }
    }
    unmet
}

fn no_such(camera: &str, name: &str, controls: &[CameraControl]) -> String {
    let known = controls.iter().map(|control| control.name.as_str());
    let hint = match nearest(name, known, 0.5) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`doorward camera list` shows those it has".into(),
    };
    format!("{camera} has no control `{name}`; {hint}")
}

impl CameraControl {
    /// The number that a configured value stands for, or what is wrong with it.
    fn number(&self, wanted: &ControlValue) -> Result<i64, String> {
        let number = match (wanted, self.kind) {
            _ if self.is_read_only => return Err("it can only be read".into()),
            (ControlValue::Flag(flag), ControlKind::Boolean) => Some(i64::from(*flag)),
            (ControlValue::Number(number), ControlKind::Menu) => {
                Some(*number).filter(|number| self.menu.iter().any(|(entry, _)| entry == number))
            }
            (ControlValue::Number(number), _) => Some(*number).filter(|number| (self.min..=self.max).contains(number)),
            (ControlValue::Entry(name), ControlKind::Menu) => {
                let word = control_word(name);
                self.menu.iter().find(|(_, entry)| *entry == word).map(|(number, _)| *number)
            }
            _ => None,
        };
        let number = number.ok_or_else(|| {
            let near = match wanted {
                ControlValue::Entry(name) => nearest(name, self.menu.iter().map(|(_, entry)| entry.as_str()), 0.5),
                _ => None,
            };
            let meant = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            format!("it is {}{meant}", self.choices())
        })?;
        if self.is_grabbed { Err("the camera is in use".into()) } else { Ok(number) }
    }

    /// What it can be set to: `from 0 to 255`, `true or false`, or the entries of its menu.
    pub fn choices(&self) -> String {
        match self.kind {
            ControlKind::Boolean => "true or false".into(),
            ControlKind::Menu => {
                let entries: Vec<&str> = self.menu.iter().map(|(_, entry)| entry.as_str()).collect();
                format!("one of {}", listed(&entries))
            }
            ControlKind::Integer if self.step > 1 => {
                format!("from {} to {}, in steps of {}", self.min, self.max, self.step)
            }
            ControlKind::Integer | ControlKind::Bitmask => format!("from {} to {}", self.min, self.max),
        }
    }

    /// One of its numbers as the configuration would write it, without quotes.
    pub fn shown(&self, number: i64) -> String {
        let entry = || self.menu.iter().find(|(index, _)| *index == number).map(|(_, entry)| entry.clone());
        match self.kind {
            ControlKind::Boolean => (number != 0).to_string(),
            _ => entry().unwrap_or_else(|| number.to_string()),
        }
    }

    /// Whether it takes others into its hands, as far as its name and its driver say.
    fn is_automatic(&self) -> bool {
        self.changes_others || self.name.contains("auto")
    }

    /// What comes first is set first: automatics, then menus and flags, then numbers.
    fn rank(&self) -> u8 {
        match self.kind {
            _ if self.is_automatic() => 0,
            ControlKind::Menu | ControlKind::Boolean => 1,
            ControlKind::Integer | ControlKind::Bitmask => 2,
        }
    }

    /// Names what may have it in its hands: an automatic for the same thing.
    fn why_inactive(&self, camera: &str, all: &[CameraControl]) -> String {
        let Self { name, .. } = self;
        let thing = name.split('_').next().unwrap_or_default();
        let owners = all.iter().filter(|one| one.is_automatic() && one.name != *name && one.name.contains(thing));
        let stand: Vec<String> = owners
            .map(|one| format!("`{}` is {}", one.name, one.value.map_or("…".into(), |it| one.shown(it))))
            .collect();
        match stand.is_empty() {
            true => format!("`{name}` of {camera} is inactive: another control has to be set as well"),
            false => format!("`{name}` of {camera} is inactive while {}: set that as well", stand.join(" and ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn control(name: &str, kind: ControlKind, min: i64, max: i64) -> CameraControl {
        CameraControl {
            id: 0,
            name: name.into(),
            kind,
            min,
            max,
            step: 1,
            default: min,
            value: Some(min),
            menu: Vec::new(),
            is_inactive: false,
            is_read_only: false,
            is_grabbed: false,
            changes_others: false,
        }
    }

    /// A webcam whose automatics have exposure and focus in their hands, as uvcvideo's do.
    struct Webcam(RefCell<Vec<CameraControl>>);

    impl Webcam {
        fn new() -> Self {
            use ControlKind::{Boolean, Integer, Menu};
            let mut exposure = control("auto_exposure", Menu, 0, 3);
            exposure.menu = vec![(1, "manual_mode".into()), (3, "aperture_priority_mode".into())];
            exposure.value = Some(3);
            let mut flicker = control("power_line_frequency", Menu, 0, 2);
            flicker.menu = vec![(0, "disabled".into()), (1, "50_hz".into()), (2, "60_hz".into())];
            let focus = CameraControl { value: Some(1), ..control("focus_automatic_continuous", Boolean, 0, 1) };
            Self(RefCell::new(vec![
                control("brightness", Integer, -64, 64),
                control("exposure_time_absolute", Integer, 1, 5000),
                control("focus_absolute", Integer, 0, 250),
                CameraControl { is_read_only: true, ..control("temperature", Integer, 0, 100) },
                CameraControl { is_grabbed: true, ..control("rotate", Integer, 0, 270) },
                exposure,
                flicker,
                focus,
            ]))
        }

        fn asked(&self) -> Vec<CameraControl> {
            let mut controls = self.0.borrow().clone();
            let value = |name: &str| controls.iter().find(|control| control.name == name).unwrap().value;
            let (exposure, focus) = (value("auto_exposure") != Some(1), value("focus_automatic_continuous") != Some(0));
            controls[1].is_inactive = exposure;
            controls[2].is_inactive = focus;
            controls
        }

        fn set_all(&self, wanted: &[(&str, ControlValue)]) -> (Vec<String>, Vec<Unmet>) {
            let wanted = wanted.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            let mut order = Vec::new();
            let unmet = set_all(
                "cam",
                &wanted,
                || Ok(self.asked()),
                |control, number| {
                    order.push(format!("{}={number}", control.name));
                    self.0.borrow_mut().iter_mut().find(|one| one.name == control.name).unwrap().value = Some(number);
                    Ok(())
                },
            );
            (order, unmet)
        }
    }

    fn entry(name: &str) -> ControlValue {
        ControlValue::Entry(name.into())
    }

    #[test]
    fn automatics_are_set_before_what_they_have_in_their_hands() {
        let (order, unmet) = Webcam::new().set_all(&[
            ("Brightness", ControlValue::Number(-3)),
            ("exposure_time_absolute", ControlValue::Number(200)),
            ("auto_exposure", entry("Manual Mode")),
            ("focus_absolute", ControlValue::Number(0)),
            ("focus_automatic_continuous", ControlValue::Flag(false)),
            ("power_line_frequency", entry("50_hz")),
        ]);
        assert_eq!(unmet, []);
        let expected = [
            "auto_exposure=1",
            "focus_automatic_continuous=0",
            "power_line_frequency=1",
            "brightness=-3",
            "exposure_time_absolute=200",
            "focus_absolute=0",
        ];
        assert_eq!(order, expected);
    }

    #[test]
    fn what_cannot_be_set_is_told_and_the_rest_is_set() {
        use ControlValue::{Flag, Number};
        for (name, value, problem) in [
            ("brightnes", Number(1), "cam has no control `brightnes`; did you mean `brightness`?"),
            ("zoom", Number(1), "cam has no control `zoom`; `doorward camera list` shows those it has"),
            ("brightness", Number(65), "`brightness` of cam cannot be 65: it is from -64 to 64"),
            ("brightness", Flag(true), "`brightness` of cam cannot be true: it is from -64 to 64"),
            (
                "power_line_frequency",
                entry("50hz"),
                "`power_line_frequency` of cam cannot be \"50hz\": it is one of `disabled`, `50_hz` and `60_hz`; did \
                 you mean `50_hz`?",
            ),
            (
                "auto_exposure",
                Number(2),
                "`auto_exposure` of cam cannot be 2: it is one of `manual_mode` and `aperture_priority_mode`",
            ),
            (
                "focus_automatic_continuous",
                entry("off"),
                "`focus_automatic_continuous` of cam cannot be \"off\": it is true or false",
            ),
            ("temperature", Number(1), "`temperature` of cam cannot be 1: it can only be read"),
            ("rotate", Number(90), "`rotate` of cam cannot be 90: the camera is in use"),
            (
                "exposure_time_absolute",
                Number(9),
                "`exposure_time_absolute` of cam is inactive while `auto_exposure` is aperture_priority_mode: set that \
                 as well",
            ),
        ] {
            let (order, unmet) = Webcam::new().set_all(&[(name, value), ("focus_automatic_continuous ", Number(1))]);
            let expected = Unmet { key: format!("controls.{name}"), problem: problem.into() };
            assert_eq!((order, unmet), (vec!["focus_automatic_continuous=1".to_owned()], vec![expected]));
        }
    }

    #[test]
    fn a_camera_that_refuses_or_cannot_be_asked_is_told_once() {
        let webcam = Webcam::new();
        let wanted = BTreeMap::from([("brightness".to_owned(), ControlValue::Number(0))]);
        let refuses = |_: &CameraControl, _| Err(io::Error::other("EIO"));
        let unmet = set_all("cam", &wanted, || Ok(webcam.asked()), refuses);
        assert_eq!(unmet.len(), 1);
        assert_eq!(unmet[0].problem, "cam refuses to set `brightness` to 0: EIO");
        let unmet = set_all("cam", &wanted, || Err(io::Error::other("gone")), refuses);
        assert_eq!((unmet.len(), unmet[0].key.as_str()), (1, "controls"));
    }
}
