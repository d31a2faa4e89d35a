//! Pictures the engine is sent: which it takes, which way up, what they cost it, and that it sees what the command
//! sees.

use std::path::PathBuf;

use faces::detect::Rect;
use faces::models::ModelStore;
use faces::picture::{MAX_PHOTO_BYTES, MAX_PIXELS, Picture, Turn};
use serde_json::{Value, json};

use crate::made::*;
use crate::server::{Api, Reply, Server, base64, doorward, johns, portrait, sighting};
use crate::shared::shared;

/// The pictures that come with the models.
fn package_pictures() -> Vec<PathBuf> {
    let store = ModelStore::locate(None);
    ["astronaut", "sample3", "sample4", "sample5", "sample6"]
        .into_iter()
        .filter_map(|name| store.picture(name).ok())
        .collect()
}

/// The pictures of a folder of the test data, if it is there.
fn shared_pictures(folder: &str) -> Vec<PathBuf> {
    let Some(folder) = shared(folder) else {
        return Vec::new();
    };
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|ending| ending == "jpg")).collect()
}

/// A box without what lies beyond the picture, which one of two may leave out.
fn clipped([x, y, width, height]: [f64; 4], picture: &Picture) -> Rect {
    let (right, bottom) = ((x + width).min(picture.width().into()), (y + height).min(picture.height().into()));
    let (x, y) = (x.max(0.0), y.max(0.0));
    Rect { x: x as f32, y: y as f32, width: (right - x) as f32, height: (bottom - y) as f32 }
}

#[tokio::test]
async fn the_engine_finds_the_faces_the_command_finds() {
    let server = Server::start();
    let api = server.administrator().await;
    let pictures = [package_pictures(), shared_pictures("detection")].concat();
    assert!(pictures.len() >= 5, "`make models` fetches five");
    let output = doorward().args(["detect", "--json"]).args(&pictures).output().unwrap();
    let lines: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut found = 0;
    for (file, line) in pictures.iter().zip(&lines) {
        let bytes = std::fs::read(file).unwrap();
        let picture = Picture::decode(&bytes, MAX_PIXELS).unwrap();
        let listed = api.post("/api/v1/faces/faceDetect", &json!({"image": base64(&bytes)})).await.ok();
        let theirs: Vec<Rect> = listed["detections"]
            .as_array()
            .unwrap()
            .iter()
            .map(|face| {
                clipped(["x", "y", "width", "height"].map(|side| face["boundingBox"][side].as_f64().unwrap()), &picture)
            })
            .collect();
        let ours: Vec<Rect> = line["faces"]
            .as_array()
            .unwrap()
            .iter()
            .map(|face| clipped([0, 1, 2, 3].map(|side| face["box"][side].as_f64().unwrap()), &picture))
            .collect();
        let published = api.publish(&bytes, json!({"allowDoubleDetection": true})).await.len();
        assert_eq!((theirs.len(), published), (ours.len(), ours.len()), "{}", file.display());
        for ours in &ours {
            // Boxes may be rounded to whole pixels, and some faces have six.
            assert!(theirs.iter().any(|theirs| theirs.iou(ours) > 0.5), "{}: {ours:?}", file.display());
        }
        found += ours.len();
    }
    assert!(found > 0);
}

async fn enrol(api: &Api, photo: &[u8], reference: &str) -> Reply {
    let body = json!({"faceImage": base64(photo), "photoReferenceId": reference});
    api.post("/api/v1/faces/faceEnroll", &body).await
}

/// The photo that is kept under a reference.
async fn kept(api: &Api, reference: &str) -> Picture {
    let face = api.get(&format!("/api/v1/faces/checkImageReference/{reference}")).await.ok();
    let face = face["faceId"].as_str().unwrap().to_owned();
    let photo = api.get(&format!("/api/v1/people/enrollmentPhoto/{face}")).await.body;
    Picture::decode(&photo, MAX_PIXELS).unwrap()
}

/// Enrols a lying photo; it must come out upright, as the person of the upright one.
async fn stands_up(lying: &[u8], upright: &Picture, what: &str) {
    let server = Server::start();
    let api = server.administrator().await;
    let reply = enrol(&api, lying, "lying").await;
    if reply.status == 500 {
        // Turned down is right as well, when it says what to do.
        assert!(reply.json()["detail"].as_str().unwrap().contains("turn the photo upright"), "{what}: {reply:?}");
        return;
    }
    let person = reply.ok()["personId"].clone();
    let stored = kept(&api, "lying").await;
    assert_eq!((stored.width(), stored.height()), (upright.width(), upright.height()), "{what}");
    let far = stored.bgr().iter().zip(upright.bgr()).filter(|(a, b)| a.abs_diff(**b) > 40).count();
    assert!(far * 20 < upright.bgr().len(), "{what}: {far} values of the kept photo are another picture's");
    let faces = api.publish(&upright.jpeg(90).unwrap(), json!({"includePerson": true, "largestFaceOnly": true})).await;
    assert_eq!(faces[0]["person"]["personId"], person, "{what}: the person is not recognised upright");
}

#[tokio::test]
async fn a_photo_that_lies_without_saying_so_is_turned_or_turned_down() {
    let Some(portrait) = portrait() else { panic!("`make models` fetches a portrait") };
    let upright = Picture::decode(&portrait, MAX_PIXELS).unwrap();
    // Not square, so that its sides tell how it is kept.
    let upright = upright.cropped(60, 0, upright.width() - 160, upright.height()).unwrap();
    for turn in [Turn::Quarter, Turn::Half, Turn::ThreeQuarters] {
        stands_up(&upright.turned(turn).unwrap().jpeg(95).unwrap(), &upright, &format!("{turn:?}")).await;
    }
    let Some(case) = shared("cases/sideways.jpg") else { return };
    let lying = std::fs::read(case).unwrap();
    let upright = Picture::decode(&lying, MAX_PIXELS).unwrap().turned(Turn::Quarter).unwrap();
    stands_up(&lying, &upright, "sideways.jpg").await;
}

#[tokio::test]
async fn a_photo_that_stands_is_kept_as_it_came() {
    let Some(portrait) = portrait() else { panic!("`make models` fetches a portrait") };
    let server = Server::start();
    let api = server.administrator().await;
    let jpeg = Picture::decode(&portrait, MAX_PIXELS).unwrap().jpeg(90).unwrap();
    enrol(&api, &jpeg, "upright").await.ok();
    let face = api.get("/api/v1/faces/checkImageReference/upright").await.ok()["faceId"].as_str().unwrap().to_owned();
    assert_eq!(api.get(&format!("/api/v1/people/enrollmentPhoto/{face}")).await.body, jpeg);
    for (n, photo) in johns().unwrap_or_default().iter().flatten().step_by(4).enumerate() {
        let reference = format!("standing {n}");
        let reply = enrol(&api, photo, &reference).await;
        if reply.status == 200 {
            let upright = Picture::decode(photo, MAX_PIXELS).unwrap();
            assert!(kept(&api, &format!("standing%20{n}")).await == upright, "photo {n} stands and was turned");
        }
    }
}

/// Every operation that takes a picture, with this one.
async fn everywhere(api: &Api, picture: &[u8]) -> Vec<Reply> {
    let (image, sound) = (base64(picture), base64(&crate::server::wall()));
    let crop = json!({"croppedAligned": image, "detectorName": "g", "ianaTimeZone": "UTC",
        "detectTimeUtc": "2026-03-04T05:06:07Z"});
    let mut replies = Vec::new();
    for (path, body) in [
        ("faceEdge/publishWithResponse", sighting(picture, json!({}))),
        ("faceEdge/publish", sighting(picture, json!({}))),
        ("faceEdge/recognize", crop),
        ("faces/faceEnroll", json!({"faceImage": image})),
        ("faces/faceDetect", json!({"image": image})),
        ("faces/faceCompare", json!({"image1": sound, "image2": image})),
    ] {
        replies.push(api.post(&format!("/api/v1/{path}"), &body).await);
    }
    replies
}

fn case(name: &str) -> Option<Vec<u8>> {
    Some(std::fs::read(shared(&format!("cases/{name}"))?).unwrap())
}

#[tokio::test]
async fn pictures_are_refused_with_what_is_wrong_and_cost_nothing() {
    let server = Server::start();
    let api = server.administrator().await;
    let portrait = jpeg(&Picture::decode(&portrait().unwrap(), MAX_PIXELS).unwrap(), false);
    everywhere(&api, &portrait).await;
    let usual = server.most_memory();
    let mut pictures = vec![
        ("half a JPEG", portrait[..portrait.len() / 2].to_vec(), "incomplete"),
        ("a HEIC picture", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec(), "HEIC"),
        ("a JPEG with a decoy", disguised_jpeg(), "20000x20000"),
        ("a large JPEG", resized_header(&portrait, 32_000, 32_000), "32000x32000"),
        ("a large PNG", png_saying(&png(&gradient(16, 16)), Some((50_000, 50_000)), None), "50000x50000"),
        ("a large animated WebP", large_animation(16_000, 16_000), "16000x16000"),
        ("a large BMP", bmp(&gradient(16, 16), Bitmap::TopDown, (40_000, 40_000)), "40000x40000"),
    ];
    pictures.extend(case("limit-bypass.jpg").map(|bytes| ("limit-bypass.jpg", bytes, "20000x20000")));
    pictures.extend(case("truncated.jpg").map(|bytes| ("truncated.jpg", bytes, "incomplete")));
    for (what, picture, reason) in pictures {
        for reply in everywhere(&api, &picture).await {
            reply.is_problem(400);
            assert!(reply.json()["detail"].as_str().unwrap().contains(reason), "{what}: {reply:?}");
        }
    }
    let more = server.most_memory().saturating_sub(usual);
    assert!(more < 64 << 20, "{} MB more than a portrait took", more / 1_000_000);
}

#[tokio::test]
async fn odd_but_legal_pictures_are_taken_everywhere() {
    let server = Server::start();
    let api = server.administrator().await;
    let picture = Picture::decode(&portrait().unwrap(), MAX_PIXELS).unwrap();
    let size = (picture.width(), picture.height());
    let lying = picture.turned(Turn::ThreeQuarters).unwrap();
    let mut pictures = vec![
        ("fill bytes", with_fill_bytes(&jpeg(&picture, false), 3)),
        ("from the top down", bmp(&picture, Bitmap::TopDown, size)),
        ("OS/2", bmp(&picture, Bitmap::Os2, size)),
        ("a lying WebP that says so", webp_saying(&webp(&lying), (lying.width(), lying.height()), Some(6))),
    ];
    pictures.extend(
        ["fill.jpg", "fill1.jpg", "topdown.bmp", "exif6.webp"].into_iter().filter_map(|name| Some((name, case(name)?))),
    );
    for (what, picture) in pictures {
        let listed = api.post("/api/v1/faces/faceDetect", &json!({"image": base64(&picture)})).await.ok();
        assert_eq!(listed["detections"].as_array().unwrap().len(), 1, "{what}");
        assert_eq!(api.publish(&picture, json!({"allowDoubleDetection": true})).await.len(), 1, "{what}");
    }
}

#[tokio::test]
async fn the_largest_photo_the_commands_send_is_taken() {
    let server = Server::start();
    let api = server.administrator().await;
    let mut photo = crate::server::wall();
    photo.resize(MAX_PHOTO_BYTES, 0);
    let image = base64(&photo);
    let listed = api.post("/api/v1/faces/faceDetect", &json!({"image": image})).await.ok();
    assert_eq!(listed, json!({"detections": []}));
    // Two at once are read; there is no face in them to compare.
    let compared = api.post("/api/v1/faces/faceCompare", &json!({"image1": image, "image2": image})).await;
    compared.is_problem(500);
    let published = api.publish(&photo, json!({})).await;
    assert!(published.is_empty());
}
