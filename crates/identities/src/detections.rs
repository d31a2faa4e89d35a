//! detections: the history of sightings, by face and by person.
//!
//! In: whose, from when to when, in which order. Out: one page, or all of them as a stream that fetches page by page.

use futures_util::stream::{self, Stream, TryStreamExt};

use super::client::Client;
use super::error::Result;
use super::operation::{DETECTIONS_OF_FACE, DETECTIONS_OF_PERSON, Operation};
use super::wire::{DetectionItem, DetectionsQuery};

impl Client {
    /// All sightings of a face, `query.take` of them in memory at a time. It ends after the first error.
    pub fn face_detections(
        &self,
        face: &str,
        query: DetectionsQuery,
    ) -> impl Stream<Item = Result<DetectionItem>> + Send + use<> {
        self.clone().pages(&DETECTIONS_OF_FACE, face.to_owned(), query)
    }

    /// All sightings of a person, `query.take` of them in memory at a time. It ends after the first error.
    pub fn person_detections(
        &self,
        person: &str,
        query: DetectionsQuery,
    ) -> impl Stream<Item = Result<DetectionItem>> + Send + use<> {
        self.clone().pages(&DETECTIONS_OF_PERSON, person.to_owned(), query)
    }

    fn pages(
        self,
        operation: &'static Operation,
        id: String,
        query: DetectionsQuery,
    ) -> impl Stream<Item = Result<DetectionItem>> + Send {
        let pages = stream::try_unfold(query, move |query| {
            let (client, id) = (self.clone(), id.clone());
            async move {
                let page: Vec<DetectionItem> = client.list(operation, &[&id], &query).await?;
                Ok(next(&query, &page).map(|next| (page, next)))
            }
        });
        pages.map_ok(|page| stream::iter(page.into_iter().map(Ok))).try_flatten()
    }
}

/// What to ask for after this page; `None` after the last, which is the empty one: an engine's own limit may make any
/// page shorter than asked for.
fn next(query: &DetectionsQuery, page: &[DetectionItem]) -> Option<DetectionsQuery> {
    let newest = page.first()?.date_time_utc;
    let skip = u32::try_from(page.len()).ok().and_then(|count| query.skip.checked_add(count));
    let mut next = DetectionsQuery { skip: skip.filter(|skip| *skip <= i32::MAX as u32)?, ..query.clone() };
    if !query.date_ascending && query.epoch_end_ms.is_none() {
        // What comes in from now on would push the rest onto the next page, to be told twice. The bound is inclusive
        // and the time may have a fraction.
        next.epoch_end_ms = Some(newest.timestamp_millis() + 1);
    }
    Some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_by_what_came_until_nothing_does() {
        let item: DetectionItem = serde_json::from_str(r#"{"dateTimeUtc":"1970-01-01T00:00:01.5009Z"}"#).unwrap();
        let three = vec![item; 3];
        let oldest_first = DetectionsQuery { skip: 7, take: 10, ..DetectionsQuery::default() };
        assert_eq!(next(&oldest_first, &three), Some(DetectionsQuery { skip: 10, ..oldest_first.clone() }));
        assert_eq!(next(&oldest_first, &[]), None);
        let newest_first = DetectionsQuery { date_ascending: false, ..DetectionsQuery::default() };
        let after = next(&newest_first, &three).unwrap();
        assert_eq!((after.skip, after.epoch_end_ms), (3, Some(1501)));
        assert_eq!(next(&after, &three).unwrap().epoch_end_ms, Some(1501));
        let bounded = DetectionsQuery { epoch_end_ms: Some(5), ..newest_first };
        assert_eq!(next(&bounded, &three).unwrap().epoch_end_ms, Some(5));
        let endless = DetectionsQuery { skip: i32::MAX as u32, ..oldest_first };
        assert_eq!(next(&endless, &three), None);
    }
}
