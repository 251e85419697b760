//! Identifiers: their generation, and the forms that the service accepts.
//!
//! planner-api.md 1.2. Planner ids are case-sensitive; directory ids are GUIDs, which are compared
//! without case and written in lower case.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use url::Url;
use uuid::{Builder, Uuid};

/// The scale unit that follows the random part of an id.
const SCALE_UNIT: [u8; 2] = [0x64, 0x00];
const LEN: usize = 28;

/// The source of new planner ids.
#[derive(Debug)]
pub(crate) enum Ids {
    /// Random, for requests.
    Random,
    /// Counted, for seeds, so that every copy has the same ids.
    Counted(AtomicU64),
}

impl Ids {
    /// Returns a new planner id: 16 bytes, the scale unit and 3 bytes, in base64url.
    pub(crate) fn planner(&self) -> String {
        let (head, tail) = match self {
            Self::Random => (Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()),
            Self::Counted(count) => {
                let at = count.fetch_add(1, Ordering::Relaxed);
                (spread(at, 0), spread(at, 1))
            }
        };
        let mut bytes = head.to_vec();
        bytes.extend_from_slice(&SCALE_UNIT);
        bytes.extend_from_slice(tail.first_chunk::<3>().unwrap_or(&[0; 3]));
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

/// Mixes a number by the SplitMix64 finaliser, so that it looks random but is repeatable.
fn mix(seed: u64) -> u64 {
    let mut bits = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// Returns the n-th number of a seed's sequence, at least 0 and below 1.
pub(crate) fn draw(seed: u64, at: u64) -> f64 {
    let bits = mix(mix(seed.wrapping_add(1)).wrapping_add(at)) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

/// Returns sixteen bytes that look random, derived from a count.
fn spread(count: u64, salt: u64) -> [u8; 16] {
    let seed = count.wrapping_mul(4).wrapping_add(salt.wrapping_mul(2)).wrapping_add(1);
    let wide = (u128::from(mix(seed)) << 64) | u128::from(mix(seed.wrapping_add(1)));
    wide.to_be_bytes()
}

/// Returns whether a text has the form of a planner id.
pub(crate) fn is_planner(text: &str) -> bool {
    text.len() == LEN
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Returns a directory id in lower case, if the text is a dashed GUID.
pub(crate) fn guid(text: &str) -> Option<String> {
    if text.len() != 36 {
        return None;
    }
    Uuid::try_parse(text).ok().map(|guid| guid.hyphenated().to_string())
}

/// Returns the directory id derived from a name, the same every time.
pub(crate) fn guid_of(name: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(name.as_bytes()).into();
    let bytes = digest.first_chunk::<16>().copied().unwrap_or_default();
    Builder::from_random_bytes(bytes).into_uuid().hyphenated().to_string()
}

/// Returns the first counted id for a text, so that those of two texts differ.
pub(crate) fn start_of(text: &str) -> u64 {
    let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    // Within the range for which `spread` gives distinct results.
    u64::from_be_bytes(digest.first_chunk().copied().unwrap_or_default()) >> 4
}

/// Returns a new directory id or request id.
pub(crate) fn new_guid() -> String {
    Uuid::new_v4().hyphenated().to_string()
}

/// Returns the last key of an object's address, as `@odata.id` gives it (planner-api.md 2.5).
pub(crate) fn key_of_address(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    let last = decode(url.path().rsplit('/').next()?)?;
    Some(match last.strip_suffix("')").and_then(|open| open.split_once("('")) {
        Some((_, key)) => key.to_owned(),
        None => last,
    })
}

/// The tenant of every token.
pub(crate) const TENANT: &str = "5d0f3c52-8a1e-4f0b-9a77-2c9f1b7d4e10";

/// Decodes percent-encoding; `None` if the result is not text.
pub(crate) fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = |at: usize| tail.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        rest = match (first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                tail.get(2..).unwrap_or_default()
            }
            _ => {
                bytes.push(*first);
                tail
            }
        };
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::atomic::AtomicU64;

    use super::{Ids, guid, is_planner};

    #[test]
    fn generated_ids_are_valid_and_distinct() {
        for ids in [Ids::Random, Ids::Counted(AtomicU64::new(0))] {
            let made: HashSet<String> = (0..500).map(|_| ids.planner()).collect();
            assert_eq!(made.len(), 500);
            assert!(made.iter().all(|id| is_planner(id)));
        }
    }

    #[test]
    fn only_dashed_guids_are_directory_ids() {
        let id = "7A1D6E0C-94b2-4d3f-b1a8-3e5c2f9d8a01";
        assert_eq!(guid(id), Some(id.to_lowercase()));
        assert_eq!(guid(&id.replace('-', "")), None);
        assert_eq!(guid("7a1d6e0c-94b2-4d3f-b1a8-3e5c2f9d8a0x"), None);
        assert_eq!(guid("é"), None);
    }
}
