//! Objects with their versions, ids, order and time. Nothing here knows about requests.

pub(super) mod call;
pub(super) mod change_log;
pub(super) mod etag;
pub(super) mod field_versions;
pub(super) mod graph_error;
pub(super) mod id;
pub(super) mod limits;
pub(super) mod members;
pub(super) mod object;
pub(super) mod order_hint;
pub(super) mod replica;
pub(super) mod timestamp;
