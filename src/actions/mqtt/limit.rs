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
#[derive(Debug)]
pub(super) struct Limit {
    configured: usize,
    /// The largest message it has confirmed.
    largest: usize,
    /// The smallest it hung up on, and when.
    refused: Option<(usize, Instant)>,
}

impl Default for Limit {
    fn default() -> Self {
        Self { configured: usize::MAX, largest: 0, refused: None }
    }
}

impl Limit {
    /// As configured, until the broker shows another.
    pub fn new(configured: usize) -> Self {
        Self { configured, ..Self::default() }
    }

    /// Why a message of this size is not sent; `None` for one that is.
    pub fn refuses(&self, bytes: usize, now: Instant) -> Option<Refusal> {
        if bytes > self.configured {
            return Some(Refusal::Configured);
        }
        let (refused, at) = self.refused?;
        (bytes >= refused && now.saturating_duration_since(at) < LEARNT_FOR).then_some(Refusal::Learnt)
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
        if self.has_taken(bytes) {
            return;
        }
        let smaller =
            self.refused.is_none_or(|(before, at)| bytes <= before || now.saturating_duration_since(at) >= LEARNT_FOR);
        if smaller {
            self.refused = Some((bytes, now));
        }
    }
}

/// Who says that a message is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// `mqtt.max_packet_bytes`.
    Configured,
    /// The broker, by hanging up on one no larger.
    Learnt,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_broker_hung_up_on_is_not_sent_again_for_a_day() {
        let now = Instant::now();
        let mut limit = Limit::new(10_000);
        limit.taken(300);
        assert_eq!(
            [300, 10_000, 10_001].map(|bytes| limit.refuses(bytes, now)),
            [None, None, Some(Refusal::Configured)]
        );
        // As small as others it took: something else is wrong.
        limit.hung_up(200, now);
        assert_eq!(limit.refuses(200, now), None);
        for bytes in [8_000, 5_000, 6_000] {
            limit.hung_up(bytes, now);
        }
        assert_eq!([4_999, 5_000].map(|bytes| limit.refuses(bytes, now)), [None, Some(Refusal::Learnt)]);
        assert_eq!(limit.refuses(5_000, now + LEARNT_FOR), None);
        limit.hung_up(7_000, now + LEARNT_FOR);
        assert_eq!(limit.refuses(6_000, now + LEARNT_FOR), None, "what was learnt last counts");
    }
}
