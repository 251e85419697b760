//! The address of Graph, checked so that no token goes where it must not.

use std::fmt;

use url::{Host, Url};

/// The base URL of a Graph service, version included: `https://graph.microsoft.com/v1.0`.
///
/// Always https, or http to this machine: a token never crosses a network in the clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// The reason why a text is not a base URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadAddress {
    /// It is not a URL at all.
    #[error("`{0}` is not a URL")]
    Malformed(String),
    /// It is plain http to another machine.
    #[error("plain http is refused for `{0}`: a token would cross the network unencrypted")]
    Insecure(String),
    /// It is on another machine.
    #[error(
        "`{0}` is another machine: an identity is lent by this one, or by the link that it hangs on"
    )]
    Far(String),
    /// It has another scheme.
    #[error("`{0}` is neither https nor http to this machine")]
    Scheme(String),
    /// It has a user name, password, query or fragment.
    #[error("the service URL may hold only scheme, host, port and path")]
    Extras,
    /// It is a cloud whose Graph has no Planner.
    #[error("`{0}` is Microsoft's cloud in China, whose Graph has no Planner API")]
    NoPlanner(String),
}

/// The host of Graph in the cloud of 21Vianet (planner-api.md 0.3).
const CHINA: &str = "microsoftgraph.chinacloudapi.cn";

impl BadAddress {
    /// Returns a hint on what to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::NoPlanner(_) => {
                "Planner is in the global cloud (https://graph.microsoft.com/v1.0) and in those of the US government (graph.microsoft.us, dod-graph.microsoft.us)"
            }
            Self::Far(_) => {
                "unset IDENTITY_ENDPOINT and AZURE_POD_IDENTITY_AUTHORITY_HOST, or mend them"
            }
            _ => "a service URL looks like https://graph.microsoft.com/v1.0",
        }
    }
}

impl BaseUrl {
    /// Checks a text; an empty path stands for `/v1.0`.
    ///
    /// # Errors
    /// The text is not a URL, or one that no token should be sent to.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        let mut url = Url::parse(text).map_err(|_| BadAddress::Malformed(text.to_owned()))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        if host.is_empty() {
            return Err(BadAddress::Malformed(text.to_owned()));
        }
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err(BadAddress::Insecure(host)),
            scheme => return Err(BadAddress::Scheme(scheme.to_owned())),
        }
        if host == CHINA {
            return Err(BadAddress::NoPlanner(host));
        }
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !bare {
            return Err(BadAddress::Extras);
        }
        let path = match url.path().trim_end_matches('/') {
            "" => "/v1.0".to_owned(),
            path => path.to_owned(),
        };
        url.set_path(&path);
        Ok(Self(url))
    }

    /// Checks the address of a service that only this machine can reach: on it, or on the link that it
    /// hangs on, where plain http is usual. Returns it also in full.
    ///
    /// # Errors
    /// It is not a URL, or leads elsewhere.
    pub(crate) fn near(text: &str) -> Result<(Self, Url), BadAddress> {
        let url = Url::parse(text).map_err(|_| BadAddress::Malformed(text.to_owned()))?;
        let is_link = match url.host() {
            Some(Host::Ipv4(ip)) => ip.is_link_local(),
            Some(Host::Ipv6(ip)) => ip.is_unicast_link_local(),
            _ => false,
        };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(BadAddress::Scheme(url.scheme().to_owned()));
        }
        if !is_link && !is_loopback(&url) {
            return Err(BadAddress::Far(url.host_str().unwrap_or_default().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(BadAddress::Extras);
        }
        Ok((Self(url.clone()), url))
    }

    /// Returns the address of a path (with its query) below the base.
    pub(crate) fn join(&self, path: &str) -> Result<Url, url::ParseError> {
        Url::parse(&format!("{}{path}", self.0))
    }

    /// Returns the address that a `nextLink` names if it stays at this service: same scheme,
    /// host and port (planner-api.md 8.2). Anything else would be sent our token.
    pub(crate) fn own(&self, link: &str) -> Option<Url> {
        let url = self.0.join(link).ok()?;
        let same = url.origin() == self.0.origin()
            && url.username().is_empty()
            && url.password().is_none();
        same.then_some(url)
    }

    /// Returns the address of Graph's beta at the same service.
    #[must_use]
    pub fn beta(&self) -> Self {
        let mut url = self.0.clone();
        let path = url.path().trim_end_matches("/v1.0").trim_end_matches("/beta").to_owned();
        url.set_path(&format!("{path}/beta"));
        Self(url)
    }

    /// Returns whether this is the beta.
    #[must_use]
    pub fn is_beta(&self) -> bool {
        self.0.path().ends_with("/beta")
    }

    /// Returns whether it is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }

    /// Returns its host.
    pub(crate) fn host(&self) -> String {
        self.0.host_str().unwrap_or_default().to_owned()
    }

    /// Returns whether it is spoken to without TLS, as a service on this machine may be.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// Returns scheme, host and port, for messages.
    #[must_use]
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_lent_nearby() {
        for good in
            ["http://169.254.169.254/a?b=c", "http://127.0.0.1:1/msi/token", "http://[fe80::1]/"]
        {
            assert!(BaseUrl::near(good).is_ok(), "{good}");
        }
        for bad in [
            "http://10.0.0.1/",
            "https://metadata.example/",
            "http://169.254.169.254.example/",
            "http://u:p@127.0.0.1/",
            "file:///etc/passwd",
            "",
        ] {
            assert!(BaseUrl::near(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn http_is_for_this_machine_only() {
        for good in [
            "https://graph.microsoft.com/v1.0",
            "http://127.0.0.1:8080/v1.0",
            "http://127.9.9.9/v1.0",
            "http://localhost:1/v1.0",
            "http://[::1]:80/v1.0/",
        ] {
            assert!(BaseUrl::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "http://graph.microsoft.com/v1.0",
            "http://localhost.example.org/v1.0",
            "http://127.0.0.1.example.org/",
            "http://10.0.0.1/",
            "http://[::2]/",
            "ftp://127.0.0.1/",
            "file:///etc/passwd",
            "https://user:pw@graph.microsoft.com/",
            "https://graph.microsoft.com/?a=b",
            "graph.microsoft.com",
            "",
        ] {
            assert!(BaseUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cloud_without_planner_is_refused_however_it_is_spelled() {
        for text in [
            "https://microsoftgraph.chinacloudapi.cn/v1.0",
            "https://MicrosoftGraph.ChinaCloudApi.cn",
            "https://microsoftgraph.chinacloudapi.cn:443/beta/",
        ] {
            let error = BaseUrl::parse(text).unwrap_err();
            assert!(matches!(error, BadAddress::NoPlanner(_)), "{text}: {error}");
            assert!(error.hint().contains("graph.microsoft.us"));
        }
        assert!(BaseUrl::parse("https://graph.microsoft.us/v1.0").is_ok());
    }

    #[test]
    fn a_bare_host_means_v1() {
        assert_eq!(
            BaseUrl::parse("http://127.0.0.1:8080").unwrap().to_string(),
            "http://127.0.0.1:8080/v1.0"
        );
    }

    #[test]
    fn a_link_to_another_origin_is_not_ours() {
        let base = BaseUrl::parse("https://graph.microsoft.com/v1.0").unwrap();
        for own in [
            "https://graph.microsoft.com/v1.0/planner/plans/p/tasks?$skiptoken=x",
            "https://graph.microsoft.com:443/beta/x",
        ] {
            assert!(base.own(own).is_some(), "{own}");
        }
        for foreign in [
            "http://graph.microsoft.com/v1.0/x",
            "https://graph.microsoft.com.example.org/v1.0/x",
            "https://graph.microsoft.com:444/v1.0/x",
            "https://graph.microsoft.com@example.org/v1.0/x",
            "https://user@graph.microsoft.com/v1.0/x",
            "//example.org/v1.0/x",
            "javascript:alert(1)",
        ] {
            assert!(base.own(foreign).is_none(), "{foreign}");
        }
    }
}
