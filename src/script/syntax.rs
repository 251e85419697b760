//! The text of scripts: its tokens, and what may be written beyond the engine's language.

pub(super) mod location;
pub(super) mod sugar;
pub mod tokens;

/// Functions that only return a new value.
pub(super) const RETURNS_ONLY: [&str; 40] = [
    "all",
    "any",
    "chop",
    "contains",
    "count",
    "count_by",
    "crop",
    "dedup",
    "extract",
    "filter",
    "find",
    "first",
    "flatten",
    "group_by",
    "includes",
    "index_of",
    "join",
    "last",
    "lines",
    "max_by",
    "min_by",
    "order",
    "order_by",
    "order_desc",
    "pad",
    "pad_end",
    "pad_start",
    "replace",
    "reverse",
    "skip",
    "slice",
    "sort",
    "sort_by",
    "sort_desc",
    "sum",
    "take",
    "trim",
    "truncate",
    "unique_by",
    "where",
];
