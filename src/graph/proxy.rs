//! The proxy between here and a service: none for a service on this machine, and only an https
//! proxy for any other.
//!
//! The token is encrypted for the service in any case. But plain http to a proxy shows everyone on
//! the way who talks to whom, and anything that answers in its place is believed.

use std::net::IpAddr;

use url::Url;

use crate::graph::address::BaseUrl;

/// The variables that name a proxy for https, the more specific ones first.
const VARIABLES: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
/// The variables that list the hosts to reach without a proxy.
const EXCEPTIONS: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// A proxy that is reached through TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy(Url);

/// The refusal of a proxy. It does not show the address, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the proxy in {variable} is not an https one, so it is not used")]
pub struct BadProxy {
    variable: &'static str,
    host: String,
}

impl BadProxy {
    /// Returns a hint on what to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        let Self { variable, host } = self;
        format!(
            "set {variable} to an https:// address, or add {host} to NO_PROXY to reach it without a proxy"
        )
    }
}

impl Proxy {
    /// Chooses the proxy for a service from the variables of an environment; none for a service on
    /// this machine.
    ///
    /// # Errors
    /// The proxy named for it is not an https one.
    pub fn choose(
        base: &BaseUrl,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, BadProxy> {
        let set = |name: &&'static str| {
            let text = environment(name)?.trim().to_owned();
            (!text.is_empty()).then_some((*name, text))
        };
        let Some((variable, text)) = VARIABLES.iter().find_map(set) else { return Ok(None) };
        let exceptions = EXCEPTIONS.iter().find_map(set).map(|(_, list)| list).unwrap_or_default();
        let host = base.host();
        if base.is_loopback()
            || exceptions.split(',').any(|exception| covers(exception.trim(), &host))
        {
            return Ok(None);
        }
        // An address without a scheme is http by convention, and does not parse as https here.
        let url = Url::parse(&text).ok().filter(|url| url.scheme() == "https" && url.has_host());
        url.map(|url| Some(Self(url))).ok_or(BadProxy { variable, host })
    }

    /// Returns its address.
    pub(crate) const fn url(&self) -> &Url {
        &self.0
    }
}

/// Returns whether an exception covers a host: by its name, by a domain that contains it, or by its
/// address.
fn covers(exception: &str, host: &str) -> bool {
    let name = exception.trim_start_matches("*.").trim_start_matches('.');
    let bare = |text: &str| text.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    if exception == "*" || bare(name).is_some_and(|address| Some(address) == bare(host)) {
        return true;
    }
    let (name, host) = (name.to_ascii_lowercase(), host.to_ascii_lowercase());
    let inside = host.strip_suffix(&name);
    !name.is_empty()
        && bare(&host).is_none()
        && inside.is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(base: &str, variables: &[(&str, &str)]) -> Result<Option<Proxy>, BadProxy> {
        let base = BaseUrl::parse(base).unwrap();
        Proxy::choose(&base, |name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, text)| (*text).to_owned())
        })
    }

    const GRAPH: &str = "https://graph.microsoft.com/v1.0";
    const PROXY: (&str, &str) = ("HTTPS_PROXY", "https://proxy.example:8443");

    #[test]
    fn only_an_https_proxy_is_used_and_the_particular_one_first() {
        let chosen = choose(GRAPH, &[("ALL_PROXY", "https://other.example"), PROXY]).unwrap();
        assert_eq!(chosen.unwrap().url().as_str(), "https://proxy.example:8443/");
        for text in ["proxy:3128", "proxy", "http://proxy", "socks5h://proxy", "https://", "é"] {
            let error = choose(GRAPH, &[("all_proxy", text)]).unwrap_err();
            assert_eq!(error.variable, "all_proxy", "{text}");
            assert!(error.hint().contains("graph.microsoft.com"));
        }
        let error = choose(GRAPH, &[("https_proxy", "http://me:secret@proxy")]).unwrap_err();
        assert!(!format!("{error} {}", error.hint()).contains("secret"));
        // No service is reached over plain http, so this variable concerns none.
        assert_eq!(choose(GRAPH, &[("http_proxy", "http://proxy")]), Ok(None));
        assert_eq!(choose(GRAPH, &[("HTTPS_PROXY", " ")]), Ok(None));
    }

    #[test]
    fn what_is_on_this_machine_or_excepted_is_asked_directly() {
        for base in ["http://127.0.0.1:80/v1.0", "https://localhost", "http://[::1]:1/"] {
            assert_eq!(choose(base, &[("ALL_PROXY", "http://proxy"), PROXY]), Ok(None), "{base}");
        }
        for list in ["graph.microsoft.com", "a, .microsoft.com", "*.Microsoft.com", "*", "com"] {
            assert_eq!(choose(GRAPH, &[PROXY, ("no_proxy", list)]), Ok(None), "{list}");
        }
        for list in ["", "soft.com", "graph", "evil.graph.microsoft.com", ",.,", "127.0.0.1"] {
            assert!(choose(GRAPH, &[PROXY, ("NO_PROXY", list)]).unwrap().is_some(), "{list}");
        }
        for (host, list) in [("10.1.2.3", "10.1.2.3"), ("[fd00::1]", "FD00::1")] {
            let base = format!("https://{host}/v1.0");
            assert_eq!(choose(&base, &[PROXY, ("NO_PROXY", list)]), Ok(None), "{host}");
            assert!(choose(&base, &[PROXY, ("NO_PROXY", "3")]).unwrap().is_some(), "{host}");
        }
    }
}
