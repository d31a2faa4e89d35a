//! faceEdge and faces: the calls an edge detector makes for each face it sees, and enrolment, detection and comparison
//! on whole pictures.
//!
//! In: wire requests and pictures. Out: wire answers; nobody recognised is one, not an error. A picture that faces
//! turns down comes back as [`ClientError::Rejected`](crate::ClientError::Rejected) with status 500, which is never
//! worth repeating.

use bytes::Bytes;
use reqwest::Body;
use reqwest::multipart::{Form, Part};
use serde::de::DeserializeOwned;

use super::client::Client;
use super::error::{ClientError, Result};
use super::excerpt::{LeftOut, MOST_TEXT};
use super::operation::{
    CHECK_IMAGE_REFERENCE, FACE_COMPARE, FACE_DETECT, FACE_ENROLL, LOOKUP, PUBLISH, PUBLISH_WITH_RESPONSE, RECOGNIZE,
};
use super::transport::Reply;
use super::wire::{
    Base64, CheckImageReferenceResponse, EdgePerson, FaceCompareRequest, FaceCompareResponse, FaceDetectRequest,
    FaceDetectResponse, FaceEdgePublishRequest, FaceEdgePublishResponse, FaceEdgeRecognizeRequest,
    FaceEdgeRecognizeWithOptions, FaceEnrollQuery, FaceEnrollRequest, FaceEnrollResponse, NearestPerson, lookup_part,
};

/// What lookup sends.
#[derive(Clone)]
pub struct LookupForm {
    /// The aligned face, JPEG.
    pub cropped_aligned: Bytes,
    /// A ready-made embedding and the name of its model.
    pub embedding: Option<(Vec<f32>, String)>,
}

/// An answer and the engine's own clock when it gave it, where it tells.
pub struct Dated<T> {
    pub answer: T,
    pub date: Option<chrono::DateTime<chrono::Utc>>,
    /// What was left out of it because it was too large.
    pub left_out: Option<LeftOut>,
}

/// What lookup and recognize say of a face.
pub enum Looked {
    Somebody(Dated<EdgePerson>),
    /// There is no face, or nobody matches; then perhaps who comes nearest.
    Nobody(Option<NearestPerson>),
}

impl Client {
    /// Sends a picture and waits for the faces found in it.
    pub async fn publish_with_response(
        &self,
        request: &FaceEdgeRecognizeWithOptions,
    ) -> Result<Dated<FaceEdgePublishResponse>> {
        let reply = self.call(&PUBLISH_WITH_RESPONSE, &[], |call| call.json(request)).await?;
        dated(&reply, |answer: &FaceEdgePublishResponse| {
            let last = answer.detected_faces.last().and_then(|face| face.person.as_ref());
            last.is_some_and(|person| is_id(&person.person_id))
        })
    }

    /// Sends a picture without waiting for a result.
    pub async fn publish(&self, request: &FaceEdgePublishRequest) -> Result<()> {
        self.call(&PUBLISH, &[], |call| call.json(request)).await.map(drop)
    }

    /// Whose face this is.
    pub async fn recognize(&self, request: &FaceEdgeRecognizeRequest) -> Result<Looked> {
        looked(self.call(&RECOGNIZE, &[], |call| call.json(request)).await)
    }

    /// Whose face this is, sent as a form.
    pub async fn lookup(&self, form: &LookupForm) -> Result<Looked> {
        looked(self.call(&LOOKUP, &[], |call| call.multipart(form.parts())).await)
    }
}

impl LookupForm {
    fn parts(&self) -> Form {
        let face = file_part(self.cropped_aligned.clone(), "face.jpg", "image/jpeg");
        let form = Form::new().part(lookup_part::CROPPED_ALIGNED, face);
        match &self.embedding {
            None => form,
            Some((values, model)) => form
                .part(
                    lookup_part::EMBEDDINGS,
                    file_part(little_endian(values), "embedding.bin", "application/octet-stream"),
                )
                .text(lookup_part::RECOGNITION_MODEL, model.clone()),
        }
    }
}

/// The answer, or of one that is too large what is needed of it; an error where even whom it is about lies beyond what
/// was read.
fn dated<T: DeserializeOwned>(reply: &Reply, names_somebody: impl Fn(&T) -> bool) -> Result<Dated<T>> {
    let operation = reply.operation.id;
    let answer = match (reply.json(), &reply.left_out) {
        (Ok(answer), Some(left_out)) if !left_out.in_doubt || names_somebody(&answer) => {
            tracing::warn!(operation, "{operation}: {}", left_out.told);
            answer
        }
        (_, Some(left_out)) if left_out.in_doubt => {
            return Err(ClientError::TooLarge { operation, limit: reply.operation.answer_bytes });
        }
        (answer, _) => answer?,
    };
    Ok(Dated { answer, date: reply.date(), left_out: reply.left_out.clone() })
}

/// Whether it is an id, and not the beginning of one.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= MOST_TEXT
}

/// 404 is the ordinary answer "nobody"; that the address is right, the login before it has proved.
fn looked(reply: Result<Reply>) -> Result<Looked> {
    match reply {
        Ok(reply) => Ok(Looked::Somebody(dated(&reply, |person: &EdgePerson| is_id(&person.person_id))?)),
        Err(ClientError::NotFound { nearest, .. }) => Ok(Looked::Nobody(nearest.map(|nearest| *nearest))),
        Err(error) => Err(error),
    }
}

/// float32, little-endian, nothing else.
fn little_endian(values: &[f32]) -> Bytes {
    values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().into()
}

fn file_part(bytes: Bytes, name: &'static str, kind: &'static str) -> Part {
    let length = bytes.len() as u64;
    let headers = [(reqwest::header::CONTENT_TYPE, reqwest::header::HeaderValue::from_static(kind))];
    Part::stream_with_length(Body::from(bytes), length).file_name(name).headers(headers.into_iter().collect())
}

impl Client {
    /// Enrols a face as a new person, or as another photo of a known one; gives the person's id.
    pub async fn face_enroll(
        &self,
        query: &FaceEnrollQuery,
        request: &FaceEnrollRequest,
    ) -> Result<FaceEnrollResponse> {
        self.call(&FACE_ENROLL, &[], |call| call.query(query).json(request)).await?.json()
    }

    /// The faces in a picture.
    pub async fn face_detect(&self, image: Base64) -> Result<FaceDetectResponse> {
        let request = FaceDetectRequest { image };
        self.call(&FACE_DETECT, &[], |call| call.json(&request)).await?.json()
    }

    /// Whether two pictures show the same face.
    pub async fn face_compare(&self, image1: Base64, image2: Base64) -> Result<FaceCompareResponse> {
        let request = FaceCompareRequest { image1, image2 };
        self.call(&FACE_COMPARE, &[], |call| call.json(&request)).await?.json()
    }

    /// Whether a photo of this reference has been enrolled.
    pub async fn check_image_reference(&self, reference: &str) -> Result<CheckImageReferenceResponse> {
        self.get(&CHECK_IMAGE_REFERENCE, &[reference]).await
    }
}
