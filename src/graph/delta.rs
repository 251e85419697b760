//! The changes since the last round: delta queries of the beta (planner-api.md 2.10).

use tokio::time::Instant;

use crate::graph::client::Client;
use crate::graph::client::MAX_PAGES;
use crate::graph::error::Error;
use crate::wire::delta::DeltaPage;
use crate::wire::page::MAX_ITEMS;
use crate::wire::request;

pub use crate::wire::delta::{DeltaChange, DeltaItem};

/// The changes of one round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// The changed objects, in the order of the answer.
    pub items: Vec<DeltaItem>,
    /// The opaque address, below this service, at which the next round begins.
    pub link: String,
}

impl Client {
    /// Reads the changes since an earlier round, by its link. Without one it begins the first
    /// round, which has a link but no changes yet.
    ///
    /// # Errors
    /// See [`Error`]; with [`Error::is_gone`] the link is too old, and everything must be read
    /// again.
    pub async fn delta(&self, link: Option<&str>) -> Result<Round, Error> {
        let request = request::delta();
        let mut items = Vec::new();
        let mut next = link.map(str::to_owned);
        let client = self.rationed();
        let until = Instant::now() + self.patience().of_list();
        for _page in 0..MAX_PAGES {
            let page: DeltaPage = match &next {
                None => client.read_before(&request, &self.url(&request)?, until).await?,
                Some(link) => client.read_before(&request, &self.own(link)?, until).await?,
            };
            items.extend(page.items);
            if items.len() > MAX_ITEMS {
                return Err(Error::TooManyItems(MAX_ITEMS));
            }
            match (page.next, page.delta) {
                // Only the last page has a `deltaLink` (planner-api.md 2.10).
                (_, Some(link)) => return Ok(Round { items, link: self.relative(&link)? }),
                (Some(link), None) if next.as_ref() != Some(&link) => next = Some(link),
                // A link that repeats itself, or none at all, would never lead to the end.
                _ => break,
            }
        }
        Err(Error::EndlessList(MAX_PAGES))
    }
}
