//! Order hints: where something is wanted among its siblings (planner-api.md section 4).
//!
//! Only the service makes final hints. A client describes a place by the hints of the
//! neighbours, and the service replaces the description by a short hint. A description can stand
//! for a neighbour's hint itself, and sorts like the hint it will become, so several moves can be
//! described before the service has answered.

/// Describes the place between two neighbours; an absent one is the end of the list.
#[must_use]
pub fn between(previous: Option<&str>, next: Option<&str>) -> String {
    format!("{} {}!", previous.unwrap_or_default(), next.unwrap_or_default())
}

/// Tells whether a hint describes a wanted place; a final hint never ends so.
#[must_use]
pub fn is_wanted(hint: &str) -> bool {
    hint.ends_with('!')
}

/// Finds the hint for a place next to one of `siblings`, which are sorted by their hints and do
/// not hold what is moved: right before it, or right after.
#[must_use]
pub fn next_to(siblings: &[&str], at: usize, side: Side) -> String {
    let hint = |at: Option<usize>| at.and_then(|it| siblings.get(it)).copied();
    match side {
        Side::Before => between(hint(at.checked_sub(1)), hint(Some(at))),
        Side::After => between(hint(Some(at)), hint(Some(at + 1))),
    }
}

/// A side of a sibling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Right before it.
    Before,
    /// Right after it.
    After,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of planner-api.md 4.2.
    #[test]
    fn places_are_described_by_neighbours() {
        assert_eq!(between(None, None), " !");
        assert_eq!(between(None, Some("5637")), " 5637!");
        assert_eq!(between(Some("adhg"), None), "adhg !");
        let before = between(None, Some("5637"));
        let inner = between(Some("5637"), Some("adhg"));
        assert_eq!(between(Some(&before), Some(&inner)), " 5637! 5637 adhg!!");
        assert_eq!(between(None, Some(&between(None, None))), "  !!");
    }

    #[test]
    fn descriptions_sort_like_what_they_will_become() {
        let first = between(None, Some("B"));
        let middle = between(Some("B"), Some("D"));
        let last = between(Some("D"), None);
        let mut all = [last.as_str(), "D", middle.as_str(), "B", first.as_str()];
        all.sort_unstable();
        assert_eq!(all, [first.as_str(), "B", middle.as_str(), "D", last.as_str()]);
    }
}
