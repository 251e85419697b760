//! One page of a list, bounded so that no service can fill the memory.

use serde::Deserialize;

use crate::wire::entity::{DecodeError, Decoded};
use crate::wire::json::Items;

/// The most items of a list, on one page or several: five times the tasks that a plan may have.
pub const MAX_ITEMS: usize = 50_000;
/// The longest address of a page, in bytes. Graph's are below 2,000.
pub const MAX_LINK: usize = 8192;

/// A page, with the address of the next one (planner-api.md 8.2).
#[derive(Debug)]
pub struct Page<T> {
    /// Its items.
    pub items: Vec<T>,
    /// The address of the next page, to be used verbatim, but only at the origin of the request.
    pub next: Option<String>,
}

#[derive(Deserialize)]
struct PageJson<'a> {
    #[serde(borrow)]
    value: Items<'a, MAX_ITEMS>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
}

impl<T: Decoded> Page<T> {
    /// Decodes a list answer. Objects of another kind (roles among groups) are left out.
    ///
    /// # Errors
    /// The answer has no `value` list, or an item lacks what it must have.
    pub fn decode(json: &str) -> Result<Self, DecodeError> {
        let page: PageJson<'_> = serde_json::from_str(json)?;
        let next = page.next.map(checked).transpose()?;
        let mut items = Vec::new();
        for item in page.value.0 {
            match T::decode(item.get()) {
                Ok(item) => items.push(item),
                Err(DecodeError::OtherKind) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { items, next })
    }
}

/// Returns the address of a page unless it is longer than any that Graph gives.
///
/// # Errors
/// It is longer.
pub(crate) fn checked(link: String) -> Result<String, DecodeError> {
    if link.len() > MAX_LINK { Err(DecodeError::LongLink) } else { Ok(link) }
}
