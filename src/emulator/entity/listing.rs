//! Lists of the directory: users, groups, and who belongs to whom.
//!
//! planner-api.md 2.5 and 8.2. Unlike the lists of Planner, these filter, search, sort and count.

use std::cmp::Ordering;

use rusqlite::params;
use serde_json::{Map, Value};

use crate::emulator::body::known::Type;
use crate::emulator::body::view;
use crate::emulator::entity::directory;
use crate::emulator::message::filter::{self, Filter};
use crate::emulator::message::request::Request;
use crate::emulator::message::response::Handled;
use crate::emulator::message::search::{self, Search};
use crate::emulator::state::call::Call;
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::members::parse;

/// The default size of a page, and the largest (planner-api.md 8.2).
const PAGE: usize = 100;
const MAX_PAGE: usize = 999;

/// A document of the directory and its place in the list.
type Entry = (i64, Map<String, Value>);

/// A list in the directory.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Listing<'a> {
    Users,
    Groups,
    MembersOf(&'a str),
    OwnersOf(&'a str),
    GroupsOf(&'a str),
}

impl Listing<'_> {
    fn sql(self) -> &'static str {
        match self {
            Self::Users => {
                "SELECT seq, doc FROM directory_user WHERE ?1 = '' AND seq > ?2 ORDER BY seq"
            }
            // Rosters and containers of users are in the same table, but the directory must not
            // show them.
            Self::Groups => {
                "SELECT seq, doc FROM directory_group WHERE ?1 = '' AND seq > ?2 AND roster = 0 \
                 ORDER BY seq"
            }
            Self::MembersOf(_) => {
                "SELECT u.seq, u.doc FROM group_member m JOIN directory_user u ON u.id = m.user_id \
                 WHERE m.group_id = ?1 AND u.seq > ?2 ORDER BY u.seq"
            }
            Self::OwnersOf(_) => {
                "SELECT u.seq, u.doc FROM group_owner o JOIN directory_user u ON u.id = o.user_id \
                 WHERE o.group_id = ?1 AND u.seq > ?2 ORDER BY u.seq"
            }
            Self::GroupsOf(_) => {
                "SELECT g.seq, g.doc FROM group_member m JOIN directory_group g ON g.id = m.group_id \
                 WHERE m.user_id = ?1 AND g.seq > ?2 AND g.roster = 0 ORDER BY g.seq"
            }
        }
    }

    fn owner(&self) -> &str {
        match self {
            Self::MembersOf(id) | Self::OwnersOf(id) | Self::GroupsOf(id) => id,
            Self::Users | Self::Groups => "",
        }
    }

    /// Returns the context, and the type of each item where several types could occur.
    fn names(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Users => ("users", None),
            Self::Groups => ("groups", None),
            Self::MembersOf(_) | Self::OwnersOf(_) => {
                ("directoryObjects", Some("#microsoft.graph.user"))
            }
            Self::GroupsOf(_) => ("directoryObjects", Some("#microsoft.graph.group")),
        }
    }

    /// Returns the type whose names a query may use.
    fn item(self) -> Type {
        match self {
            Self::Users => Type::User,
            Self::Groups => Type::Group,
            Self::MembersOf(_) | Self::OwnersOf(_) | Self::GroupsOf(_) => Type::DirectoryObject,
        }
    }
}

/// The query options of a list, apart from those about its pages.
#[derive(Debug)]
struct Query {
    filter: Option<Filter>,
    search: Option<Search>,
    order: Option<Order>,
    counts: bool,
}

impl Query {
    /// Reads the options.
    ///
    /// # Errors
    ///
    /// 400 for an option that is not understood, an unknown name, or an advanced query without its
    /// header (planner-api.md 2.5).
    fn from_request(request: &Request, listing: Listing<'_>) -> Result<Self, GraphError> {
        let of = listing.item();
        let advanced = is_advanced(request);
        let counts =
            request.option("$count").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if counts && !advanced {
            return Err(filter::unsupported());
        }
        let search = match request.option("$search") {
            None => None,
            Some(_) if !advanced => return Err(search::without_header()),
            Some(text) => Some(Search::parse(text)?),
        };
        let filter = request.option("$filter").map(Filter::parse).transpose()?;
        if filter.as_ref().is_some_and(Filter::is_advanced) && !(advanced && counts) {
            return Err(filter::unsupported());
        }
        let order = request.option("$orderby").map(|text| Order::parse(text, of)).transpose()?;
        // Sorting is simple only by itself, and only of users and groups.
        let is_simple = filter.is_none() && of != Type::DirectoryObject;
        if order.is_some() && !is_simple && !(advanced && counts) {
            return Err(unsorted());
        }
        let is_unknown = |name: &&str| !of.has(name);
        if let Some(name) = filter.iter().flat_map(Filter::properties).find(is_unknown) {
            return Err(of.missing("Invalid filter clause", name));
        }
        if let Some(name) = search.iter().flat_map(Search::properties).find(is_unknown) {
            return Err(of.missing("Invalid $search clause", name));
        }
        Ok(Self { filter, search, order, counts })
    }

    fn passes(&self, doc: &Map<String, Value>) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.passes(doc))
            && self.search.as_ref().is_none_or(|search| search.finds(doc))
    }
}

/// The order of a list: by the text of one property, without case.
#[derive(Debug)]
struct Order {
    property: &'static str,
    descending: bool,
}

impl Order {
    /// The properties by which the directory sorts (planner-api.md 2.5).
    const PROPERTIES: [&'static str; 2] = ["displayName", "userPrincipalName"];

    fn parse(text: &str, of: Type) -> Result<Self, GraphError> {
        let mut words = text.split_whitespace();
        let name = words.next().unwrap_or_default();
        if !of.has(name) {
            return Err(of.missing("Invalid OrderBy clause", name));
        }
        let descending = match (words.next(), words.next()) {
            (None, _) | (Some("asc"), None) => false,
            (Some("desc"), None) => true,
            _ => return Err(unsorted()),
        };
        let property = Self::PROPERTIES.into_iter().find(|known| known.eq_ignore_ascii_case(name));
        Ok(Self { property: property.ok_or_else(unsorted)?, descending })
    }

    fn compare(&self, a: &Map<String, Value>, b: &Map<String, Value>) -> Ordering {
        let key = |doc: &Map<String, Value>| {
            doc.get(self.property).and_then(Value::as_str).map(str::to_lowercase)
        };
        let order = key(a).cmp(&key(b));
        if self.descending { order.reverse() } else { order }
    }
}

/// Answers with a page of a list.
pub(crate) fn list(
    call: &Call<'_>,
    request: &Request,
    listing: Listing<'_>,
) -> Result<Handled, GraphError> {
    let query = Query::from_request(request, listing)?;
    let select = directory::select(request);
    listing.item().check_selection(&select)?;
    let after = view::skip_token(request)?;
    // Unlike the lists of Planner, those of the directory honour `$top` (planner-api.md 8.2).
    let top = match request.option("$top") {
        None => PAGE,
        Some(text) => {
            let top: Option<usize> = text.parse().ok().filter(|top| (1..=MAX_PAGE).contains(top));
            top.ok_or_else(|| {
                GraphError::new(400, "Request_BadRequest", "The value of $top is not valid.")
            })?
        }
    };

    // One more than a page, to know whether there is another.
    let (mut found, total) = match &query.order {
        None => passing(call, listing, &query, after, top + 1)?,
        Some(order) => {
            let (mut all, total) = passing(call, listing, &query, 0, usize::MAX)?;
            all.sort_by(|(_, a), (_, b)| order.compare(a, b));
            // Pages of a sorted list go by place, since rows do not follow each other in it.
            let placed = all.into_iter().zip(1_i64..).map(|((_, doc), place)| (place, doc));
            let passed = usize::try_from(after).unwrap_or(usize::MAX);
            (placed.skip(passed).take(top + 1).collect::<Vec<Entry>>(), total)
        }
    };
    let has_more = found.len() > top;
    found.truncate(top);

    let (context, item_type) = listing.names();
    let mut body = view::envelope(request, context, &select);
    // Only the first page says how many there are in all (planner-api.md 2.5).
    if query.counts && after == 0 {
        body.insert("@odata.count".to_owned(), total.into());
    }
    if let Some((last, _)) = found.last().filter(|_| has_more) {
        let link = request.next_link(&view::page_token(*last));
        body.insert("@odata.nextLink".to_owned(), link.into());
    }
    let items = found.iter().map(|(_, doc)| directory::item(doc, item_type, &select));
    body.insert("value".to_owned(), items.collect());
    Ok(Handled::json(200, body))
}

/// Answers with the number of items of a list, as plain text.
pub(crate) fn count(
    call: &Call<'_>,
    request: &Request,
    listing: Listing<'_>,
) -> Result<Handled, GraphError> {
    if !is_advanced(request) {
        let reason = "$count is not currently supported.";
        return Err(GraphError::new(400, "Request_BadRequest", reason));
    }
    let query = Query { counts: true, ..Query::from_request(request, listing)? };
    let (_, total) = passing(call, listing, &query, 0, 0)?;
    Ok(Handled::plain(200, total.into()).with("content-type", "text/plain"))
}

/// Returns at most `limit` items after a row that pass a query, and how many do; these are all only
/// if the query counts.
fn passing(
    call: &Call<'_>,
    listing: Listing<'_>,
    query: &Query,
    after: i64,
    limit: usize,
) -> Result<(Vec<Entry>, usize), GraphError> {
    let (mut found, mut total) = (Vec::new(), 0_usize);
    // The page is cut here: a LIMIT in the SQL would count rows that the filter drops.
    let mut statement = call.conn.prepare_cached(listing.sql())?;
    let mut rows = statement.query(params![listing.owner(), after])?;
    while let Some(row) = rows.next()? {
        let doc = parse(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)?;
        if !query.passes(&doc) {
            continue;
        }
        total += 1;
        if found.len() < limit {
            found.push((row.get(0)?, doc));
        } else if !query.counts {
            break;
        }
    }
    Ok((found, total))
}

/// Returns whether a request has the header of advanced queries (planner-api.md 2.5).
fn is_advanced(request: &Request) -> bool {
    let level = request.header("consistencylevel");
    level.is_some_and(|level| level.trim().eq_ignore_ascii_case("eventual"))
}

/// Returns the refusal of an order that needs an advanced query, or does not exist.
fn unsorted() -> GraphError {
    GraphError::new(400, "Request_UnsupportedQuery", "Sorting not supported for current query.")
}
