//! The names that a server goes by, and the pages that may ask it.

use axum::http::{HeaderMap, HeaderValue, Method, Uri};

use crate::app::settings::Settings;
use crate::app::token::serve_tokens::OfUser;
use crate::serve::access::{Access, Caller, Place};

fn access(behind_proxy: bool, names: &[&str]) -> Access {
    let place = Place {
        addr: "127.0.0.1:7526".parse().unwrap(),
        tls: false,
        behind_proxy,
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    };
    Access::new(Settings::default(), place)
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn is_let_in(access: &Access, method: &Method, pairs: &[(&'static str, &str)]) -> bool {
    access.check(method, &Uri::from_static("/"), &headers(pairs)).is_ok()
}

#[test]
fn a_server_of_this_machine_goes_by_its_own_names_only() {
    let own = access(false, &[]);
    for host in ["127.0.0.1:7526", "localhost:7526", "LOCALHOST:7526", "[::1]:7526"] {
        assert!(is_let_in(&own, &Method::GET, &[("host", host)]), "{host}");
    }
    let foreign = [
        "evil.example:7526",
        "127.0.0.1:7527",
        "127.0.0.1",
        "localhost.:7526",
        "0.0.0.0:7526",
        "127.1:7526",
        "2130706433:7526",
        "[::]:7526",
        "localhost:7526.evil.example",
        "",
    ];
    for host in foreign {
        assert!(!is_let_in(&own, &Method::GET, &[("host", host)]), "{host}");
    }
    let twice = [("host", "localhost:7526"), ("host", "localhost:7526")];
    assert!(!is_let_in(&own, &Method::GET, &twice));
    let absolute = Uri::from_static("http://evil.example/");
    let host = headers(&[("host", "localhost:7526")]);
    assert!(own.check(&Method::GET, &absolute, &host).is_err());
}

#[test]
fn only_its_own_pages_may_ask() {
    let own = access(false, &[]);
    let host = ("host", "localhost:7526");
    assert!(is_let_in(&own, &Method::POST, &[host, ("origin", "http://localhost:7526")]));
    let foreign = [
        "null",
        "http://localhost:7527",
        "https://localhost:7526",
        "http://127.0.0.1:7526",
        "http://localhost:7526.evil.example",
        "http://evil.example",
    ];
    for origin in foreign {
        for method in [Method::GET, Method::POST] {
            assert!(!is_let_in(&own, &method, &[host, ("origin", origin)]), "{origin}");
        }
    }
    let cross = [host, ("sec-fetch-site", "cross-site")];
    assert!(!is_let_in(&own, &Method::POST, &cross));
    // A link from elsewhere may lead here; without a cookie it leads to the sign-in.
    assert!(is_let_in(&own, &Method::GET, &cross));
}

#[test]
fn behind_a_proxy_it_goes_by_the_names_that_it_was_given() {
    let named = access(true, &["plans.example.org"]);
    let host = ("host", "plans.example.org");
    assert!(is_let_in(&named, &Method::POST, &[host, ("origin", "https://plans.example.org")]));
    assert!(!is_let_in(&named, &Method::POST, &[("host", "evil.example")]));
}

#[test]
fn the_link_signs_in_once_and_a_cookie_is_only_what_was_given_out() {
    let own = access(false, &[]);
    let ana = OfUser { id: "1".into(), upn: "ana@example.org".into() };
    let code = own.make_code(ana.clone()).unwrap();
    assert!(own.sign_in_once("wrong").unwrap().is_none());
    let cookie = own.sign_in_once(&code).unwrap().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    assert!(own.sign_in_once(&code).unwrap().is_none(), "a second time");
    let pair = cookie.split(';').next().unwrap();
    let Caller::Person(who) = own.caller(&headers(&[("cookie", pair)])) else { panic!("{pair}") };
    assert_eq!((who.name.as_str(), who.user.as_ref()), ("ana@example.org", Some(&ana)));
    // An open stream looks now and then whether it still holds.
    assert!(own.still_holds(&who));
    let twice = format!("{pair}; {pair}");
    assert_eq!(own.caller(&headers(&[("cookie", &twice)])), Caller::Nobody);
    own.sign_out(&who);
    assert_eq!(own.caller(&headers(&[("cookie", pair)])), Caller::Nobody);
}
