//! What a camera's driver says of its controls.
//!
//! In: an open device. Out: its [`CameraControl`]s. Texts and compounds such as matrices are left out, and buttons,
//! which have no value. It does not know what anybody wants of them.
//!
//! The `v4l` crate lists controls too, but panics at a kind of control it does not know, and newer kernels have new
//! kinds.

use std::os::raw::c_void;
use std::{io, mem};

use v4l::Device;
use v4l::control::{Control, Flags, Value};
use v4l::v4l_sys::{v4l2_ext_control, v4l2_ext_controls, v4l2_query_ext_ctrl, v4l2_querymenu};
use v4l::v4l2::{ioctl, vidioc};

use super::control::{CameraControl, ControlKind};
use crate::config::control_word;

/// More controls than any camera has, and more entries than any menu: a driver that goes in circles is left.
const MOST: usize = 1024;

/// What a control is, by the kernel's numbers (`enum v4l2_ctrl_type`).
const INTEGER: u32 = 1;
const BOOLEAN: u32 = 2;
const MENU: u32 = 3;
const INTEGER_64: u32 = 5;
const BITMASK: u32 = 8;
const INTEGER_MENU: u32 = 9;

/// The controls of a camera; none where its driver has none.
pub fn controls(camera: &Device) -> io::Result<Vec<CameraControl>> {
    /// `ENOTTY` and `EINVAL` in Linux: there is no control, or none after the last.
    const NO_MORE: [i32; 2] = [25, 22];
    let mut controls = Vec::new();
    let mut last = 0;
    for _ in 0..MOST {
        let told = match described(camera, last | Flags::NEXT_CTRL.bits()) {
            Ok(told) => told,
            Err(error) if error.raw_os_error().is_some_and(|code| NO_MORE.contains(&code)) => break,
            Err(error) => return Err(error),
        };
        if told.id <= last {
            break;
        }
        last = told.id;
        controls.extend(control(camera, &told));
    }
    Ok(controls)
}

/// Sets a control.
pub fn set(camera: &Device, control: &CameraControl, number: i64) -> io::Result<()> {
    camera.set_control(Control { id: control.id, value: Value::Integer(number) })
}

/// What the driver says of one, when it is of a kind that is a number.
fn control(camera: &Device, told: &v4l2_query_ext_ctrl) -> Option<CameraControl> {
    let flags = Flags::from(told.flags);
    let kind = match told.type_ {
        INTEGER | INTEGER_64 => ControlKind::Integer,
        BOOLEAN => ControlKind::Boolean,
        MENU | INTEGER_MENU => ControlKind::Menu,
        BITMASK => ControlKind::Bitmask,
        _ => return None,
    };
    // A row of numbers is no number.
    if flags.intersects(Flags::DISABLED | Flags::HAS_PAYLOAD) {
        return None;
    }
    let is_menu = kind == ControlKind::Menu;
    Some(CameraControl {
        id: told.id,
        name: control_word(&text(told.name.map(|byte| byte as u8))),
        kind,
        min: told.minimum,
        max: told.maximum,
        step: told.step,
        default: told.default_value,
        value: if flags.contains(Flags::WRITE_ONLY) { None } else { value(camera, told).ok() },
        menu: if is_menu { menu(camera, told) } else { Vec::new() },
        is_inactive: flags.contains(Flags::INACTIVE),
        is_read_only: flags.contains(Flags::READ_ONLY),
        is_grabbed: flags.contains(Flags::GRABBED),
        changes_others: flags.contains(Flags::UPDATE),
    })
}

/// The entries a menu really has: a driver may leave some of their numbers out.
fn menu(camera: &Device, told: &v4l2_query_ext_ctrl) -> Vec<(i64, String)> {
    let numbers = (told.minimum.max(0)..=told.maximum).take(MOST);
    numbers.filter_map(|number| Some((number, entry(camera, told, u32::try_from(number).ok()?).ok()?))).collect()
}

fn described(camera: &Device, id: u32) -> io::Result<v4l2_query_ext_ctrl> {
    // SAFETY: it is made of numbers alone, of which all may be zero.
    let mut told = v4l2_query_ext_ctrl { id, ..unsafe { mem::zeroed() } };
    ask(camera, vidioc::VIDIOC_QUERY_EXT_CTRL, &mut told)?;
    Ok(told)
}

/// The name of a menu's entry; of one without letters and digits its number.
fn entry(camera: &Device, told: &v4l2_query_ext_ctrl, index: u32) -> io::Result<String> {
    // SAFETY: it is made of numbers alone, of which all may be zero.
    let mut item = v4l2_querymenu { id: told.id, index, ..unsafe { mem::zeroed() } };
    ask(camera, vidioc::VIDIOC_QUERYMENU, &mut item)?;
    let item = item.__bindgen_anon_1;
    // SAFETY: the kernel has written the part that goes with the control's kind, and every bit pattern is one of
    // either.
    let (name, number) = unsafe { (item.name, item.value) };
    let word = control_word(&text(name));
    Ok(match told.type_ {
        INTEGER_MENU => number.to_string(),
        _ if word.is_empty() => index.to_string(),
        _ => word,
    })
}

fn value(camera: &Device, told: &v4l2_query_ext_ctrl) -> io::Result<i64> {
    // SAFETY: both are made of numbers and pointers that may be null.
    let (mut control, mut controls): (v4l2_ext_control, v4l2_ext_controls) = unsafe { (mem::zeroed(), mem::zeroed()) };
    control.id = told.id;
    controls.count = 1;
    controls.controls = &mut control;
    ask(camera, vidioc::VIDIOC_G_EXT_CTRLS, &mut controls)?;
    let value = control.__bindgen_anon_1;
    // SAFETY: the kernel has written the part that goes with the control's kind, and every bit pattern is a number.
    Ok(unsafe { if told.type_ == INTEGER_64 { value.value64 } else { i64::from(value.value) } })
}

/// Hands the driver a question in the form that goes with it, which the answer is written into.
fn ask<T>(camera: &Device, question: vidioc::_IOC_TYPE, form: &mut T) -> io::Result<()> {
    let camera = camera.handle();
    // SAFETY: the device is open as long as its handle lives, and each caller brings the struct that the kernel defines
    // for its question, which is as large as the question's number says.
    unsafe { ioctl(camera.fd(), question, (&raw mut *form).cast::<c_void>()) }
}

/// A text that may lack its end, and may be in any encoding.
fn text(bytes: impl IntoIterator<Item = u8>) -> String {
    let bytes: Vec<u8> = bytes.into_iter().take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
