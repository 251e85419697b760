//! Objects with their versions, ids, order and time; nothing here knows a request.

pub(super) mod changes;
pub(super) mod etag;
pub(super) mod history;
pub(super) mod id;
pub(super) mod object;
pub(super) mod order_hint;
pub(super) mod timestamp;
