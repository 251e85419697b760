//! Users and groups: finding and listing them.
//!
//! planner-api.md 1.15, 2.5 and 8.2. Directory objects have no ETags and their own errors. Changes
//! of groups are in `groups`.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Map, Value, json};

use crate::emulator::body::view;
use crate::emulator::message::filter::{self, Filter};
use crate::emulator::message::request::Request;
use crate::emulator::message::response::Handled;
use crate::emulator::state::call::Call;
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::id;
use crate::emulator::state::members::{Who, group_doc, parse};

/// The default size of a page, and the largest (planner-api.md 8.2).
const PAGE: usize = 100;
const MAX_PAGE: usize = 999;

/// A document of the directory and its place in lists.
type Entry = (i64, Map<String, Value>);

/// Returns the id of the user that a path names.
pub(crate) fn resolve(call: &Call<'_>, who: &Who) -> Result<String, GraphError> {
    match who {
        // An application has no `/me` and was refused before this point (planner-api.md trap 34).
        Who::Me => Ok(call.caller.clone()),
        Who::User(key) => {
            let lower = key.to_lowercase();
            let found: Option<String> = call
                .conn
                .prepare_cached("SELECT id FROM directory_user WHERE id = ?1 OR upn = ?2")?
                .query_row([&lower, key], |row| row.get(0))
                .optional()?;
            found.ok_or_else(|| GraphError::no_resource(key))
        }
    }
}

/// Checks a group's id and that the group exists; returns the id in lower case.
pub(crate) fn group_id(conn: &Connection, raw: &str) -> Result<String, GraphError> {
    let group = id::guid(raw).ok_or_else(|| {
        GraphError::new(400, "Request_BadRequest", format!("Invalid object identifier '{raw}'."))
    })?;
    group_doc(conn, &group)?;
    Ok(group)
}

/// Answers with one user.
pub(crate) fn user(call: &Call<'_>, request: &Request, who: &Who) -> Result<Handled, GraphError> {
    let id = resolve(call, who)?;
    let text: String = call
        .conn
        .prepare_cached("SELECT doc FROM directory_user WHERE id = ?1")?
        .query_row([id], |row| row.get(0))?;
    single(request, "users", &parse(&text)?, 200)
}

/// Answers with one group.
pub(crate) fn group(call: &Call<'_>, request: &Request, id: &str) -> Result<Handled, GraphError> {
    let group = group_id(call.conn, id)?;
    single(request, "groups", &group_doc(call.conn, &group)?, 200)
}

/// Answers with a directory object.
pub(crate) fn single(
    request: &Request,
    collection: &str,
    doc: &Map<String, Value>,
    status: u16,
) -> Result<Handled, GraphError> {
    let select: Vec<&str> = select(request);
    let entity = format!("{collection}{}/$entity", view::selection(&select));
    let mut body = view::envelope(request, &entity, &[]);
    body.append(&mut view::selected(doc, &select));
    Ok(Handled::json(status, body))
}

fn select(request: &Request) -> Vec<&str> {
    let list = request.option("$select").unwrap_or_default();
    view::split(list).filter(|name| !name.is_empty() && *name != "*").collect()
}

/// A list in the directory.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Listing<'a> {
    Users,
    Groups,
    MembersOf(&'a str),
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
            Self::GroupsOf(_) => {
                "SELECT g.seq, g.doc FROM group_member m JOIN directory_group g ON g.id = m.group_id \
                 WHERE m.user_id = ?1 AND g.seq > ?2 AND g.roster = 0 ORDER BY g.seq"
            }
        }
    }

    /// Returns the context, and the type of each item where several types could occur.
    fn names(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Users => ("users", None),
            Self::Groups => ("groups", None),
            Self::MembersOf(_) => ("directoryObjects", Some("#microsoft.graph.user")),
            Self::GroupsOf(_) => ("directoryObjects", Some("#microsoft.graph.group")),
        }
    }
}

/// Answers with a page of a directory list.
pub(crate) fn list(
    call: &Call<'_>,
    request: &Request,
    listing: Listing<'_>,
) -> Result<Handled, GraphError> {
    // Only advanced queries may search or count (planner-api.md 2.5).
    let advanced = request.header("consistencylevel").is_some();
    let counts = request.option("$count").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if request.option("$search").is_some() || (counts && !advanced) {
        return Err(filter::unsupported());
    }
    let filter = request.option("$filter").map(Filter::parse).transpose()?;
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

    let mut found: Vec<Entry> = Vec::new();
    let mut total = 0_usize;
    let owner = match listing {
        Listing::MembersOf(id) | Listing::GroupsOf(id) => id,
        Listing::Users | Listing::Groups => "",
    };
    // The page is cut below: a LIMIT in the SQL would count rows that the filter drops.
    let mut statement = call.conn.prepare_cached(listing.sql())?;
    let mut rows = statement.query(params![owner, after])?;
    while let Some(row) = rows.next()? {
        let doc = parse(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)?;
        if filter.as_ref().is_none_or(|filter| filter.passes(&doc)) {
            // One more than a page, to know whether there is another; only a count needs the rest.
            total += 1;
            if found.len() <= top {
                found.push((row.get(0)?, doc));
            } else if !counts {
                break;
            }
        }
    }
    let has_more = found.len() > top;
    found.truncate(top);

    let select = select(request);
    let (context, item_type) = listing.names();
    let mut body = view::envelope(request, context, &select);
    if counts {
        body.insert("@odata.count".to_owned(), total.into());
    }
    if let Some((last, _)) = found.last().filter(|_| has_more) {
        let link = request.next_link(&view::page_token(*last));
        body.insert("@odata.nextLink".to_owned(), link.into());
    }
    let items: Vec<Value> = found
        .iter()
        .map(|(_, doc)| {
            let mut item = Map::new();
            if let Some(item_type) = item_type {
                item.insert("@odata.type".to_owned(), item_type.into());
            }
            item.append(&mut view::selected(doc, &select));
            Value::Object(item)
        })
        .collect();
    body.insert("value".to_owned(), items.into());
    Ok(Handled::json(200, body))
}

/// Adds a user, whose document has the members that a real one shows without `$select`
/// (planner-api.md 1.15).
pub(crate) fn add_user(
    conn: &Connection,
    id: &str,
    upn: &str,
    display_name: &str,
    job_title: Option<&str>,
) -> rusqlite::Result<()> {
    let (given, surname) = match display_name.split_once(' ') {
        Some((given, surname)) => (given, Some(surname)),
        None => (display_name, None),
    };
    let doc = json!({
        "businessPhones": [],
        "displayName": display_name,
        "givenName": given,
        "jobTitle": job_title,
        "mail": upn,
        "mobilePhone": null,
        "officeLocation": null,
        "preferredLanguage": null,
        "surname": surname,
        "userPrincipalName": upn,
        "id": id,
    });
    conn.execute(
        "INSERT INTO directory_user (id, upn, doc) VALUES (?1, ?2, ?3)",
        params![id, upn, doc.to_string()],
    )?;
    Ok(())
}
