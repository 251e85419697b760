//! Change sets: drafting, comparing, saving and applying them, as values.
//!
//! A [`Draft`] collects edits while a script runs; [`Draft::finish`] makes a [`ChangeSet`] of
//! those that really differ. Nothing here sends or judges anything.

// The vocabulary: fields, and a change as before and after.
pub mod edit;
pub mod entity_id;
pub mod field;

// The reads that decisions rest on.
pub mod key;
pub mod read;

// From edits to an ordered set.
pub mod draft;
pub mod set;
pub mod whole;

// Comparison with the newer state of the board.
pub mod merge;

// Applying.
pub mod apply;
pub(crate) mod provisional;

// On disk.
pub mod saved;

pub use draft::Draft;
pub use edit::{Change, Edit, Never, Op, TakenAlong, TaskBasis, TaskState, Write};
pub use entity_id::EntityId;
pub use field::{Entity, Field, FieldChange, Fields, Placed};
pub use key::{
    BucketField, BucketKey, PlanDetailsField, PlanDetailsKey, PlanField, PlanKey, TaskField,
    TaskKey,
};
pub use merge::{FieldConflict, Merge, holds, merge, merged};
pub use read::{Read, ReadSet};
pub use saved::{Saved, SavedError, SealKey};
pub use set::ChangeSet;
