//! The text of scripts: its tokens, and what may be written beyond the engine's language.

pub(super) mod location;
pub(super) mod sugar;
pub mod tokens;
