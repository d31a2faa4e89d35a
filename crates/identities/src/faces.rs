//! faces: enrolment, detection and comparison on whole pictures.
//!
//! In: pictures. Out: wire answers. A picture the engine turns down comes back as
//! [`ClientError::Rejected`](crate::ClientError::Rejected) with status 500, which is never worth repeating.

use super::client::Client;
use super::error::Result;
use super::operation::{CHECK_IMAGE_REFERENCE, FACE_COMPARE, FACE_DETECT, FACE_ENROLL};
use super::wire::{
    Base64, CheckImageReferenceResponse, FaceCompareRequest, FaceCompareResponse, FaceDetectRequest,
    FaceDetectResponse, FaceEnrollQuery, FaceEnrollRequest, FaceEnrollResponse,
};

impl Client {
    /// Enrols a face as a new person, or as another photo of a known one; gives the person's id.
    pub async fn face_enroll(
        &self,
        query: &FaceEnrollQuery,
        request: &FaceEnrollRequest,
    ) -> Result<FaceEnrollResponse> {
        let reply = self.call(&FACE_ENROLL, &[], |call| call.query(query).json(request)).await?;
        reply.success(&FACE_ENROLL)?.json(&FACE_ENROLL)
    }

    /// The faces in a picture.
    pub async fn face_detect(&self, image: Base64) -> Result<FaceDetectResponse> {
        let request = FaceDetectRequest { image };
        let reply = self.call(&FACE_DETECT, &[], |call| call.json(&request)).await?;
        reply.success(&FACE_DETECT)?.json(&FACE_DETECT)
    }

    /// Whether two pictures show the same face.
    pub async fn face_compare(&self, image1: Base64, image2: Base64) -> Result<FaceCompareResponse> {
        let request = FaceCompareRequest { image1, image2 };
        let reply = self.call(&FACE_COMPARE, &[], |call| call.json(&request)).await?;
        reply.success(&FACE_COMPARE)?.json(&FACE_COMPARE)
    }

    /// Whether a photo of this reference has been enrolled.
    pub async fn check_image_reference(&self, reference: &str) -> Result<CheckImageReferenceResponse> {
        self.get(&CHECK_IMAGE_REFERENCE, &[reference]).await
    }
}
