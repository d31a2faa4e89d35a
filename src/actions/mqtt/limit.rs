//! How large a message may be: what the configuration says, and what the broker has shown. Pure.
//!
//! In: the sizes of messages the broker confirmed, and of those it hung up on three times. Out: whether one more is
//! worth sending. MQTT 3.1.1 has no word for a message that is too large: a broker that takes none of its size ends
//! the connection.

use std::time::{Duration, Instant};

/// A message the broker hangs up on this often, while nothing else is on its way, is what it hangs up on.
pub(super) const TRIES: u32 = 3;
/// What was learnt is tried again after this long: somebody may have raised the broker's limit.
const LEARNT_FOR: Duration = Duration::from_secs(24 * 3600);

/// The limit of one broker.
#[derive(Debug, Default)]
pub(super) struct Limit {
    /// `mqtt.max_packet_bytes`; `None` is without a limit.
    pub configured: Option<usize>,
    /// The largest message it has confirmed.
    largest: usize,
    /// The smallest it hung up on, and when.
    refused: Option<(usize, Instant)>,
}

impl Limit {
    /// Whether a message of this size is not sent.
    pub fn refuses(&self, bytes: usize, now: Instant) -> bool {
        self.configured.is_some_and(|most| bytes > most) || self.learnt(now).is_some_and(|refused| bytes >= refused)
    }

    /// The smallest message the broker hung up on, as long as that counts.
    fn learnt(&self, now: Instant) -> Option<usize> {
        let (bytes, at) = self.refused?;
        (now.saturating_duration_since(at) < LEARNT_FOR).then_some(bytes)
    }

    /// Whether the broker has shown that it takes this size.
    pub fn has_taken(&self, bytes: usize) -> bool {
        bytes <= self.largest
    }

    pub fn taken(&mut self, bytes: usize) {
        self.largest = self.largest.max(bytes);
    }

    /// The broker hung up on a message of this size for good. What is no larger than others it took says nothing of
    /// sizes.
    pub fn hung_up(&mut self, bytes: usize, now: Instant) {
        if !self.has_taken(bytes) && self.learnt(now).is_none_or(|before| bytes <= before) {
            self.refused = Some((bytes, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_broker_hung_up_on_is_not_sent_again_for_a_day() {
        let now = Instant::now();
        let mut limit = Limit { configured: Some(10_000), ..Limit::default() };
        limit.taken(300);
        assert_eq!([300, 10_000, 10_001].map(|bytes| limit.refuses(bytes, now)), [false, false, true]);
        // As small as others it took: something else is wrong.
        limit.hung_up(200, now);
        assert!(!limit.refuses(200, now));
        for bytes in [8_000, 5_000, 6_000] {
            limit.hung_up(bytes, now);
        }
        assert_eq!([4_999, 5_000].map(|bytes| limit.refuses(bytes, now)), [false, true]);
        assert!(!limit.refuses(5_000, now + LEARNT_FOR));
        limit.hung_up(7_000, now + LEARNT_FOR);
        assert!(!limit.refuses(6_000, now + LEARNT_FOR), "what was learnt last counts");
    }
}
