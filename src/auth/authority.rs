//! The sign-in service of a tenant, and the clouds that have one of their own
//! (planner-api.md 10.1).

use url::Url;

use crate::auth::error::Error;
use crate::auth::oauth::Http;
use crate::graph::{BadAddress, BaseUrl, Proxy, SignInError};

/// A cloud of Microsoft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cloud {
    /// The usual one.
    Global,
    /// That of the US government.
    Us,
    /// That of the US department of defence.
    UsDod,
    /// That of 21Vianet, whose Graph has no Planner.
    China,
}

impl Cloud {
    /// Returns the address of its sign-in service.
    pub(crate) const fn authority(self) -> &'static str {
        match self {
            Self::Global => "https://login.microsoftonline.com",
            Self::Us | Self::UsDod => "https://login.microsoftonline.us",
            Self::China => "https://login.partner.microsoftonline.cn",
        }
    }

    /// Returns the address of its Graph.
    pub(crate) const fn graph(self) -> &'static str {
        match self {
            Self::Global => "https://graph.microsoft.com/v1.0",
            Self::Us => "https://graph.microsoft.us/v1.0",
            Self::UsDod => "https://dod-graph.microsoft.us/v1.0",
            Self::China => "https://microsoftgraph.chinacloudapi.cn/v1.0",
        }
    }
}

/// The sign-in service of one tenant.
#[derive(Debug, Clone)]
pub(crate) struct Authority {
    pub(crate) http: Http,
    root: String,
}

impl Authority {
    /// Makes the sign-in service of a tenant at an address, which must be https, or on this
    /// machine: secrets go there.
    ///
    /// # Errors
    /// The address is none that a secret should be sent to, or the tenant cannot be part of one.
    pub(crate) fn new(address: &str, tenant: &str, proxy: Option<&Proxy>) -> Result<Self, Error> {
        let is_fine = |ch: char| ch.is_ascii_alphanumeric() || ".-".contains(ch);
        if tenant.is_empty() || !tenant.chars().all(is_fine) || tenant.contains("..") {
            return Err(Error::Invalid(format!(
                "`{tenant}` is no tenant: give its domain or its id"
            )));
        }
        let base = BaseUrl::parse(address)?;
        let url = Url::parse(address).map_err(|_| BadAddress::Malformed(address.to_owned()))?;
        let path = url.path().trim_end_matches('/');
        let root = format!("{}{path}/{tenant}", base.origin());
        Ok(Self { http: Http::new(base, proxy)?, root })
    }

    /// Makes the sign-in service of a tenant with a model in its place.
    #[cfg(test)]
    pub(crate) fn of_model(
        base: BaseUrl,
        tenant: &str,
        model: std::sync::Arc<dyn crate::graph::transport::Model>,
    ) -> Self {
        let root = format!("{}/{tenant}", base.origin());
        Self { http: Http::of_model(base, model), root }
    }

    /// Asks for the description of the tenant, without a secret.
    ///
    /// # Errors
    /// The service does not answer, or does not know the tenant.
    pub(crate) async fn reach(&self) -> Result<(), Error> {
        let address = format!("{}/v2.0/.well-known/openid-configuration", self.root);
        let status = self.http.status(&address).await?;
        if status == 200 {
            return Ok(());
        }
        let why = format!(
            "the sign-in service answers with {status} where it should describe the tenant"
        );
        Err(SignInError::Refused(why).into())
    }

    /// Returns the address of an endpoint.
    pub(crate) fn endpoint(&self, name: &str) -> String {
        format!("{}/oauth2/v2.0/{name}", self.root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_goes_encrypted_to_a_tenant_or_nowhere() {
        let at = |address: &str, tenant: &str| Authority::new(address, tenant, None);
        let authority = at("https://login.microsoftonline.com/", "bos.example").unwrap();
        assert_eq!(
            authority.endpoint("token"),
            "https://login.microsoftonline.com/bos.example/oauth2/v2.0/token"
        );
        assert!(at("http://127.0.0.1:1", "organizations").is_ok());
        for address in ["http://login.microsoftonline.com", "https://u:p@login.example", "x"] {
            assert!(at(address, "bos.example").is_err(), "{address}");
        }
        for tenant in ["", "a/b", "..", "a?b", "é", "a b"] {
            assert!(at("https://login.example", tenant).is_err(), "{tenant}");
        }
    }
}
