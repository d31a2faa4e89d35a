//! Pictures that went wrong once, in the hands of users.

use serde_json::Value;

use crate::made::*;
use crate::support::{doorward, json_lines, shared};

/// What `doorward detect` says of files of the test data.
fn detect(names: &[&str]) -> Option<Vec<Value>> {
    let files: Option<Vec<_>> = names.iter().map(|name| shared(&format!("cases/{name}"))).collect();
    let output = doorward().args(["detect", "--json"]).args(files?).output().unwrap();
    Some(json_lines(&output))
}

fn faces(line: &Value) -> usize {
    line["faces"].as_array().unwrap_or_else(|| panic!("{line}")).len()
}

fn size(line: &Value) -> (u64, u64) {
    (line["width"].as_u64().unwrap(), line["height"].as_u64().unwrap())
}

#[test]
fn pictures_that_were_refused_are_read() {
    let Some(lines) = detect(&["fill.jpg", "fill1.jpg", "topdown.bmp", "exif6.webp"]) else { return };
    for line in &lines {
        assert_eq!(faces(line), 1, "{line}");
    }
    // A portrait, upright.
    assert_eq!(size(&lines[2]), (480, 640));
    assert_eq!(size(&lines[3]), (480, 640));
    let tall = &lines[3]["faces"][0]["box"];
    assert!(tall[3].as_f64() > tall[2].as_f64(), "{tall}");
}

#[test]
fn pictures_that_were_taken_are_refused_with_the_reason() {
    let Some(lines) = detect(&["truncated.jpg", "limit-bypass.jpg"]) else { return };
    for (line, reason) in lines.iter().zip(["incomplete", "20000x20000"]) {
        assert!(line["error"].as_str().unwrap_or_else(|| panic!("{line}")).contains(reason), "{line}");
    }
}

#[test]
fn fill_bytes_change_nothing_about_the_faces() {
    let dir = tempfile::tempdir().unwrap();
    let portrait = faces::picture::Picture::read(&crate::support::recording::known_person()).unwrap();
    let plain = jpeg(&portrait, false);
    let files = [
        ("plain.jpg", plain.clone()),
        ("one.jpg", with_fill_bytes(&plain, 1)),
        ("many.jpg", with_fill_bytes(&plain, 9)),
    ];
    let paths = files.map(|(name, bytes)| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    });
    let lines = json_lines(&doorward().args(["detect", "--json"]).args(paths).output().unwrap());
    assert!(faces(&lines[0]) > 0 && lines.iter().all(|line| line["faces"] == lines[0]["faces"]), "{lines:?}");
}
