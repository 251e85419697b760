//! Order hints: positions that a client describes and only the service turns into strings.
//!
//! planner-api.md 4. A client sends `previous␠next!` (nested, if it moved several items before
//! the service answered); [`resolve`] returns the short string that is stored. Nothing here knows
//! which items exist: a hint is computed from the neighbours' strings alone.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::emulator::state::timestamp;

/// The length of the longest description that is evaluated, far more than nesting needs.
const MAX_INPUT: usize = 4096;
/// A value below every character of a hint: the left side has ended.
const LOW: u8 = 0x21;
/// A value above every character of a hint: there is no right side.
const HIGH: u8 = 0x7F;
/// The lowest character that a hint may contain.
const FIRST: u8 = 0x22;

/// Evaluates a position as a client describes it (planner-api.md 4.5); `None` if the format is
/// invalid.
///
/// The expression is postfix with implicit operands: a space ends the left neighbour, `!` takes
/// both and leaves the hint between them.
pub(crate) fn resolve(input: &str) -> Option<String> {
    if input.len() > MAX_INPUT {
        return None;
    }
    let mut lefts: Vec<Vec<u8>> = Vec::new();
    let mut current: Vec<u8> = Vec::new();
    let mut evaluated = false;
    for byte in input.bytes() {
        match byte {
            b' ' => lefts.push(std::mem::take(&mut current)),
            b'!' => {
                evaluated = true;
                current = between(&lefts.pop().unwrap_or_default(), &current);
            }
            FIRST..HIGH => current.push(byte),
            _ => return None,
        }
    }
    // An echoed hint has no `!` and ends here; it is not a position (planner-api.md 4.4).
    if !lefts.is_empty() || !evaluated {
        return None;
    }
    String::from_utf8(current).ok()
}

/// Returns whether a description names no neighbour: the only item, or a place that does not matter
/// (planner-api.md 4.2).
pub(crate) fn is_anywhere(description: &str) -> bool {
    matches!(description, " !" | "!")
}

/// The source of hints for items without neighbours, so that no two of them are equal.
#[derive(Debug, Default)]
pub(crate) struct Places {
    last: Mutex<i64>,
    /// True if the clock does not count: a seed is the same board every time.
    by_count: bool,
}

impl Places {
    /// Returns a source whose hints are the same every time.
    pub(crate) fn counted() -> Self {
        Self { by_count: true, ..Self::default() }
    }

    /// Returns a hint that was not returned before; of two such hints, the newer one sorts first.
    pub(crate) fn next(&self, now: Timestamp) -> String {
        // By the clock, so that it differs from those of earlier processes, and by count while the
        // clock stands still: several items of one body get theirs at the same moment.
        let now = if self.by_count {
            0
        } else {
            i64::try_from(timestamp::ticks(now)).unwrap_or_default()
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = now.max(last.saturating_add(1));
        let mut rest = i64::MAX.abs_diff(*last);
        // Of fixed width, so that a smaller number sorts first.
        let mut digits = [0_u8; 10];
        for digit in digits.iter_mut().rev() {
            *digit = FIRST + 1 + (rest % 80) as u8;
            rest /= 80;
        }
        let digits = digits.iter().map(|digit| char::from(*digit));
        // It begins as a nested description of the same place resolves.
        "P".chars().chain(digits).collect()
    }
}

/// Returns a string between two hints in ordinal order; an empty side is unbounded.
fn between(left: &[u8], right: &[u8]) -> Vec<u8> {
    // Clients send neighbours that are equal or out of order after a move they have not seen: the
    // right one is then ignored (planner-api.md 4.5 and 14).
    let mut bounded = !right.is_empty() && left < right;
    let mut out = Vec::new();
    for at in 0.. {
        let low = left.get(at).copied().unwrap_or(LOW);
        let high = if bounded { right.get(at).copied().unwrap_or(HIGH) } else { HIGH };
        if low == high {
            out.push(low);
        } else if high.saturating_sub(low) > 1 {
            let middle = low.midpoint(high);
            out.push(middle);
            // Nothing fits below the lowest character, so no hint ends with it.
            if middle == FIRST {
                out.push(b'P');
            }
            break;
        // No room at this place. Where the left side has ended, the right one is followed down to
        // a place with room; where it has not, anything above the rest of the left side fits.
        } else if low == LOW {
            out.push(high);
        } else {
            out.push(low);
            bounded = false;
        }
    }
    out
}

/// Returns the hint of an item for which the client asked no place: newer items sort first
/// (planner-api.md 4.3).
pub(crate) fn default_hint(created: Timestamp) -> String {
    (i128::from(i64::MAX) - timestamp::ticks(created)).to_string()
}

#[cfg(test)]
mod tests {
    use super::{Places, between, default_hint, is_anywhere, resolve};
    use crate::emulator::state::timestamp;

    #[test]
    fn the_default_hint_equals_the_one_seen_on_real_data() {
        let created = timestamp::parse("2023-01-25T21:39:33.0748226Z").unwrap();
        assert_eq!(default_hint(created), "8585269241124027581");
    }

    #[test]
    fn descriptions_resolve_as_the_reference_says() {
        let cases = [
            (" !", Some("P")),
            ("!", Some("P")),
            ("  !!", Some("8")),
            (" ! !", Some("g")),
            ("8585269241124027581 !", Some("[")),
            (" 8585269241124027581!", Some(",")),
            ("abc", None),
            ("a b", None),
            ("a  b!", None),
            ("", None),
            ("\u{e9} !", None),
            ("a\tb !", None),
        ];
        for (input, expected) in cases {
            assert_eq!(resolve(input).as_deref(), expected, "{input:?}");
        }
    }

    #[test]
    fn items_without_neighbours_get_different_hints() {
        let places = Places::default();
        let now = timestamp::parse("2026-03-02T09:14:58Z").unwrap();
        let hints: Vec<String> = (0..100).map(|_| places.next(now)).collect();
        assert!(hints.windows(2).all(|pair| pair[1] < pair[0]), "{hints:?}");
        for hint in &hints {
            assert!(hint.starts_with('P') && hint.len() == 11, "{hint}");
            assert_eq!(resolve(hint), None);
            let (before, after) =
                (resolve(&format!(" {hint}!")).unwrap(), resolve(&format!("{hint} !")).unwrap());
            assert!(before < *hint && *hint < after);
        }
        assert!(is_anywhere(" !") && is_anywhere("!") && !is_anywhere("P !"));
    }

    #[test]
    fn nested_descriptions_keep_the_order_of_the_sketch() {
        let first = resolve(" 5637!").unwrap();
        let second = resolve("5637 adhg!").unwrap();
        let nested = resolve(" 5637! 5637 adhg!!").unwrap();
        assert!(first < nested && nested < second, "{first} {nested} {second}");
    }

    #[test]
    fn three_thousand_random_insertions_stay_in_order_and_short() {
        let mut state = 7_u64;
        let mut hints: Vec<String> = Vec::new();
        for _ in 0..3000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (state >> 33) as usize % (hints.len() + 1);
            let left = if at == 0 { "" } else { &hints[at - 1] };
            let right = hints.get(at).map_or("", String::as_str);
            let new = resolve(&format!("{left} {right}!")).unwrap();
            assert!(left < new.as_str() && (right.is_empty() || new.as_str() < right));
            hints.insert(at, new);
        }
        assert!(
            hints.iter().all(|hint| hint.len() <= 5),
            "{:?}",
            hints.iter().max_by_key(|h| h.len())
        );
    }

    #[test]
    fn three_hundred_insertions_at_either_end_stay_short() {
        let (mut front, mut back) = ("P".to_owned(), "P".to_owned());
        for _ in 1..300 {
            let (before, after) =
                (resolve(&format!(" {front}!")).unwrap(), resolve(&format!("{back} !")).unwrap());
            assert!(before < front && back < after);
            (front, back) = (before, after);
        }
        assert!(front.len() <= 60 && back.len() <= 43, "{} {}", front.len(), back.len());
    }

    proptest::proptest! {
        #[test]
        fn no_input_panics(input in ".{0,80}") {
            resolve(&input);
        }

        #[test]
        fn what_lies_between_is_between(a in "[#-~]{0,6}", b in "[#-~]{1,6}") {
            let (a, b) = (a.as_bytes(), b.as_bytes());
            if a < b {
                let hint = between(a, b);
                proptest::prop_assert!(a < &hint[..] && &hint[..] < b);
            }
        }

        #[test]
        fn a_resolved_hint_is_refused_when_echoed(input in "[\"-~ ]{0,12} !") {
            if let Some(hint) = resolve(&input) {
                proptest::prop_assert_eq!(resolve(&hint), None);
            }
        }
    }
}
