//! The style sheet, the script and the icon of the page, which are in the program itself.

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};

use crate::app::token::serve_tokens::digest;

/// A file that pages refer to.
#[derive(Debug)]
pub(crate) struct Asset {
    pub(crate) path: &'static str,
    kind: &'static str,
    text: &'static str,
}

/// All of them.
pub(crate) static ALL: [Asset; 3] = [
    Asset {
        path: "/assets/app.css",
        kind: "text/css; charset=utf-8",
        text: include_str!("assets/app.css"),
    },
    Asset {
        path: "/assets/app.js",
        kind: "text/javascript; charset=utf-8",
        text: include_str!("assets/app.js"),
    },
    Asset {
        path: "/assets/icon.svg",
        kind: "image/svg+xml",
        text: include_str!("assets/icon.svg"),
    },
];

/// The tag of all of them: another program has another.
static TAG: LazyLock<String> = LazyLock::new(|| {
    let all: String = ALL.iter().map(|asset| asset.text).collect();
    format!("\"{}\"", digest(&all))
});

impl Asset {
    /// Makes the response; an empty one for a browser that has the file.
    pub(crate) fn response(&self, headers: &HeaderMap) -> Response {
        let known = headers.get(IF_NONE_MATCH).and_then(|tag| tag.to_str().ok());
        let is_known = known == Some(TAG.as_str());
        let body = if is_known { Body::empty() } else { Body::from(self.text) };
        let status = if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
        let mut response = (status, body).into_response();
        let head = response.headers_mut();
        head.insert(CONTENT_TYPE, HeaderValue::from_static(self.kind));
        // Asked for each time, and seldom sent again.
        head.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Ok(tag) = HeaderValue::from_str(&TAG) {
            head.insert(ETAG, tag);
        }
        response
    }
}
