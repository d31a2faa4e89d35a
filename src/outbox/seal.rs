//! What is personal is encrypted before it reaches the disk: XChaCha20-Poly1305, a random nonce for every record.
//!
//! In: bytes, and what they are of. Out: sealed bytes, which open with the same key for the same record only; one
//! copied to another record, cut or changed does not open. It does not know what is inside, nor where the key comes
//! from.

use bytes::Bytes;
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What a sealed record is; its name is part of what the record is bound to, so that it never changes.
#[derive(Debug, derive_more::Display, Clone, Copy, PartialEq, Eq)]
#[display(rename_all = "snake_case")]
pub enum Kind {
    /// A sighting that waits.
    Sighting,
    /// The picture of an answered sighting that is kept.
    Picture,
    /// What an action needs to be performed.
    Request,
    /// Who is present; bound to the detector.
    Stay,
    /// What the rules made of an answer; bound to the visit.
    Judged,
    /// Who came nearest to somebody unknown; bound to the sighting.
    Nearest,
}

/// Which key sealed a record, without telling anything of the key.
pub type KeyId = [u8; 8];

/// Seals and opens with one key, which is wiped from memory with it.
pub struct Sealer {
    cipher: XChaCha20Poly1305,
    id: KeyId,
}

const NONCE: usize = 24;
const TAG: usize = 16;

/// What sealing adds to a record.
pub const OVERHEAD: usize = NONCE + TAG;

impl Sealer {
    pub fn new(key: &[u8; 32]) -> Self {
        let digest = Sha256::new().chain_update(b"doorward outbox key").chain_update(key).finalize();
        let mut id = KeyId::default();
        id.copy_from_slice(&digest[..8]);
        Self { cipher: XChaCha20Poly1305::new(key.into()), id }
    }

    pub fn key_id(&self) -> KeyId {
        self.id
    }

    /// Seals the parts as one: nonce, ciphertext, tag.
    pub fn seal(&self, kind: Kind, record: &str, parts: &[&[u8]]) -> Vec<u8> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let nonce: [u8; NONCE] = rand::random();
        let mut sealed = Vec::with_capacity(length + OVERHEAD);
        sealed.extend_from_slice(&nonce);
        parts.iter().for_each(|part| sealed.extend_from_slice(part));
        // In place, so that no second copy of a face is left in memory.
        let text = (&mut sealed[NONCE..]).into();
        let tag = self
            .cipher
            .encrypt_inout_detached(&XNonce::from(nonce), &bound_to(kind, record), text)
            .expect("the cipher takes up to 256 GiB, and memory holds no record of that length");
        sealed.extend_from_slice(&tag);
        sealed
    }

    /// What was sealed; `None` for another key, another record, or anything that has been changed.
    pub fn open(&self, kind: Kind, record: &str, mut sealed: Vec<u8>) -> Option<Bytes> {
        let end = sealed.len().checked_sub(TAG).filter(|end| *end >= NONCE)?;
        let (text, tag) = sealed.split_at_mut(end);
        let (nonce, text) = text.split_at_mut(NONCE);
        let (nonce, tag) = (XNonce::try_from(&*nonce).ok()?, Tag::try_from(&*tag).ok()?);
        self.cipher.decrypt_inout_detached(&nonce, &bound_to(kind, record), text.into(), &tag).ok()?;
        Some(Bytes::from(sealed).slice(NONCE..end))
    }

    pub fn seal_json(&self, kind: Kind, record: &str, value: &Value) -> Vec<u8> {
        self.seal(kind, record, &[value.to_string().as_bytes()])
    }

    /// What [`seal_json`](Self::seal_json) sealed; `None` where [`open`](Self::open) opens nothing, or no JSON.
    pub fn open_json(&self, kind: Kind, record: &str, sealed: Vec<u8>) -> Option<Value> {
        serde_json::from_slice(&self.open(kind, record, sealed)?).ok()
    }
}

/// The associated data.
fn bound_to(kind: Kind, record: &str) -> Vec<u8> {
    format!("doorward {kind} {record}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_opens_the_same_record_unchanged() {
        let (sealer, other) = (Sealer::new(&[1; 32]), Sealer::new(&[2; 32]));
        let sealed = sealer.seal(Kind::Sighting, "a", &[b"one ", b"two"]);
        let open = |sealer: &Sealer, kind, record, sealed: &[u8]| sealer.open(kind, record, sealed.to_vec());
        assert_eq!(open(&sealer, Kind::Sighting, "a", &sealed).unwrap(), "one two");
        assert_eq!(sealed.len(), 7 + OVERHEAD);
        assert_ne!(sealed, sealer.seal(Kind::Sighting, "a", &[b"one ", b"two"]), "another nonce every time");

        assert_eq!(open(&other, Kind::Sighting, "a", &sealed), None);
        assert_eq!(open(&sealer, Kind::Sighting, "b", &sealed), None);
        assert_eq!(open(&sealer, Kind::Picture, "a", &sealed), None);
        for length in 0..sealed.len() {
            assert_eq!(open(&sealer, Kind::Sighting, "a", &sealed[..length]), None, "cut at {length}");
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(open(&sealer, Kind::Sighting, "a", &changed), None, "changed at {at}");
        }
        assert_eq!(open(&sealer, Kind::Request, "", &sealer.seal(Kind::Request, "", &[])).unwrap(), "");
        assert_ne!(sealer.key_id(), other.key_id());
    }
}
