//! Bearer tokens that a server makes for its clients.

pub(crate) mod serve_tokens;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::app::error::AppError;

/// Returns the token in the value of an `Authorization` header. The name of the scheme is told in any case,
/// as RFC 9110 has it.
pub(crate) fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim_matches(' '))
}

/// Returns a new token: 32 random bytes, as text.
///
/// # Errors
/// The system has no random bytes.
pub(crate) fn random() -> Result<String, AppError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(std::io::Error::from)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_told_in_any_case_and_the_token_to_the_letter() {
        for value in ["Bearer pW_1", "bearer pW_1", "BEARER  pW_1 "] {
            assert_eq!(bearer(value), Some("pW_1"), "{value}");
        }
        for value in ["", "Bearer", "pW_1", "Basic pW_1", "Bearerx pW_1", " Bearer pW_1"] {
            assert_eq!(bearer(value), None, "{value}");
        }
    }
}
