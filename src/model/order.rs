//! Order hints: the wanted place of an item among its siblings (planner-api.md 4).
//!
//! Only the service makes final hints. A client describes a place by the hints of the neighbours,
//! and the service replaces the description by a short hint. A description can itself serve as a
//! neighbour's hint, and sorts like the hint it will become, so several moves can be described
//! before the service has answered.

/// Describes the place between two neighbours; an absent one is the end of the list.
#[must_use]
pub fn between(previous: Option<&str>, next: Option<&str>) -> String {
    format!("{} {}!", previous.unwrap_or_default(), next.unwrap_or_default())
}

/// Returns whether a hint describes a wanted place; a final hint never ends in `!`.
#[must_use]
pub fn is_wanted(hint: &str) -> bool {
    hint.ends_with('!')
}

/// Returns whether a final hint lies where a description placed it. For a description made of
/// other descriptions, that is between the outermost neighbours that stay.
#[must_use]
pub fn lies_in(hint: &str, wanted: &str) -> bool {
    // Nested descriptions keep the final hints at their ends: before the first space and after the
    // last one.
    let previous = wanted.split(' ').next().unwrap_or_default();
    let next = wanted.trim_end_matches('!').rsplit(' ').next().unwrap_or_default();
    hint > previous && (next.is_empty() || hint < next)
}

/// Describes the places of all items that move, given all siblings in the wanted order: the hint of
/// an item that stays, `None` for one that moves. Returns a description for each that has to be
/// written.
///
/// Each is made of the nearest hints that stay and of the item placed right before it, so they grow
/// with the number of neighbours that move, however often each was moved. Siblings with the same
/// hint leave no room between them: when an item is put there, those after it move too.
#[must_use]
pub fn describe(siblings: &[Option<&str>]) -> Vec<Option<String>> {
    let mut stays = siblings.to_vec();
    let (mut last, mut moving): (Option<&str>, bool) = (None, false);
    // An item whose hint is not above the last one that stays would sort before an item placed
    // between them, so it moves as well.
    for hint in &mut stays {
        match *hint {
            Some(own) if !moving || last.is_none_or(|last| own > last) => {
                (last, moving) = (Some(own), false);
            }
            _ => (*hint, moving) = (None, true),
        }
    }
    let mut previous: Option<String> = None;
    let mut described = Vec::with_capacity(stays.len());
    for (at, hint) in stays.iter().enumerate() {
        if let Some(hint) = hint {
            previous = Some((*hint).to_owned());
            described.push(None);
            continue;
        }
        let next = stays.iter().skip(at).find_map(|hint| *hint);
        let place = between(previous.as_deref(), next);
        described.push(Some(place.clone()));
        previous = Some(place);
    }
    described
}

/// Moves an item of a list next to another. Does nothing if the other is absent or the same.
pub fn put_next_to<T: PartialEq>(list: &mut Vec<T>, item: T, next_to: &T, side: Side) {
    if item == *next_to || !list.contains(next_to) {
        return;
    }
    list.retain(|other| *other != item);
    if let Some(at) = list.iter().position(|other| other == next_to) {
        list.insert(if side == Side::Before { at } else { at + 1 }, item);
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

    fn places(siblings: &[Option<&str>]) -> Vec<String> {
        describe(siblings).into_iter().map(Option::unwrap_or_default).collect()
    }

    #[test]
    fn what_moves_is_described_by_what_stays() {
        assert_eq!(places(&[None]), [" !"]);
        assert_eq!(places(&[Some("A"), None, Some("B")]), ["", "A B!", ""]);
        assert_eq!(places(&[None, None, Some("B")]), [" B!", " B! B!", ""]);
        assert_eq!(places(&[Some("A"), None, None]), ["", "A !", "A ! !"]);
        // Two hundred neighbours that all move are still short descriptions.
        let mut many = vec![Some("8585269241124027581")];
        many.resize(201, None);
        let many = places(&many);
        assert!(many.iter().all(|place| place.len() < 500));
        assert!(many.windows(2).skip(1).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn a_hint_lies_where_it_was_wanted_or_elsewhere() {
        for (hint, wanted, lies) in [
            ("C", "B D!", true),
            ("E", "B D!", false),
            ("B", "B D!", false),
            ("A", " B!", true),
            ("Z", "D !", true),
            ("C", "A B! D!", true),
            ("E", "A B! D!", false),
            ("3", " 5637! 5637 adhg!!", true),
        ] {
            assert_eq!(lies_in(hint, wanted), lies, "{hint} in {wanted}");
        }
    }

    #[test]
    fn siblings_with_one_hint_make_room() {
        let equal = places(&[Some("A"), None, Some("A"), Some("A"), Some("B")]);
        assert_eq!(equal, ["", "A B!", "A B! B!", "A B! B! B!", ""]);
        // Nothing is put between them: they are left alone.
        assert_eq!(places(&[Some("A"), Some("A"), None]), ["", "", "A !"]);
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
