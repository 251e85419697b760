//! The embedded Planner behind a socket that only this process can use.

use std::error::Error;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::app::error::AppError;
use crate::emulator::{Access, Emulator, Options, Pass};
use crate::graph::{BaseUrl, Client, Secret};

/// An embedded Planner, served as long as this lives.
#[derive(Debug)]
pub(crate) struct Embedded {
    pub(crate) emulator: Emulator,
    base: BaseUrl,
    pass: Pass,
    /// Ends the server when it is dropped.
    _serving: oneshot::Sender<()>,
}

impl Embedded {
    /// Opens and serves one; `failed` makes the error for the caller's purpose.
    pub(crate) async fn serve(
        options: Options,
        failed: impl Fn(&dyn Error) -> AppError,
    ) -> Result<Self, AppError> {
        // A port on this machine is open to its other users; without the pass they get nothing.
        let pass = Pass::random();
        let options = Options { access: Access::ByPass(pass.clone()), ..options };
        let emulator = Emulator::open(options).map_err(|error| failed(&error))?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|error| failed(&error))?;
        let address = listener.local_addr().map_err(|error| failed(&error))?;
        let base = BaseUrl::parse(&format!("http://{address}/v1.0"))?;
        let (serving, stopped) = oneshot::channel::<()>();
        tokio::spawn(emulator.clone().serve(listener, async {
            let _dropped = stopped.await;
        }));
        Ok(Self { emulator, base, pass, _serving: serving })
    }

    /// Returns a client that is signed in as a user, for the beta if `beta` is set.
    pub(crate) fn client(&self, upn: &str, beta: bool) -> Result<Client, AppError> {
        let base = if beta { self.base.beta() } else { self.base.clone() };
        Ok(Client::new(base, &Secret::new(self.pass.token(upn)))?)
    }
}
