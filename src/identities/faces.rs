//! faces: enrolment, detection and comparison on whole pictures.
//!
//! In: pictures. Out: wire answers. A picture the engine turns down comes back as
//! [`ClientError::Rejected`] with status 500, which is never worth repeating.

use reqwest::Method;

use super::client::Client;
use super::error::ClientError;
use super::transport::Operation;
use super::wire::{
    Base64, CheckImageReferenceResponse, FaceCompareRequest, FaceCompareResponse, FaceDetectRequest,
    FaceDetectResponse, FaceEnrollQuery, FaceEnrollRequest, FaceEnrollResponse,
};

const FACE_ENROLL: Operation =
    Operation { name: "faces/faceEnroll", method: Method::POST, permission: "Face Enrollment", faults_are_final: true };
const FACE_DETECT: Operation =
    Operation { name: "faces/faceDetect", method: Method::POST, permission: "Face Detection", faults_are_final: true };
const FACE_COMPARE: Operation =
    Operation { name: "faces/faceCompare", method: Method::POST, permission: "Face Detection", faults_are_final: true };
const CHECK_IMAGE_REFERENCE: Operation = Operation {
    name: "faces/checkImageReference",
    method: Method::GET,
    permission: "Face Detection",
    faults_are_final: true,
};

impl Client {
    /// Enrols a face as a new person, or as another photo of a known one; gives the person's id.
    pub async fn face_enroll(
        &self,
        query: &FaceEnrollQuery,
        request: &FaceEnrollRequest,
    ) -> Result<FaceEnrollResponse, ClientError> {
        let path = ["api", "v1", "faces", "faceEnroll"];
        let reply = self.call(&FACE_ENROLL, &path, |call| call.query(query).json(request)).await?;
        reply.success(&FACE_ENROLL)?.json(&FACE_ENROLL)
    }

    /// The faces in a picture.
    pub async fn face_detect(&self, image: Base64) -> Result<FaceDetectResponse, ClientError> {
        let request = FaceDetectRequest { image };
        let reply = self.call(&FACE_DETECT, &["api", "v1", "faces", "faceDetect"], |call| call.json(&request)).await?;
        reply.success(&FACE_DETECT)?.json(&FACE_DETECT)
    }

    /// Whether two pictures show the same face.
    pub async fn face_compare(&self, image1: Base64, image2: Base64) -> Result<FaceCompareResponse, ClientError> {
        let request = FaceCompareRequest { image1, image2 };
        let reply =
            self.call(&FACE_COMPARE, &["api", "v1", "faces", "faceCompare"], |call| call.json(&request)).await?;
        reply.success(&FACE_COMPARE)?.json(&FACE_COMPARE)
    }

    /// Whether a photo of this reference has been enrolled.
    pub async fn check_image_reference(&self, reference: &str) -> Result<CheckImageReferenceResponse, ClientError> {
        let path = ["api", "v1", "faces", "checkImageReference", reference];
        let reply = self.call(&CHECK_IMAGE_REFERENCE, &path, |call| call).await?;
        reply.success(&CHECK_IMAGE_REFERENCE)?.json(&CHECK_IMAGE_REFERENCE)
    }
}
