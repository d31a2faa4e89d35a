//! Who is in a picture: `IDENTITIES_PASSWORD=… cargo run -p identities --example who -- URL USER PICTURE`.

use std::error::Error;

use identities::wire::{Base64, FaceEdgeRecognizeWithOptions};
use identities::{Client, ClientOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, user, picture] = &arguments[..] else { return Err("give URL, USER and PICTURE".into()) };
    let password = std::env::var("IDENTITIES_PASSWORD")?;
    let client = Client::new(&ClientOptions::new(url.parse()?, user, password))?;
    let request = FaceEdgeRecognizeWithOptions {
        expanded: Base64(std::fs::read(picture)?.into()),
        detector_name: "example".into(),
        iana_time_zone: "UTC".into(),
        detect_time_utc: chrono::Utc::now(),
        allow_double_detection: true,
        include_person: true,
        include_names: true,
        include_tags: true,
        ..FaceEdgeRecognizeWithOptions::default()
    };
    for face in client.publish_with_response(&request).await?.answer.detected_faces {
        match face.person {
            Some(person) => println!("{}", person.friendly_name.unwrap_or(person.person_id)),
            None => println!("somebody unknown"),
        }
    }
    Ok(())
}
