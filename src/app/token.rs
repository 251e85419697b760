//! Bearer tokens that a server makes for its clients.

pub(crate) mod serve_tokens;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::app::error::AppError;

/// Returns a new token: 32 random bytes, as text.
///
/// # Errors
/// The system has no random bytes.
pub(crate) fn random() -> Result<String, AppError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(std::io::Error::from)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
