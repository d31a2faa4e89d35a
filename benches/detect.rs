//! The detection stage as a whole, and what it adds to the network: reading the pixels in, the coarse look, the boxes.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use faces::detect;
use faces::detect::SearchOptions;
use faces::embed;
use faces::models::ModelStore;
use faces::picture::{Interpolation, Picture};

fn stages(criterion: &mut Criterion) {
    let store = ModelStore::locate(None);
    let photo = store.picture("sample3").expect("the pictures are there after `make models`");
    let photo = Picture::read(&photo).expect("a photo");
    let sized = |width, height| photo.resized(width, height, Interpolation::Area).expect("a size");
    for model in ["yunet_n", "yunet_s", "centerface"] {
        let config = SearchOptions { model: model.into(), ..SearchOptions::default() };
        let mut detector = detect::load(&store, &config, 1).expect("the models are there after `make models`");
        for (width, height) in [(320, 240), (640, 480), (1920, 1080)] {
            let picture = sized(width, height);
            criterion.bench_function(&format!("detect/{model}/{width}x{height}"), |bench| {
                bench.iter(|| detector.detect(black_box(&picture)).expect("an answer"));
            });
        }
    }
    let mut detector = detect::load(&store, &SearchOptions::default(), 1).expect("a detector");
    let faces = detector.detect(&photo).expect("an answer");
    for model in ["mobilefacenet", "faceapi_resnet"] {
        let mut embedder = embed::load(&store, model, 1).expect("the models are there after `make models`");
        criterion.bench_function(&format!("embed/{model}"), |bench| {
            bench.iter(|| embedder.embed(black_box(&photo), black_box(&faces[0])).expect("an embedding"));
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = stages
}
criterion_main!(benches);
