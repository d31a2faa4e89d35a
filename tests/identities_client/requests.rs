//! The bytes of the requests, recorded and checked by hand against the contract.

use doorward::recognition::Answer;

use super::*;

const EMPTY: &str = r#"{"detectedFaces":[]}"#;

/// What a call sent, after the login.
async fn sent(config: &IdentifyConfig, path: &str) -> Request {
    let fake = Fake::start(|_| Reply::json(200, EMPTY)).await;
    let client = Client::new(&super::config(&format!("{}{path}", fake.url()))).unwrap();
    let _ = identify(&client, config).await;
    let seen = fake.seen();
    assert_eq!(seen.len(), 2, "a login and a call");
    assert!(seen[0].is("/api/v1/authenticate"));
    assert_eq!(seen[0].body, br#"{"username":"gate","password":"correct-horse-battery"}"#);
    assert_eq!(seen[0].header("authorization"), None);
    seen[1].clone()
}

#[tokio::test]
async fn publish_with_response() {
    let request = sent(&IdentifyConfig::default(), "").await;
    assert_eq!(request.line(), "POST /api/v1/faceEdge/publishWithResponse");
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("authorization"), Some("Bearer token-1"));
    assert!(request.header("user-agent").unwrap().starts_with("doorward/"));
    assert_eq!(
        String::from_utf8(request.body).unwrap(),
        concat!(
            r#"{"expanded":"ZXhwYW5kZWQ=","detectorName":"gate-2-edge","ianaTimeZone":"Europe/Helsinki","#,
            r#""detectTimeUtc":"2026-03-04T05:06:07.250Z","largestFaceOnly":true,"allowDoubleDetection":false,"#,
            r#""includePerson":true,"includeNames":true,"includeAddresses":false,"includeTags":true,"#,
            r#""includeFields":true}"#
        )
    );
}

#[tokio::test]
async fn publish_with_response_with_every_option_under_a_prefix() {
    let config = IdentifyConfig {
        largest_face_only: false,
        allow_double_detection: true,
        include_person: false,
        include_names: false,
        include_addresses: true,
        include_tags: false,
        include_fields: false,
        send_aligned: true,
        send_embedding: true,
        ..IdentifyConfig::default()
    };
    let request = sent(&config, "/identities/").await;
    assert_eq!(request.line(), "POST /identities/api/v1/faceEdge/publishWithResponse");
    assert_eq!(
        String::from_utf8(request.body).unwrap(),
        concat!(
            r#"{"expanded":"ZXhwYW5kZWQ=","detectorName":"gate-2-edge","ianaTimeZone":"Europe/Helsinki","#,
            r#""detectTimeUtc":"2026-03-04T05:06:07.250Z","largestFaceOnly":false,"allowDoubleDetection":true,"#,
            r#""includePerson":false,"includeNames":false,"includeAddresses":true,"includeTags":false,"#,
            r#""includeFields":false,"croppedAligned":"YWxpZ25lZA==","embeddings":[1.0,-0.5],"#,
            r#""recognitionModel":"mobilefacenet"}"#
        )
    );
}

#[tokio::test]
async fn publish() {
    let request = sent(&call(Call::Publish), "").await;
    assert_eq!(request.line(), "POST /api/v1/faceEdge/publish");
    assert_eq!(
        String::from_utf8(request.body).unwrap(),
        concat!(
            r#"{"expanded":"ZXhwYW5kZWQ=","detectorName":"gate-2-edge","ianaTimeZone":"Europe/Helsinki","#,
            r#""detectTimeUtc":"2026-03-04T05:06:07.250Z"}"#
        )
    );
}

#[tokio::test]
async fn recognize() {
    let request = sent(&call(Call::Recognize), "").await;
    assert_eq!(request.line(), "POST /api/v1/faceEdge/recognize");
    assert_eq!(
        String::from_utf8(request.body).unwrap(),
        concat!(
            r#"{"croppedAligned":"YWxpZ25lZA==","detectorName":"gate-2-edge","ianaTimeZone":"Europe/Helsinki","#,
            r#""detectTimeUtc":"2026-03-04T05:06:07.250Z"}"#
        )
    );
}

/// The form with its boundary, which is another every time, written as `BOUNDARY`.
fn form(request: &Request) -> String {
    let kind = request.header("content-type").unwrap();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let text: String = request.body.iter().map(|byte| char::from(*byte)).collect();
    text.replace(boundary, "BOUNDARY")
}

#[tokio::test]
async fn lookup() {
    let request = sent(&call(Call::Lookup), "").await;
    assert_eq!(request.line(), "POST /api/v1/faceEdge/lookup");
    assert_eq!(
        form(&request),
        "--BOUNDARY\r\nContent-Disposition: form-data; name=\"CroppedAligned\"; filename=\"face.jpg\"\r\n\
         content-type: image/jpeg\r\n\r\naligned\r\n--BOUNDARY--\r\n"
    );
}

#[tokio::test]
async fn lookup_with_an_embedding() {
    let config = IdentifyConfig { send_embedding: true, ..call(Call::Lookup) };
    let request = sent(&config, "").await;
    // 1.0 and -0.5 as float32, lowest byte first.
    assert_eq!(
        form(&request),
        "--BOUNDARY\r\nContent-Disposition: form-data; name=\"CroppedAligned\"; filename=\"face.jpg\"\r\n\
         content-type: image/jpeg\r\n\r\naligned\r\n\
         --BOUNDARY\r\nContent-Disposition: form-data; name=\"Embeddings\"; filename=\"embedding.bin\"\r\n\
         content-type: application/octet-stream\r\n\r\n\
         \u{0}\u{0}\u{80}\u{3f}\u{0}\u{0}\u{0}\u{bf}\r\n\
         --BOUNDARY\r\nContent-Disposition: form-data; name=\"RecognitionModel\"\r\n\r\nmobilefacenet\r\n\
         --BOUNDARY--\r\n"
    );
}

#[tokio::test]
async fn a_sighting_without_the_aligned_face_cannot_be_looked_up() {
    let fake = Fake::start(|_| Reply::json(200, EMPTY)).await;
    let client = client(&fake);
    let bare = Sighting { aligned: None, embedding: None, ..sighting() };
    for kind in [Call::Lookup, Call::Recognize] {
        let (again, _, reason) = failed(doorward::recognition::identify(&client, &bare, &call(kind)).await);
        assert!(!again && reason.contains("identify.call") && reason.contains("aligned"), "{reason}");
    }
    assert_eq!(fake.seen().len(), 0);
    let asked = IdentifyConfig { send_aligned: true, send_embedding: true, ..IdentifyConfig::default() };
    let answer = doorward::recognition::identify(&client, &bare, &asked).await.unwrap().answer;
    assert_eq!(answer, Answer::NoFace, "what is only an extra is left out");
}
