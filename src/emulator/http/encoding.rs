//! Compressed answers, for clients that ask for them (planner-api.md 9.3).

use std::io::Write as _;

use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, VARY};
use axum::http::{HeaderValue, Response};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::emulator::message::request::Request;

/// The sizes of the bodies that are compressed: below there is nothing to gain, above it takes long.
const SIZES: std::ops::RangeInclusive<usize> = 1024..=8 * 1024 * 1024;

/// Compresses the body of an answer, if the client accepts that.
pub(crate) fn compress(request: &Request, response: &mut Response<Vec<u8>>) {
    if !SIZES.contains(&response.body().len()) {
        return;
    }
    // A cache between must not give the answer to a client that reads another form.
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    let asked = request.headers.get_all(ACCEPT_ENCODING).iter().filter_map(|one| one.to_str().ok());
    if !asked.flat_map(|line| line.split(',')).any(is_gzip) {
        return;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(response.body()).and_then(|()| encoder.finish());
    // Neither fails in memory; if one did, the answer would go as it is.
    if let Ok(bytes) = written {
        *response.body_mut() = bytes;
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
}

/// Returns whether a part of `Accept-Encoding` accepts gzip: `gzip`, `gzip;q=0.5`, but not
/// `gzip;q=0`.
fn is_gzip(part: &str) -> bool {
    let mut parts = part.split(';').map(str::trim);
    let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
    let weight = parts.find_map(|one| one.strip_prefix("q=")?.trim().parse::<f64>().ok());
    is_named && weight.is_none_or(|weight| weight > 0.0)
}

#[cfg(test)]
mod tests {
    use super::is_gzip;

    #[test]
    fn gzip_is_accepted_unless_its_weight_is_none() {
        for (part, expected) in [
            ("gzip", true),
            (" GZIP ; q=0.5", true),
            ("gzip;q=0", false),
            ("gzip;q=0.000", false),
            ("br", false),
            ("*", false),
            ("", false),
        ] {
            assert_eq!(is_gzip(part), expected, "{part}");
        }
    }
}
