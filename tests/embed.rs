//! `doorward embed` as its users see it: who is taken for whom, with every detector and every embedder.

mod support;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use faces::detect::{self, SearchOptions};
use faces::embed::{self, FaceEmbedder, Metric};
use faces::models::{ModelStore, Role};
use faces::picture::{Border, Interpolation, Picture};
use serde_json::Value;
use support::{auto, doorward, here, json_lines, run, shared};

const DETECTORS: [&str; 3] = ["yunet_n", "yunet_s", "centerface"];

/// A models folder in which `auto` has but one detector to take.
fn only(detector: &str) -> tempfile::TempDir {
    let all = ModelStore::locate(None);
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(all.dir()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let another = DETECTORS.iter().any(|other| *other != detector && name == format!("{other}.onnx"));
        if !another {
            std::os::unix::fs::symlink(&path, folder.path().join(name)).unwrap();
        }
    }
    folder
}

/// What `doorward embed` gives for these images.
fn embedded(models: &Path, model: &str, images: &[PathBuf]) -> Vec<Value> {
    let mut command = doorward();
    command.env("DOORWARD_MODELS_DIR", models).args(["embed", "--json", "--model", model]).args(images);
    let lines = json_lines(&run(&mut command));
    assert_eq!(lines.len(), images.len());
    lines
}

fn values(line: &Value) -> Vec<f32> {
    line["embedding"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect()
}

fn metric(line: &Value) -> Metric {
    match line["metric"].as_str() {
        Some("cosine") => Metric::Cosine,
        Some("l2") => Metric::L2,
        other => panic!("{other:?} is no metric"),
    }
}

/// Whether the command's own metric and threshold make two lines the same person.
fn same(a: &Value, b: &Value) -> bool {
    let metric = metric(a);
    metric.accepts(metric.score(&values(a), &values(b)), a["threshold"].as_f64().unwrap() as f32)
}

fn package_picture(name: &str) -> PathBuf {
    ModelStore::locate(None).picture(name).expect("the pictures are there after `make models`")
}

#[test]
fn few_pairs_of_photos_are_taken_for_what_they_are_not() {
    let Some(folder) = shared("photos/johns") else { return };
    // One photo is there twice; a pair with itself proves nothing.
    let mut contents = HashSet::new();
    let mut photos: Vec<(String, PathBuf)> = Vec::new();
    let mut people: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    people.sort();
    for person in people {
        let mut files: Vec<PathBuf> = std::fs::read_dir(&person).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            if contents.insert(std::fs::read(&file).unwrap()) {
                photos.push((person.display().to_string(), file));
            }
        }
    }
    assert_eq!(photos.len(), 54);
    let images: Vec<PathBuf> = photos.iter().map(|(_, file)| file.clone()).collect();
    for detector in DETECTORS {
        let models = only(detector);
        for (embedder, most) in [("mobilefacenet", 2), ("faceapi_resnet", 10)] {
            let lines = embedded(models.path(), embedder, &images);
            let (mut pairs, mut strangers, mut missed) = (0, 0, 0);
            for (i, a) in lines.iter().enumerate() {
                for (j, b) in lines.iter().enumerate().skip(i + 1) {
                    pairs += 1;
                    match (photos[i].0 == photos[j].0, same(a, b)) {
                        (true, false) => missed += 1,
                        (false, true) => strangers += 1,
                        _ => {}
                    }
                }
            }
            println!("{embedder} with {detector}: {strangers} strangers taken for one, {missed} missed, of {pairs}");
            assert_eq!(pairs, 1431);
            assert!(strangers + missed <= most, "{embedder} with {detector}: {strangers} + {missed} wrong");
        }
    }
}

/// The picture turned clockwise about its middle, its edge going on beyond it.
fn turned(picture: &Picture, degrees: f64) -> Picture {
    let side = picture.width().max(picture.height()) * 7 / 4;
    let (sine, cosine) = degrees.to_radians().sin_cos();
    let (x, y, middle) = (f64::from(picture.width()) / 2.0, f64::from(picture.height()) / 2.0, f64::from(side) / 2.0);
    let there = [[cosine, -sine, middle - cosine * x + sine * y], [sine, cosine, middle - sine * x - cosine * y]];
    picture.warped(&there, side, side, Border::Replicate).unwrap()
}

/// Whose pictures they are, as each embedder sees their largest face after a second look; `None` without a face.
fn looked_at(
    detector: &str,
    embedders: &mut [FaceEmbedder],
    pictures: &[(String, Picture)],
    degrees: f64,
) -> Vec<Option<Vec<Vec<f32>>>> {
    let options = SearchOptions { longest_side_px: 640, ..SearchOptions::still(detector) };
    let mut detector = detect::load(&ModelStore::locate(None), &options, 2).unwrap();
    let look = |(_, picture): &(String, Picture)| {
        let picture = turned(picture, degrees);
        let face = detector.detect(&picture).unwrap().into_iter().next()?;
        let look = detector.look_again(&picture, &face).unwrap();
        let face = look.map_or(face, |look| look.face);
        Some(embedders.iter_mut().map(|embedder| embedder.embed(&picture, &face).unwrap().values).collect())
    };
    pictures.iter().map(look).collect()
}

#[test]
fn a_tilted_face_is_found_and_known_as_an_upright_one() {
    let store = ModelStore::locate(None);
    let names = here(Role::Embedder, &["mobilefacenet", "faceapi_resnet"]);
    let mut embedders: Vec<_> = names.iter().map(|name| embed::load(&store, name, 2).unwrap()).collect();
    // (degrees, of 100 known at least)
    let tilts = [(0.0, 99), (15.0, 98), (25.0, 96), (35.0, 95), (45.0, 85)];
    let tilts = tilts.iter().flat_map(|(degrees, least)| [(*degrees, *least), (-*degrees, *least)]).skip(1);
    let tilts: Vec<(f64, usize)> = tilts.collect();
    let pictures = people();
    for detector in here(Role::Detector, &["yunet_n", "centerface"]) {
        let gallery = looked_at(detector, &mut embedders, &pictures, 0.0);
        for (degrees, least) in &tilts {
            let seen = looked_at(detector, &mut embedders, &pictures, *degrees);
            let found = seen.iter().flatten().count();
            assert_eq!(found, pictures.len(), "{detector}, {degrees}: faces found");
            for (at, embedder) in embedders.iter().enumerate() {
                let model = &embedder.model;
                let (mut known, mut alike, mut strangers) = (0, 0, 0);
                for (i, face) in seen.iter().flatten().enumerate() {
                    let others = gallery.iter().flatten().enumerate().filter(|(j, _)| *j != i || pictures.len() < 20);
                    let (mut own, mut others_best) = (false, false);
                    for (j, other) in others {
                        let same = model.metric.accepts(model.metric.score(&face[at], &other[at]), model.threshold);
                        if pictures[i].0 == pictures[j].0 {
                            own |= same;
                        } else {
                            strangers += 1;
                            alike += usize::from(same);
                            others_best |= same;
                        }
                    }
                    known += usize::from(own && !others_best);
                }
                let what = format!("{detector}, {}, {degrees} degrees", model.name);
                println!("{what}: {known} of {} known, {alike} of {strangers} strangers alike", pictures.len());
                assert!(known * 100 >= least * pictures.len(), "{what}: {known} of {} known", pictures.len());
                // As many as photos of people who look straight at the camera.
                assert!(alike * 1000 <= strangers, "{what}: {alike} of {strangers} strangers alike");
            }
        }
    }
}

/// Photos and whose they are: those of the shared test data, or what packages bring, each of somebody else.
fn people() -> Vec<(String, Picture)> {
    let Some(folder) = shared("photos/johns") else {
        return vec![("astronaut".into(), Picture::read(&package_picture("astronaut")).unwrap())];
    };
    let mut files: Vec<PathBuf> = Vec::new();
    for person in std::fs::read_dir(folder).unwrap() {
        files.extend(std::fs::read_dir(person.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
    }
    files.sort();
    let person = |file: &Path| file.parent().unwrap().display().to_string();
    files.iter().map(|file| (person(file), Picture::read(file).unwrap())).collect()
}

#[test]
fn a_person_is_known_in_other_pictures_and_strangers_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let photo = Picture::read(&package_picture("astronaut")).unwrap();
    let write = |name: &str, picture: &Picture, quality: u8| {
        let file = folder.path().join(name);
        std::fs::write(&file, picture.jpeg(quality).unwrap()).unwrap();
        file
    };
    let sized = |side: u32, method| photo.resized(side, side, method).unwrap();
    let dark: Vec<u8> = photo.bgr().iter().map(|value| value / 3).collect();
    let others = [
        write("small.jpg", &sized(330, Interpolation::Area), 85),
        write("large.jpg", &sized(1500, Interpolation::Linear), 90),
        write("poor.jpg", &photo, 25),
        write("dark.jpg", &Picture::new(photo.width(), photo.height(), dark).unwrap(), 90),
    ];
    let strangers = ["sample3", "sample4", "sample5", "sample6"].map(package_picture);
    let models = ModelStore::locate(None).dir().to_path_buf();
    for model in here(Role::Embedder, &["mobilefacenet", "faceapi_resnet"]) {
        let known = &embedded(&models, model, &[package_picture("astronaut")])[0];
        for line in embedded(&models, model, &others) {
            assert!(same(known, &line), "{model} does not know the astronaut in {}", line["file"]);
        }
        for line in embedded(&models, model, &strangers) {
            assert!(!same(known, &line), "{model} takes {} for the astronaut", line["file"]);
        }
    }
}

#[test]
fn a_line_has_the_promised_shape() {
    let image = package_picture("astronaut");
    let models = ModelStore::locate(None).dir().to_path_buf();
    let models_here = here(Role::Embedder, &["mobilefacenet", "faceapi_resnet"]);
    let wanted = models_here.iter().copied().chain(["auto"]);
    for wanted in wanted {
        let auto = auto(Role::Embedder);
        let model = if wanted == "auto" { auto.as_str() } else { wanted };
        let (metric, threshold, unit) = match model {
            "mobilefacenet" => ("cosine", 0.43, true),
            _ => ("l2", 0.48, false),
        };
        let line = &embedded(&models, wanted, std::slice::from_ref(&image))[0];
        let keys: Vec<&String> = line.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["box", "embedding", "file", "metric", "model", "threshold"]);
        assert_eq!(line["file"], image.display().to_string());
        assert_eq!((line["model"].as_str(), line["metric"].as_str()), (Some(model), Some(metric)));
        assert_eq!(line["threshold"].as_f64(), Some(threshold));
        let [x, y, width, height] = [0, 1, 2, 3].map(|n| line["box"][n].as_f64().unwrap());
        assert!((x - 178.0).abs() < 12.0 && (y - 65.0).abs() < 15.0, "{line}");
        assert!((width - 91.0).abs() < 15.0 && (height - 111.0).abs() < 20.0, "{line}");
        let values = values(line);
        let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
        assert_eq!(values.len(), 128);
        assert_eq!((length - 1.0).abs() < 1e-4, unit, "{model}: length {length}");
    }
}

#[test]
fn a_picture_without_a_face_is_named_and_the_others_are_done() {
    let folder = tempfile::tempdir().unwrap();
    let (nobody, broken) = (folder.path().join("nobody.jpg"), folder.path().join("broken.png"));
    std::fs::write(&nobody, Picture::filled(300, 200, [80, 90, 100]).jpeg(90).unwrap()).unwrap();
    std::fs::write(&broken, b"\x89PNG\r\n").unwrap();
    let good = package_picture("astronaut");
    let output = doorward().args(["embed", "--json"]).args([&nobody, &broken, &good]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let lines = json_lines(&output);
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["file"], nobody.display().to_string());
    assert!(lines[0]["error"].as_str().unwrap().contains("no face"), "{}", lines[0]);
    assert!(lines[1]["error"].as_str().unwrap().contains("not a picture"), "{}", lines[1]);
    assert_eq!(lines[2]["embedding"].as_array().unwrap().len(), 128);

    let output = doorward().arg("embed").args([&nobody, &good]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(err.contains("nobody.jpg") && err.contains("no face"), "{err}");
    assert!(out.contains("astronaut.png") && out.contains(&format!("128 values of {}", auto(Role::Embedder))), "{out}");
}

#[test]
fn an_unknown_model_is_answered_with_the_nearest_name() {
    let output = doorward().args(["embed", "--model", "mobilfacenet", "x.jpg"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains("did you mean `mobilefacenet`?"), "{err}");
}
