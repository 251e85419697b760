//! The table of routes. The router is made from it, the OpenAPI document is, and a test walks it, so that
//! none of the three can forget one.

use std::sync::Arc;

use axum::response::Response;
use serde_json::Value;

use crate::app::error::AppError;
use crate::app::token::serve_tokens::Role;
use crate::serve::api::{boards, changes, events, lists, runs, status};
use crate::serve::call::{Call, Reply};
use crate::serve::desk::{Desk, Work};
use crate::serve::openapi::{self, Schema};
use crate::serve::page::{actions, board, browse, decide, login};

/// The methods there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Post,
}

/// A handler: one that may block, or one that may not.
#[derive(Clone, Copy)]
pub(crate) enum Act {
    Work(fn(&Work, &Call) -> Result<Reply, AppError>),
    Quick(fn(&Arc<Desk>, &Call) -> Result<Reply, AppError>),
    Stream(fn(&Arc<Desk>, &Call) -> Result<Response, AppError>),
}

/// The readers that a route is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// Programs: data, and errors as data.
    Programs,
    /// People: pages and forms.
    People,
}

/// A parameter of the query: its name, its type, and what it is for.
pub(crate) type Asked = (&'static str, &'static str, &'static str);

/// A route.
#[derive(Clone, Copy)]
pub(crate) struct Route {
    pub(crate) verb: Verb,
    pub(crate) path: &'static str,
    /// The least role; `None` if anybody may ask.
    pub(crate) needs: Option<Role>,
    pub(crate) readers: For,
    pub(crate) summary: &'static str,
    pub(crate) query: &'static [Asked],
    /// The schema of the body.
    pub(crate) body: Option<fn() -> Value>,
    pub(crate) answer: Schema,
    pub(crate) act: Act,
}

/// The deed of a route that every role may ask.
pub(crate) const DEED: &str = "this";

impl Route {
    /// Returns its method and path, for records.
    pub(crate) fn called(&self) -> String {
        let verb = match self.verb {
            Verb::Get => "GET",
            Verb::Post => "POST",
        };
        format!("{verb} {}", self.path)
    }

    /// Returns what whoever asks it does, as a refusal names it.
    pub(crate) fn deed(&self) -> &'static str {
        match self.path.trim_start_matches("/api/v1") {
            "/runs" | "/skills/{name}/run" | "/schedules/{name}/run" => "running a skill",
            "/inbox" => "submitting a skill",
            "/pending/{id}/approve" => "approving",
            "/pending/{id}/reject" => "rejecting",
            "/agents/{name}/pause" => "pausing an agent",
            "/agents/{name}/resume" => "lifting the pause of an agent",
            "/schedules/{name}/pause" => "pausing a schedule",
            "/schedules/{name}/resume" => "lifting the pause of a schedule",
            _ => DEED,
        }
    }
}

const VIEWER: Option<Role> = Some(Role::Viewer);
const APPROVER: Option<Role> = Some(Role::Approver);
const ADMIN: Option<Role> = Some(Role::Admin);

const LIMIT: Asked = ("limit", "limit", "Items at most, up to 200 (50)");
const CURSOR: Asked =
    ("cursor", "place", "Where to go on: the Link header of the page before has it");

/// The cursor of a list of runs or entries: the last one of the page before.
const AFTER: Asked = (CURSOR.0, "id", CURSOR.2);

const fn get(path: &'static str, summary: &'static str, answer: Schema, act: Act) -> Route {
    let (verb, readers) = (Verb::Get, For::Programs);
    Route { verb, path, needs: VIEWER, readers, summary, query: &[], body: None, answer, act }
}

const fn post(
    path: &'static str,
    needs: Option<Role>,
    summary: &'static str,
    body: fn() -> Value,
    act: Act,
) -> Route {
    let (verb, readers, answer) = (Verb::Post, For::Programs, Schema::Object);
    Route { verb, path, needs, readers, summary, query: &[], body: Some(body), answer, act }
}

const fn page(path: &'static str, act: fn(&Work, &Call) -> Result<Reply, AppError>) -> Route {
    let (verb, readers, answer) = (Verb::Get, For::People, Schema::Text);
    let (needs, act) = (VIEWER, Act::Work(act));
    Route { verb, path, needs, readers, summary: "", query: &[], body: None, answer, act }
}

const fn form(
    path: &'static str,
    needs: Option<Role>,
    act: fn(&Work, &Call) -> Result<Reply, AppError>,
) -> Route {
    let (verb, readers, answer, act) = (Verb::Post, For::People, Schema::Text, Act::Work(act));
    Route { verb, path, needs, readers, summary: "", query: &[], body: None, answer, act }
}

const fn open(path: &'static str, summary: &'static str, answer: Schema, act: Act) -> Route {
    Route { needs: None, ..get(path, summary, answer, act) }
}

/// All routes.
pub(crate) const ROUTES: &[Route] = &[
    open("/healthz", "Whether the process is alive", Schema::Text, Act::Quick(status::health)),
    open("/readyz", "Whether it takes requests", Schema::Text, Act::Work(status::ready)),
    get("/metrics", "Figures for Prometheus", Schema::Figures, Act::Work(status::metrics)),
    open("/openapi.json", "This document", Schema::Object, Act::Quick(status::document)),
    Route {
        query: &[LIMIT, AFTER],
        ..get("/api/v1/runs", "Runs, the newest first", Schema::List, Act::Work(lists::runs))
    },
    Route {
        query: &[("wait", "seconds", "Seconds to wait for the report, up to 60")],
        ..post(
            "/api/v1/runs",
            ADMIN,
            "Begin a run of a skill, or of a script",
            openapi::run_body,
            Act::Work(runs::begin),
        )
    },
    get("/api/v1/runs/{id}", "All of a run", Schema::Object, Act::Work(lists::run)),
    Route {
        query: &[("all", "boolean", "Also what was decided"), LIMIT, CURSOR],
        ..get(
            "/api/v1/pending",
            "Sets that wait for a person",
            Schema::List,
            Act::Work(lists::pending),
        )
    },
    get("/api/v1/pending/{id}", "All of a set", Schema::Object, Act::Work(changes::show)),
    post(
        "/api/v1/pending/{id}/approve",
        APPROVER,
        "Approve a set, and apply it",
        openapi::approve_body,
        Act::Work(changes::approve),
    ),
    post(
        "/api/v1/pending/{id}/reject",
        APPROVER,
        "Reject a set",
        openapi::reject_body,
        Act::Work(changes::reject),
    ),
    get("/api/v1/skills", "Skills, with their parameters", Schema::List, Act::Work(lists::skills)),
    get(
        "/api/v1/policies",
        "Policies, with whom they are in force for",
        Schema::List,
        Act::Work(lists::policies),
    ),
    get("/api/v1/agents", "Agents, with what each may do", Schema::List, Act::Work(lists::agents)),
    post(
        "/api/v1/agents/{name}/pause",
        APPROVER,
        "Keep an agent from writing",
        openapi::reason_body,
        Act::Work(changes::pause_agent),
    ),
    post(
        "/api/v1/agents/{name}/resume",
        APPROVER,
        "Lift the pause of an agent",
        openapi::no_body,
        Act::Work(changes::resume_agent),
    ),
    get(
        "/api/v1/schedules",
        "Schedules, with their next times",
        Schema::List,
        Act::Work(lists::schedules),
    ),
    post(
        "/api/v1/schedules/{name}/run",
        ADMIN,
        "Run the skill of a schedule now",
        openapi::no_body,
        Act::Work(changes::run_schedule),
    ),
    post(
        "/api/v1/schedules/{name}/pause",
        APPROVER,
        "Keep a schedule from firing",
        openapi::reason_body,
        Act::Work(changes::pause_schedule),
    ),
    post(
        "/api/v1/schedules/{name}/resume",
        APPROVER,
        "Lift the pause of a schedule",
        openapi::no_body,
        Act::Work(changes::resume_schedule),
    ),
    get(
        "/api/v1/boards/{plan}",
        "A plan by its id or title: its buckets with their tasks",
        Schema::Object,
        Act::Work(boards::show),
    ),
    Route {
        query: &[LIMIT, AFTER],
        ..get(
            "/api/v1/inbox",
            "What was submitted, the newest first",
            Schema::List,
            Act::Work(lists::inbox),
        )
    },
    post(
        "/api/v1/inbox",
        ADMIN,
        "Submit a skill, to be run as an agent",
        openapi::submit_body,
        Act::Work(runs::submit),
    ),
    Route {
        query: &[("text", "text", "Only records that contain it"), LIMIT, CURSOR],
        ..get(
            "/api/v1/audit",
            "The audit log, the last record first",
            Schema::List,
            Act::Work(lists::audit),
        )
    },
    get(
        "/api/v1/events",
        "What happens, as it happens",
        Schema::Events,
        Act::Stream(events::stream),
    ),
    // Pages.
    page("/", board::show),
    page("/runs", browse::runs),
    page("/runs/{id}", browse::run),
    page("/pending", decide::pending),
    page("/skills", decide::skills),
    page("/skills/{name}", decide::skill),
    page("/agents", browse::agents),
    page("/schedules", browse::schedules),
    page("/inbox", browse::inbox),
    page("/audit", browse::audit),
    form("/pending/{id}/approve", APPROVER, actions::approve),
    form("/pending/{id}/reject", APPROVER, actions::reject),
    form("/skills/{name}/run", ADMIN, actions::run_skill),
    form("/agents/{name}/pause", APPROVER, actions::pause_agent),
    form("/agents/{name}/resume", APPROVER, actions::resume_agent),
    form("/schedules/{name}/run", ADMIN, actions::run_schedule),
    form("/schedules/{name}/pause", APPROVER, actions::pause_schedule),
    form("/schedules/{name}/resume", APPROVER, actions::resume_schedule),
    form("/logout", VIEWER, login::leave),
    Route { needs: None, act: Act::Quick(login::show), ..page("/login", board::show) },
    Route { act: Act::Quick(login::enter), ..form("/login", None, actions::approve) },
];
