//! Objects with their versions, ids, order and time. Nothing here knows about requests.

pub(super) mod call;
pub(super) mod changes;
pub(super) mod etag;
pub(super) mod graph_error;
pub(super) mod history;
pub(super) mod id;
pub(super) mod limits;
pub(super) mod members;
pub(super) mod object;
pub(super) mod order_hint;
pub(super) mod replica;
pub(super) mod timestamp;
