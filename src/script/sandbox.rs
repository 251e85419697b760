//! The sandbox: one engine with every limit set, its budgets, and what goes in and out of it.

pub(super) mod call_errors;
pub(super) mod compiled;
pub mod coverage;
pub mod diagnose;
pub mod engine;
pub(super) mod habits;
pub mod imports;
pub(super) mod in_place;
pub(super) mod memory;
pub(super) mod syntax_errors;
