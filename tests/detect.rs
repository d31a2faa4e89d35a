//! `doorward detect` as its users see it: the real binary on real pictures, against annotations and against OpenCV.

mod support;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use faces::detect::Rect;
use faces::models::{ModelStore, Role};
use faces::picture::{Interpolation, Picture};
use serde_json::Value;
use support::{auto, doorward, here, json_lines, run, shared};

const YUNETS: [&str; 2] = ["yunet_n", "yunet_s"];

/// The lines of `doorward detect --json` for these images.
fn detect(model: &str, images: &[PathBuf]) -> Vec<Value> {
    let output = run(doorward().args(["detect", "--json", "--model", model]).args(images));
    let lines = json_lines(&output);
    assert_eq!(lines.len(), images.len());
    lines
}

fn rect(value: &Value) -> Rect {
    let side = |n: usize| value[n].as_f64().expect("a box is four numbers") as f32;
    Rect { x: side(0), y: side(1), width: side(2), height: side(3) }
}

fn faces(line: &Value) -> Vec<(Rect, f64)> {
    let faces = line["faces"].as_array().expect("a line has faces");
    faces.iter().map(|face| (rect(&face["box"]), face["score"].as_f64().unwrap())).collect()
}

/// Pairs up boxes, the best overlaps first, down to `iou`; gives the pairs' overlaps.
fn matched(a: &[Rect], b: &[Rect], iou: f32) -> Vec<(usize, usize, f32)> {
    let mut pairs: Vec<_> = a
        .iter()
        .enumerate()
        .flat_map(|(i, a)| b.iter().enumerate().map(move |(j, b)| (i, j, a.iou(b))))
        .filter(|pair| pair.2 >= iou)
        .collect();
    pairs.sort_by(|a, b| b.2.total_cmp(&a.2));
    let mut taken: Vec<(usize, usize, f32)> = Vec::new();
    for pair in pairs {
        if taken.iter().all(|other| other.0 != pair.0 && other.1 != pair.1) {
            taken.push(pair);
        }
    }
    taken
}

/// A picture of a package, which `make models` has fetched.
fn package_picture(name: &str) -> PathBuf {
    ModelStore::locate(None).picture(name).expect("the pictures are there after `make models`")
}

/// The astronaut's face as all three models see it.
const ASTRONAUT: Rect = Rect { x: 178.0, y: 65.0, width: 91.0, height: 111.0 };

#[test]
fn every_annotated_face_is_found_and_dogs_are_none() {
    let Some(folder) = shared("detection") else { return };
    let annotations: Vec<Value> =
        serde_json::from_slice(&std::fs::read(folder.join("annotations.json")).unwrap()).unwrap();
    let images: Vec<PathBuf> = annotations.iter().map(|photo| folder.join(photo["file"].as_str().unwrap())).collect();
    for model in here(Role::Detector, &["yunet_n", "yunet_s", "centerface"]) {
        let (mut all, mut loose, mut tight) = (0, 0, 0);
        for (photo, line) in annotations.iter().zip(detect(model, &images)) {
            let wanted: Vec<Rect> = photo["boxes"].as_array().unwrap().iter().map(rect).collect();
            let found: Vec<Rect> = faces(&line).into_iter().map(|face| face.0).collect();
            all += wanted.len();
            loose += matched(&wanted, &found, 0.4).len();
            tight += matched(&wanted, &found, 0.5).len();
        }
        let dogs = faces(&detect(model, &[folder.join("dogs.jpg")])[0]).len();
        println!("{model}: {loose} of {all} at IoU 0.4, {tight} at 0.5, {dogs} false on the dogs");
        assert_eq!((all, loose), (43, 43), "{model}");
        assert!(tight >= 42, "{model}: {tight} at IoU 0.5");
        assert!(dogs <= usize::from(model != "centerface"), "{model}: {dogs} dogs taken for people");
    }
}

#[test]
fn boxes_and_scores_agree_with_opencv() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    assert!(python.exists(), "{} is missing: run `make test`, which sets it up", python.display());
    let mut images: Vec<PathBuf> =
        ["astronaut", "sample3", "sample4", "sample5", "sample6"].map(package_picture).into();
    if let Some(folder) = shared("detection") {
        let photos = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        images.extend(photos.filter(|path| path.extension().is_some_and(|ending| ending == "jpg")));
    }
    for model in here(Role::Detector, &YUNETS) {
        let file = ModelStore::locate(None).dir().join(format!("{model}.onnx"));
        let mut opencv = Command::new(&python);
        opencv.arg("tests/facedetectoryn.py").arg(file).args(["1280", "0.6", "0.3"]).args(&images);
        let theirs = json_lines(&run(opencv.current_dir(env!("CARGO_MANIFEST_DIR"))));
        let (mut overlap, mut pairs, mut missed, mut worst_score, mut worst_point) = (0.0, 0, 0, 0.0f64, 0.0f64);
        for (ours, theirs) in detect(model, &images).iter().zip(&theirs) {
            let boxes = |line: &Value| faces(line).iter().map(|face| face.0).collect::<Vec<_>>();
            let found = matched(&boxes(ours), &boxes(theirs), 0.5);
            // What is larger than the model was trained for is decided by a second, coarser look that OpenCV does not
            // have: it drops dogs and finds what fills the picture.
            let scale = theirs["scale"].as_f64().unwrap() as f32;
            let in_range = |face: &Rect| face.width.max(face.height) * scale < 160.0;
            for (n, face) in boxes(theirs).iter().enumerate() {
                let alone = found.iter().all(|pair| pair.1 != n);
                assert!(!(alone && in_range(face)), "{model} does not find {face:?} in {}", ours["file"]);
                missed += usize::from(alone);
            }
            for (n, face) in boxes(ours).iter().enumerate() {
                let alone = found.iter().all(|pair| pair.0 != n);
                assert!(!(alone && in_range(face)), "{model} alone finds {face:?} in {}", ours["file"]);
            }
            for (i, j, iou) in found {
                overlap += iou;
                pairs += 1;
                let (our, their) = (&ours["faces"][i], &theirs["faces"][j]);
                worst_score =
                    worst_score.max((our["score"].as_f64().unwrap() - their["score"].as_f64().unwrap()).abs());
                let points = |face: &Value| -> Vec<f64> {
                    face["landmarks"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .flat_map(|p| [p[0].as_f64(), p[1].as_f64()])
                        .flatten()
                        .collect()
                };
                assert_eq!(points(our).len(), 10);
                for (a, b) in points(our).iter().zip(points(their)) {
                    worst_point = worst_point.max((a - b).abs());
                }
            }
        }
        let mean = overlap / pairs as f32;
        println!(
            "{model}: {pairs} faces, mean IoU {mean:.4}, scores within {worst_score:.4}, landmarks within \
             {worst_point:.2} px; {missed} large ones of OpenCV's not taken for faces"
        );
        assert!(pairs >= 8, "only {pairs} faces were compared");
        assert!(mean >= 0.95 && worst_score <= 0.02 && worst_point < 2.0, "{model}");
        assert!(missed * 10 <= pairs, "{model}: {missed} of OpenCV's faces are missing");
    }
}

#[test]
fn faces_of_any_size_are_found_once() {
    let folder = tempfile::tempdir().unwrap();
    let photo = Picture::read(&package_picture("astronaut")).unwrap();
    let margin = 60.0;
    let (left, top) = (ASTRONAUT.x - margin, ASTRONAUT.y - margin);
    let (width, height) = (ASTRONAUT.width + 2.0 * margin, ASTRONAUT.height + 2.0 * margin);
    let part = photo.cropped(left as i64, top as i64, width as u32, height as u32).unwrap();
    let mut wanted = Vec::new();
    for px in [16, 24, 40, 80, 160, 300, 600, 900, 1300] {
        let scale = px as f32 / ASTRONAUT.height;
        let method = if scale < 1.0 { Interpolation::Area } else { Interpolation::Linear };
        let sized = part.resized((width * scale) as u32, (height * scale) as u32, method).unwrap();
        // The whole head; the face cut off at brow and chin, as of somebody leaning into the camera.
        let cut = (margin + 0.1 * ASTRONAUT.height) * scale;
        let close = sized
            .cropped(cut as i64, cut as i64, sized.width() - 2 * cut as u32, sized.height() - 2 * cut as u32)
            .unwrap();
        let face = |offset: f32| Rect {
            x: margin * scale - offset,
            y: margin * scale - offset,
            width: ASTRONAUT.width * scale,
            height: ASTRONAUT.height * scale,
        };
        for (picture, at, what) in [(&sized, face(0.0), "whole"), (&close, face(cut), "cut")] {
            if what == "cut" && px < 40 {
                continue;
            }
            let file = folder.path().join(format!("{what}-{px}.jpg"));
            std::fs::write(&file, picture.jpeg(95).unwrap()).unwrap();
            wanted.push((file, at));
        }
    }
    let images: Vec<PathBuf> = wanted.iter().map(|(file, _)| file.clone()).collect();
    for model in here(Role::Detector, &YUNETS) {
        for ((file, at), line) in wanted.iter().zip(detect(model, &images)) {
            let found = faces(&line);
            assert_eq!(found.len(), 1, "{model} in {}: {found:?}", file.display());
            assert!(found[0].0.iou(at) > 0.5, "{model} in {}: {found:?} is not {at:?}", file.display());
        }
    }
}

#[test]
fn a_picture_of_any_size_gets_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let sizes = [(1, 1), (2, 1), (31, 33), (3, 2000), (2000, 3), (199, 201), (8000, 6000)];
    let images: Vec<PathBuf> = sizes
        .iter()
        .map(|(width, height)| {
            let file = folder.path().join(format!("{width}x{height}.jpg"));
            std::fs::write(&file, Picture::filled(*width, *height, [90, 120, 150]).jpeg(90).unwrap()).unwrap();
            file
        })
        .collect();
    for model in here(Role::Detector, &["yunet_n", "yunet_s", "centerface"]) {
        for ((width, height), line) in sizes.iter().zip(detect(model, &images)) {
            assert_eq!((line["width"].as_u64(), line["height"].as_u64()), (Some(*width as u64), Some(*height as u64)));
            assert_eq!(line["faces"].as_array().unwrap().len(), 0, "{model} sees a face in one colour: {line}");
        }
    }
}

#[test]
fn a_line_has_the_promised_shape_with_the_largest_face_first() {
    let image = package_picture("sample3");
    let line = &detect("auto", std::slice::from_ref(&image))[0];
    let keys: Vec<&String> = line.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["faces", "file", "height", "model", "width"]);
    assert_eq!(line["file"], image.display().to_string());
    assert_eq!((line["width"].as_u64(), line["height"].as_u64()), (Some(1920), Some(1350)));
    assert_eq!(line["model"], auto(Role::Detector));
    let found = faces(line);
    assert!(found.len() >= 3, "{found:?}");
    assert!(found.is_sorted_by(|a, b| a.0.area() >= b.0.area()), "{found:?}");
    for face in line["faces"].as_array().unwrap() {
        let mut keys: Vec<&String> = face.as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(keys, ["box", "landmarks", "quality", "score"]);
        let bbox = rect(&face["box"]);
        let points = face["landmarks"].as_array().unwrap();
        assert_eq!(points.len(), 5);
        let x = |n: usize| points[n][0].as_f64().unwrap() as f32;
        let y = |n: usize| points[n][1].as_f64().unwrap() as f32;
        assert!(
            x(0) < x(1) && x(3) < x(4) && y(0) < y(3) && y(1) < y(4),
            "eyes above mouth, left before right: {face}"
        );
        assert!(bbox.holds(faces::detect::Point { x: x(2), y: y(2) }), "the nose is in the face: {face}");
        assert!((0.6..=1.0).contains(&face["score"].as_f64().unwrap()));
    }
}

#[test]
fn without_json_every_face_has_a_line_of_its_own() {
    let image = package_picture("sample3");
    let found = faces(&detect(&auto(Role::Detector), std::slice::from_ref(&image))[0]).len();
    let output = run(doorward().arg("detect").arg(&image));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with(&image.display().to_string()) && lines[0].contains(&format!("{found} faces")),
        "{text}"
    );
    assert_eq!(lines.len(), 1 + found, "{text}");
    assert!(lines[1..].iter().all(|line| line.starts_with("  ") && line.contains(", score ")), "{text}");
    assert!(lines[1..].iter().all(|line| line.contains(", quality ")), "{text}");
}

/// The face of a picture as it is, in much and in little light, in fog, near, far, and cut by each side of the frame.
fn made_worse(picture: &Picture, face: &Rect) -> Vec<Picture> {
    let changed = |change: fn(f32) -> f32| {
        let bgr = picture.bgr().iter().map(|&value| change(f32::from(value)).clamp(0.0, 255.0) as u8).collect();
        Picture::new(picture.width(), picture.height(), bgr).unwrap()
    };
    let tall = |height: f32| {
        let side = |length: u32| (length as f32 * height / face.height).round() as u32;
        picture.resized(side(picture.width()), side(picture.height()), Interpolation::Area).unwrap()
    };
    let (middle, width, height) = (face.centre(), picture.width(), picture.height());
    let right = picture.cropped(0, 0, middle.x as u32 + face.width as u32 / 4, height).unwrap();
    let left = picture.cropped(middle.x as i64 - face.width as i64 / 4, 0, width, height).unwrap();
    let light = [|value| value, |value| value * 0.25, |value| value * 0.12, |value| value * 2.0 + 60.0];
    let mut made: Vec<Picture> = light.map(changed).into();
    made.extend([changed(|value| 120.0 + (value - 120.0) * 0.2), right, left]);
    made.extend([24.0, 36.0, 52.0, 80.0].map(tall));
    made
}

#[test]
fn a_total_is_what_its_parts_and_weights_say_and_the_script_that_fits_them_says_the_same() {
    let picture = Picture::read(&package_picture("astronaut")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut images: Vec<PathBuf> = ["sample3", "sample4", "sample5", "sample6"].map(package_picture).into();
    for (number, made) in made_worse(&picture, &ASTRONAUT).iter().enumerate() {
        images.push(folder.path().join(format!("{number}.jpg")));
        std::fs::write(&images[images.len() - 1], made.jpeg(95).unwrap()).unwrap();
    }
    let output = run(doorward().args(["detect", "--json"]).args(&images));
    let (mut faces, mut parts) = (0, std::collections::BTreeMap::<String, Vec<f64>>::new());
    for face in json_lines(&output).iter().flat_map(|line| line["faces"].as_array().unwrap()) {
        let quality = face["quality"].as_object().unwrap();
        let mut product = 1.0;
        for (name, part) in quality.iter().filter(|(name, _)| *name != "total") {
            let number = |what: &str| part[what].as_f64().unwrap();
            product *= number("score").powf(number("weight"));
            parts.entry(name.clone()).or_default().push(number("score"));
        }
        // A root of a score that is told with three digits is far from sure near 0.
        let told = quality.values().all(|part| part["score"].as_f64().is_none_or(|score| score > 0.02));
        let total = quality["total"].as_f64().unwrap();
        assert!(!told || (total - product).abs() < 0.01, "{total} is told, and the parts say {product}: {face}");
        faces += 1;
    }
    assert!(faces >= 20 && parts.len() == 6, "{faces} faces with {:?}", parts.keys());
    let varied = |scores: &Vec<f64>| scores.iter().any(|&score| score < 0.95) && scores.iter().any(|&it| it > 0.95);
    assert!(parts.values().all(varied), "each part must have something to disagree about: {parts:?}");

    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    assert!(python.exists(), "{} is missing: run `make test`, which sets it up", python.display());
    let told = folder.path().join("told.jsonl");
    std::fs::write(&told, &output.stdout).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/quality/scale.py");
    let apart = &json_lines(&run(Command::new(python).arg(script).arg(told)))[0];
    for (part, much) in apart.as_object().unwrap() {
        assert!(much.as_f64().unwrap() < 0.01, "tests/quality/scale.py and the program disagree about {part}: {apart}");
    }
    assert_eq!(apart.as_object().unwrap().len(), 7, "{apart}");
}

#[test]
fn a_bad_picture_is_named_and_the_others_are_searched() {
    let folder = tempfile::tempdir().unwrap();
    let (broken, missing) = (folder.path().join("broken.jpg"), folder.path().join("missing.jpg"));
    std::fs::write(&broken, b"not a picture").unwrap();
    let good = package_picture("astronaut");
    let images = [&broken, &good, &missing, &good];

    let output = doorward().args(["detect", "--json"]).args(images).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let lines = json_lines(&output);
    assert_eq!(lines.len(), 4);
    for (line, image) in lines.iter().zip(images) {
        assert_eq!(line["file"], image.display().to_string());
        assert_eq!(line.get("error").is_some(), image != &good, "{line}");
        assert_eq!(line.get("faces").is_some(), image == &good, "{line}");
    }
    assert!(lines[2]["error"].as_str().unwrap().contains("No such file"), "{}", lines[2]);

    let output = doorward().arg("detect").args(images).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(out.matches("1 face").count(), 2, "{out}");
    assert!(err.contains(&broken.display().to_string()) && err.contains(&missing.display().to_string()), "{err}");
}

#[test]
fn an_unknown_model_is_answered_with_the_nearest_name() {
    let output = doorward().args(["detect", "--model", "yunet_m", "x.jpg"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains("did you mean `yunet_"), "{err}");
    // A name of another role is no detector either.
    let output = doorward().args(["detect", "--model", "mobilefacenet", "x.jpg"]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("no detector called `mobilefacenet`"));
}

#[test]
fn the_benchmark_reports_the_stage_and_the_network_in_it() {
    let image = package_picture("sample3");
    let output =
        run(doorward().args(["detect", "--json", "--bench", "9", "--size", "320x240", "--threads", "1"]).arg(image));
    let line = &json_lines(&output)[0];
    assert_eq!((line["width"].as_u64(), line["height"].as_u64()), (Some(320), Some(240)));
    let bench = |key: &str| line["bench"][key].as_f64().unwrap();
    assert_eq!(line["bench"].as_object().unwrap().len(), 3);
    assert!(bench("inference_ms") > 0.0 && bench("inference_ms") <= bench("p95_ms"), "{line}");
    assert!(bench("median_ms") <= bench("p95_ms"), "{line}");
    for (arguments, code) in [(["--bench", "0"], 2), (["--size", "0x9"], 2), (["--threads", "0"], 2)] {
        assert_eq!(doorward().args(["detect", "x.jpg"]).args(arguments).output().unwrap().status.code(), Some(code));
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let image = package_picture("astronaut");
    let mut child = doorward()
        .args(["detect", "--json"])
        .args(std::iter::repeat_n(&image, 40))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    out.read_line(&mut first).unwrap();
    assert!(first.contains("faces"));
    drop(out);
    let ended = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{} {err}", ended.status);
    assert!(!err.contains("panicked") && !err.contains("doorward:"), "{err}");
}
