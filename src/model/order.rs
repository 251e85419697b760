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

/// Describes the places of everything that is moved, given all siblings in the order wanted:
/// the hint of what stays, `None` for what moves. Returns the descriptions of what moves, in
/// order.
///
/// Each is made of the nearest hints that stay and what is moved right before it, so they grow
/// with the number of neighbours that move, however often each was moved.
#[must_use]
pub fn describe(siblings: &[Option<&str>]) -> Vec<String> {
    let mut described: Vec<String> = Vec::new();
    let mut previous: Option<String> = None;
    for (at, hint) in siblings.iter().enumerate() {
        if let Some(hint) = hint {
            previous = Some((*hint).to_owned());
            continue;
        }
        let next = siblings.iter().skip(at).find_map(|it| *it);
        let place = between(previous.as_deref(), next);
        described.push(place.clone());
        previous = Some(place);
    }
    described
}

/// Takes something out of a list and puts it next to something else. Nothing if that is not
/// there.
pub fn put_next_to<T: PartialEq>(list: &mut Vec<T>, item: T, next_to: &T, side: Side) {
    list.retain(|it| *it != item);
    if let Some(at) = list.iter().position(|it| it == next_to) {
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

    #[test]
    fn what_moves_is_described_by_what_stays() {
        assert_eq!(describe(&[None]), [" !"]);
        assert_eq!(describe(&[Some("A"), None, Some("B")]), ["A B!"]);
        assert_eq!(describe(&[None, None, Some("B")]), [" B!", " B! B!"]);
        assert_eq!(describe(&[Some("A"), None, None]), ["A !", "A ! !"]);
        // Two hundred neighbours that all move are still short descriptions.
        let many = describe(
            &[Some("8585269241124027581"); 1]
                .iter()
                .copied()
                .chain([None; 200])
                .collect::<Vec<_>>(),
        );
        assert!(many.iter().all(|it| it.len() < 500));
        assert!(many.windows(2).all(|it| it[0] < it[1]));
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
