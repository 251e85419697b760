//! The keyring of the system: the Keychain, the Credential Manager, or the Secret Service of a
//! desktop. It holds keys, not tokens: what some of them take is smaller than a sign-in.

#[cfg(feature = "keyring")]
use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(feature = "keyring")]
use std::sync::mpsc;
#[cfg(feature = "keyring")]
use std::time::Duration;

/// The name under which all entries are found.
#[cfg(feature = "keyring")]
const SERVICE: &str = "planwright";
/// The longest wait for it: a person may have to unlock it, and it may not be there at all.
#[cfg(feature = "keyring")]
const PATIENCE: Duration = Duration::from_secs(30);

/// A keyring.
#[derive(Debug, Clone)]
pub(crate) enum Keyring {
    /// That of the system.
    System,
    /// One in memory.
    #[cfg(test)]
    Model(std::sync::Arc<std::sync::Mutex<std::collections::BTreeMap<String, Vec<u8>>>>),
}

impl Keyring {
    /// Keeps a key under a name; returns whether it did.
    pub(crate) fn set(&self, name: &str, key: &[u8]) -> bool {
        match self {
            Self::System => system(name, Act::Set(key.to_vec())).is_some(),
            #[cfg(test)]
            Self::Model(entries) => {
                entries.lock().unwrap().insert(name.to_owned(), key.to_vec());
                true
            }
        }
    }

    /// Returns the key under a name.
    pub(crate) fn get(&self, name: &str) -> Option<Vec<u8>> {
        match self {
            Self::System => system(name, Act::Get),
            #[cfg(test)]
            Self::Model(entries) => entries.lock().unwrap().get(name).cloned(),
        }
    }

    /// Forgets the key under a name.
    pub(crate) fn remove(&self, name: &str) {
        match self {
            Self::System => _ = system(name, Act::Remove),
            #[cfg(test)]
            Self::Model(entries) => _ = entries.lock().unwrap().remove(name),
        }
    }
}

/// A thing to do with an entry.
enum Act {
    #[cfg_attr(not(feature = "keyring"), expect(dead_code, reason = "there is no keyring"))]
    Set(Vec<u8>),
    Get,
    Remove,
}

/// Does something with an entry, on a thread of its own: a keyring that waits for somebody must not
/// hold up the program for ever. One that was waited for in vain is not asked again.
#[cfg(feature = "keyring")]
fn system(name: &str, act: Act) -> Option<Vec<u8>> {
    static GIVEN_UP: AtomicBool = AtomicBool::new(false);
    if GIVEN_UP.load(Ordering::SeqCst) {
        return None;
    }
    let (sender, answer) = mpsc::channel();
    let name = name.to_owned();
    let work = move || drop(sender.send(on_entry(&name, act)));
    std::thread::Builder::new().name("keyring".to_owned()).spawn(work).ok()?;
    match answer.recv_timeout(PATIENCE) {
        Ok(Ok(found)) => Some(found),
        Ok(Err(error)) => {
            tracing::debug!(%error, "the keyring of the system");
            None
        }
        Err(_) => {
            GIVEN_UP.store(true, Ordering::SeqCst);
            tracing::warn!("the keyring of the system does not answer");
            None
        }
    }
}

#[cfg(feature = "keyring")]
fn on_entry(name: &str, act: Act) -> Result<Vec<u8>, ::keyring::v1::Error> {
    let entry = ::keyring::v1::Entry::new(SERVICE, name)?;
    match act {
        Act::Set(key) => entry.set_secret(&key).map(|()| Vec::new()),
        Act::Get => entry.get_secret(),
        Act::Remove => entry.delete_credential().map(|()| Vec::new()),
    }
}

#[cfg(not(feature = "keyring"))]
fn system(_: &str, act: Act) -> Option<Vec<u8>> {
    drop(act);
    None
}
