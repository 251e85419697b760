//! The vocabulary of Planner: ids, ETags, entities, time, limits.
//!
//! Everything here is plain data with total functions. Nothing performs I/O, reads a clock or
//! knows JSON as Microsoft writes it; that is the `wire` layer's. The serde form of these types
//! is Planwright's own, used for saved change sets.

// Names of things.
pub mod etag;
pub mod id;

// The entities of Planner.
pub mod board;
pub mod bucket;
pub mod details;
pub mod person;
pub mod plan;
pub mod task;

// A plan as a document or a file.
pub mod board_file;
pub mod document;

// Closed sets and small values.
pub mod category;
pub mod limits;
pub mod link;
pub mod order;
pub mod progress;
pub mod recurrence;
pub mod time;

// What parsers say.
pub mod in_words;

// The entities that a run has read.
pub mod as_read;
pub mod snapshot;

pub use as_read::as_read;
pub use board::{Board, BoardPlace};
pub use board_file::BoardFile;
pub use bucket::Bucket;
pub use category::Category;
pub use details::{ChecklistItem, PlanDetails, Reference, TaskDetails};
pub use document::{BucketDocument, ItemDocument, LinkDocument, PlanDocument, TaskDocument};
pub use etag::{ETag, Versioned};
pub use id::{BucketId, CommentId, GroupId, InvalidId, PlanId, RosterId, TaskId, UserId};
pub use in_words::in_words;
pub use limits::Limits;
pub use person::{Group, User};
pub use plan::{Archival, Plan};
pub use progress::{Priority, Progress};
pub use recurrence::Recurrence;
pub use task::{Comment, NewComment, Task, TaskBeta};
pub use time::Clock;
pub use time::cron::{Cron, Missed};
