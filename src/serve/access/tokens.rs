//! The tokens that open a server, as they were read a moment ago.

use std::time::{Duration, Instant};

use crate::app::error::AppError;
use crate::app::token::serve_tokens::KeptToken;

/// The time for which the list is used before it is read again, so that a token that is taken away opens
/// nothing a second later.
const FRESH: Duration = Duration::from_secs(1);
/// The most times in that time that it is read again for a token that it does not have.
const MAX_AGAIN: u32 = 4;

/// The list of tokens.
#[derive(Default)]
pub(crate) struct Tokens {
    read: Option<(Instant, Vec<KeptToken>)>,
    /// How often it was read again for tokens that it did not have, and since when that is counted.
    again: Option<(Instant, u32)>,
}

impl Tokens {
    /// Finds a token by its digest. One that the list does not have may have been made a moment ago, so the
    /// list is read again, but not for every guess of a stranger.
    pub(crate) fn find(
        &mut self,
        digest: &str,
        now: Instant,
        read: impl Fn() -> Result<Vec<KeptToken>, AppError>,
    ) -> Option<KeptToken> {
        let age = self.read.as_ref().map(|(at, _)| now.duration_since(*at));
        let is_stale = age.is_none_or(|age| age > FRESH);
        if !is_stale {
            let found = self.known(digest);
            if found.is_some() || !self.may_read_again(now) {
                return found;
            }
        }
        match read() {
            Ok(all) => self.read = Some((now, all)),
            Err(error) => {
                tracing::error!(message = error.failure.message, "no tokens can be read");
                self.read = None;
            }
        }
        self.known(digest)
    }

    fn known(&self, digest: &str) -> Option<KeptToken> {
        let (_, all) = self.read.as_ref()?;
        all.iter().find(|kept| kept.digest == digest).cloned()
    }

    fn may_read_again(&mut self, now: Instant) -> bool {
        let n = match self.again {
            Some((since, n)) if now.duration_since(since) <= FRESH => n,
            _ => {
                self.again = Some((now, 0));
                0
            }
        };
        if let Some((_, counted)) = &mut self.again {
            *counted = n.saturating_add(1);
        }
        n < MAX_AGAIN
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use jiff::Timestamp;

    use super::*;

    fn token(digest: &str) -> KeptToken {
        KeptToken {
            name: digest.to_owned(),
            role: None,
            user: None,
            digest: digest.to_owned(),
            created_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_new_token_opens_at_once_and_guesses_do_not_wear_out_the_disk() {
        let (list, n_read) = (RefCell::new(vec![token("old")]), Cell::new(0));
        let read = || {
            n_read.set(n_read.get() + 1);
            Ok(list.borrow().clone())
        };
        let (mut tokens, now) = (Tokens::default(), Instant::now());
        let mut is_known = |digest: &str, millis| {
            tokens.find(digest, now + Duration::from_millis(millis), read).is_some()
        };
        assert!(is_known("old", 0) && is_known("old", 900));
        assert_eq!(n_read.get(), 1);
        list.borrow_mut().push(token("new"));
        assert!(is_known("new", 900) && is_known("new", 901));
        assert_eq!(n_read.get(), 2);
        for guess in 0..1_000 {
            assert!(!is_known("guess", 901 + guess % 100));
        }
        assert_eq!(n_read.get(), 1 + MAX_AGAIN);
        // However often somebody guesses, one that is made or taken away counts a second later.
        *list.borrow_mut() = vec![token("newest")];
        assert!(is_known("old", 1_500) && !is_known("newest", 1_500));
        assert!(!is_known("old", 3_000) && is_known("newest", 3_000));
    }
}
