//! The label slots of a plan.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One of the 25 label slots of a plan (planner-api.md 1.4), `category1` to `category25` on
/// the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Category(u8);

impl Category {
    /// The number of slots.
    pub const COUNT: u8 = 25;

    /// Returns the `n`th slot, from 1.
    #[must_use]
    pub const fn new(n: u8) -> Option<Self> {
        if n >= 1 && n <= Self::COUNT { Some(Self(n)) } else { None }
    }

    /// Reads `category7`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("category")?;
        let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        if plain { digits.parse().ok().and_then(Self::new) } else { None }
    }

    /// Returns all slots in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=Self::COUNT).map(Self)
    }

    /// Returns its number, from 1.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "category{}", self.0)
    }
}

impl TryFrom<u8> for Category {
    type Error = String;
    fn try_from(n: u8) -> Result<Self, String> {
        Self::new(n).ok_or_else(|| format!("there is no label {n}; labels are 1 to 25"))
    }
}

impl From<Category> for u8 {
    fn from(category: Category) -> Self {
        category.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_25_names_are_categories() {
        assert_eq!(
            Category::all().filter(|c| Category::parse(&c.to_string()) == Some(*c)).count(),
            25
        );
        for text in ["category0", "category26", "category01", "category", "Category1", "1"] {
            assert_eq!(Category::parse(text), None, "{text}");
        }
    }
}
