//! The options of the OAuth endpoints, so that a test can bring its own applications.

use crate::emulator::sign_in::caller::CLIENT;

/// The options of sign-in.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// The approval of device codes.
    pub device_codes: DeviceCodes,
    /// The applications that can sign in without a user. Any other client is a public one.
    pub apps: Vec<App>,
}

impl Default for SignIn {
    fn default() -> Self {
        let app = App {
            client_id: CLIENT.to_owned(),
            secret: "emulator-secret".to_owned(),
            roles: ["Tasks.ReadWrite.All", "Group.ReadWrite.All", "User.Read.All"]
                .map(str::to_owned)
                .to_vec(),
        };
        Self { device_codes: DeviceCodes::Automatic, apps: vec![app] }
    }
}

/// The approval of device codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceCodes {
    /// Automatic: the first user of the tenant is signed in at the first poll.
    Automatic,
    /// By a person or a test, through `/control/devicecode` or [`crate::emulator::Emulator`].
    Manual,
}

/// An application that can sign in with a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Its client id.
    pub client_id: String,
    /// Its secret, in plain text, since it protects nothing.
    pub secret: String,
    /// The application permissions an administrator has consented to.
    pub roles: Vec<String>,
}
