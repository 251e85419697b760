//! Names that are near a wrong one, for hints.

/// Picks the names that come near to one that was not found, or all if they are few.
pub(crate) fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut all: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
    let near = similar(wanted, all.iter().copied());
    if !near.is_empty() {
        return near;
    }
    all.sort_unstable();
    all.dedup();
    if all.len() > 8 { Vec::new() } else { all.into_iter().map(str::to_owned).collect() }
}

/// Picks the names that one letter more, less or other, or two letters swapped, make of a wrong one.
pub(crate) fn one_slip_from<'a>(
    wanted: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Vec<String> {
    let wanted: String = wanted.chars().take(COMPARED).collect();
    let near = names.into_iter().filter(|name| strsim::osa_distance(&wanted, name) == 1);
    near.map(str::to_owned).collect()
}

/// Returns a hint with names that may have been meant, of which there is one at least.
pub(crate) fn did_you_mean(near: &[String]) -> String {
    let near: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
    format!("did you mean {}?", near.join(" or "))
}

/// Picks the three names most like one that was not found.
pub(crate) fn similar<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let short = |text: &str| text.chars().take(COMPARED).collect::<String>().to_lowercase();
    let wanted = short(wanted);
    let mut scored: Vec<(f64, &str)> = names
        .into_iter()
        .filter(|name| !name.is_empty())
        .map(|name| {
            let lower = short(name);
            let contained = lower.contains(&wanted) || wanted.contains(&lower);
            let score = strsim::jaro_winkler(&wanted, &lower);
            (if contained { score.max(0.9) } else { score }, name)
        })
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    let near = scored.iter().filter(|(score, _)| *score > 0.75).take(3);
    near.map(|(_, name)| (*name).to_owned()).collect()
}

/// The number of characters compared: the work is the product of both lengths, which no budget of a
/// script counts.
pub(crate) const COMPARED: usize = 256;
