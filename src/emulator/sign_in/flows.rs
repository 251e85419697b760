//! The flows: device code, authorization code with PKCE, refresh, client credentials.
//!
//! planner-api.md 10.2 to 10.6. No flow asks for consent.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::{Host, Url};

use crate::emulator::message::response::Handled;
use crate::emulator::sign_in::app::{App, DeviceCodes};
use crate::emulator::sign_in::caller::Caller;
use crate::emulator::sign_in::consent;
use crate::emulator::sign_in::endpoints::Visit;
use crate::emulator::sign_in::grant::{self, Grant, GrantKind, State};
use crate::emulator::sign_in::refusal::{Refusal, Stop};
use crate::emulator::sign_in::scope::{self, Asked, Form};
use crate::emulator::sign_in::token;
use crate::emulator::state::id;
use crate::emulator::state::id::TENANT;
use crate::emulator::state::members;

pub(crate) const GRANT_TYPES: [&str; 4] =
    ["authorization_code", "refresh_token", "client_credentials", DEVICE_CODE];
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// The name that Microsoft's own libraries send.
const OLD_DEVICE_CODE: &str = "device_code";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The audience of an assertion by which another platform vouches for a workload.
const EXCHANGE: &str = "api://AzureADTokenExchange";
/// Lifetimes in seconds (planner-api.md 10.2 to 10.6).
const DEVICE_CODE_LIFE: i64 = 900;
const INTERVAL: i64 = 5;
const CODE_LIFE: i64 = 600;
const REFRESH_LIFE: i64 = 90 * 24 * 3600;
const ACCESS_LIFE: i64 = 4217;
const APP_ACCESS_LIFE: i64 = 3599;

/// Starts the device flow.
pub(crate) fn device_code(visit: &Visit<'_>) -> Result<Handled, Stop> {
    let client = visit.required("client_id")?.to_owned();
    let Asked { scopes, form } = scope::parse(visit.required("scope")?, &visit.request.origin())?;
    let state = match visit.device_codes {
        DeviceCodes::Automatic => State::Approved(first_user(visit)?.0),
        DeviceCodes::Manual => State::Pending,
    };
    let user_code = grant::new_user_code();
    let kind =
        GrantKind::Device { user_code: user_code.clone(), state, interval: INTERVAL, polled: None };
    let expires = visit.second() + DEVICE_CODE_LIFE;
    let grant = Grant { client, scopes, form, expires, kind };
    let code = grant::issue(visit.conn, &grant, visit.second())?;
    let uri = format!("{}/control/devicecode", visit.request.origin());
    Ok(Handled::plain(
        200,
        json!({
            "user_code": user_code,
            "device_code": code,
            "verification_uri": uri,
            "expires_in": DEVICE_CODE_LIFE,
            "interval": INTERVAL,
            "message": format!(
                "To sign in, approve the code {user_code}: POST it with a upn to {uri}/approve."
            ),
        }),
    ))
}

/// Starts the code flow: approves at once and redirects back to the client.
pub(crate) fn authorize(visit: &Visit<'_>) -> Result<Handled, Stop> {
    // An invalid address is refused here; every other refusal goes to the client's address, or
    // this would be an open redirect.
    let redirect = visit.required("redirect_uri")?;
    let url = Url::parse(redirect).ok().filter(is_allowed).ok_or_else(|| {
        Refusal::new(
            "invalid_request",
            50011,
            format!("The redirect URI '{redirect}' does not match the redirect URIs configured."),
        )
    })?;
    let result = match approve(visit, redirect) {
        Ok((code, user)) => {
            let info = client_info(visit, &user).map(|info| ("client_info", info));
            std::iter::once(("code", code)).chain(info).collect::<Vec<_>>()
        }
        Err(Stop::Refused(refusal)) => {
            vec![("error", refusal.error.to_owned()), ("error_description", refusal.description())]
        }
        Err(broken) => return Err(broken),
    };
    let state = visit.param("state").map(|state| ("state", state.to_owned()));
    let result = result.into_iter().chain(state);
    let mut back = url;
    if visit.param("response_mode") == Some("fragment") {
        let mut fragment = url::form_urlencoded::Serializer::new(String::new());
        fragment.extend_pairs(result);
        back.set_fragment(Some(&fragment.finish()));
    } else {
        back.query_pairs_mut().extend_pairs(result);
    }
    Ok(Handled::empty(302).with("location", back.to_string()))
}

/// Returns whether a redirect URI is one that a client can listen on, or a web client's. The port
/// is ignored (planner-api.md 10.3).
fn is_allowed(url: &Url) -> bool {
    let is_local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        // `[::1]` cannot be registered (planner-api.md 10.3).
        Some(Host::Ipv6(_)) | None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_local)
}

/// Approves an authorization and returns the code and the id of the user.
fn approve(visit: &Visit<'_>, redirect: &str) -> Result<(String, String), Stop> {
    let client = visit.required("client_id")?.to_owned();
    let invalid = |reason: &str| Refusal::new("invalid_request", 90014, reason);
    if visit.required("response_type")? != "code" {
        let reason = "The response_type must be 'code'.";
        return Err(Refusal::new("unsupported_response_type", 700_054, reason).into());
    }
    if !["query", "fragment"].contains(&visit.param("response_mode").unwrap_or("query")) {
        return Err(invalid("The response_mode must be 'query' or 'fragment'.").into());
    }
    let Asked { scopes, form } = scope::parse(visit.required("scope")?, &visit.request.origin())?;
    let challenge = visit.param("code_challenge");
    if challenge.is_some() && visit.param("code_challenge_method") != Some("S256") {
        return Err(invalid("The code_challenge_method must be 'S256'.").into());
    }
    let user = match visit.param("login_hint") {
        None => first_user(visit)?.0,
        Some(upn) => members::user_id(visit.conn, upn)?.ok_or_else(|| {
            let reason = format!("The user account {upn} does not exist in the directory.");
            Refusal::new("login_required", 50034, reason)
        })?,
    };
    let kind = GrantKind::Code {
        user: user.clone(),
        redirect_uri: redirect.to_owned(),
        challenge: challenge.map(str::to_owned),
        nonce: visit.param("nonce").map(str::to_owned),
        used: false,
    };
    let grant = Grant { client, scopes, form, expires: visit.second() + CODE_LIFE, kind };
    Ok((grant::issue(visit.conn, &grant, visit.second())?, user))
}

/// Returns the id and principal name of the user who is signed in when the client names nobody.
fn first_user(visit: &Visit<'_>) -> Result<(String, String), Stop> {
    members::first_user(visit.conn)?
        .ok_or_else(|| Refusal::new("invalid_grant", 50034, "The directory has no users.").into())
}

/// Exchanges a grant for tokens.
pub(crate) fn token(visit: &Visit<'_>) -> Result<Handled, Stop> {
    let grant_type = visit.required("grant_type")?;
    let client = visit.required("client_id")?;
    let app = authenticate(visit, client)?;
    match grant_type {
        "authorization_code" => redeem(visit, client),
        "refresh_token" => refresh(visit, client),
        "client_credentials" => application(visit, client, app),
        DEVICE_CODE | OLD_DEVICE_CODE => poll(visit, client),
        other => Err(Refusal::new(
            "unsupported_grant_type",
            70003,
            format!("The app requested an unsupported grant type '{other}'."),
        )
        .into()),
    }
}

/// Checks the secret, if one is sent; public clients must not send one (planner-api.md 10.3).
fn authenticate<'a>(visit: &'a Visit<'_>, client: &str) -> Result<Option<&'a App>, Refusal> {
    let app = visit.apps.iter().find(|app| app.client_id.eq_ignore_ascii_case(client));
    if let Some(assertion) = visit.param("client_assertion") {
        check_assertion(visit, client, assertion)?;
        return Ok(app);
    }
    match (visit.param("client_secret"), app) {
        (None, _) => Ok(None),
        (Some(_), None) => Err(Refusal::new(
            "invalid_client",
            700_025,
            "Client is public so neither 'client_assertion' nor 'client_secret' should be \
             presented.",
        )),
        (Some(secret), Some(app)) if secret == app.secret => Ok(Some(app)),
        (Some(_), Some(_)) => {
            Err(Refusal::new("invalid_client", 7_000_215, "Invalid client secret provided."))
        }
    }
}

/// Checks what an application says of itself in the place of a secret, or somebody for whom it works
/// (planner-api.md 10.6). As nothing is signed here, no signature is checked.
fn check_assertion(visit: &Visit<'_>, client: &str, assertion: &str) -> Result<(), Refusal> {
    let invalid = |code, reason: &str| Refusal::new("invalid_client", code, reason);
    if visit.param("client_assertion_type") != Some(JWT_BEARER) {
        return Err(invalid(700_027, "The client_assertion_type must be that of a JWT."));
    }
    let claims = token::claims_of_any(assertion)
        .ok_or_else(|| invalid(700_027, "The client assertion is not a JWT."))?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    // A number of seconds may have a fraction, as in the assertions of MSAL for Python.
    let second = |name: &str| {
        let number = claims.get(name).filter(|value| value.is_number())?.to_string();
        number.split('.').next()?.parse::<i64>().ok()
    };
    let (now, not_before) = (visit.second(), second("nbf").unwrap_or(0));
    // Entra ID allows clocks that differ by five minutes.
    if second("exp").is_none_or(|exp| exp <= now) || not_before > now + 300 {
        let reason = "Client assertion is not within its valid time range.";
        return Err(invalid(700_024, reason));
    }
    let is_own = text("iss") == client
        && text("sub") == client
        && text("aud").ends_with("/oauth2/v2.0/token");
    if is_own || text("aud") == EXCHANGE {
        return Ok(());
    }
    Err(invalid(700_027, "The client assertion is for another audience."))
}

fn poll(visit: &Visit<'_>, client: &str) -> Result<Handled, Stop> {
    let code = visit.required("device_code")?;
    let found = grant::find(visit.conn, code)?.filter(|grant| grant.client == client);
    let unknown = || {
        let reason = "The verification code is invalid or was used already.";
        Stop::from(Refusal::new("bad_verification_code", 70018, reason))
    };
    let mut grant = found.ok_or_else(unknown)?;
    let GrantKind::Device { state, interval, polled, .. } = &mut grant.kind else {
        return Err(unknown());
    };
    let now = visit.second();
    let refusal = match state {
        _ if grant.expires <= now => {
            Refusal::new("expired_token", 70020, "The provided device code has expired.")
        }
        // A code is redeemed once; a second poll does not know it.
        State::Approved(user) => {
            let user = user.clone();
            grant::remove(visit.conn, code)?;
            let asked = Asked { scopes: grant.scopes, form: grant.form };
            return issue(visit, client, &user, &asked, None);
        }
        State::Declined => Refusal::new(
            "authorization_declined",
            70000,
            "The user refused to approve the device code.",
        ),
        State::Pending => {
            let is_early = polled.is_some_and(|polled| now < polled + *interval);
            *polled = Some(now);
            // Five seconds more each time, as in RFC 8628 (planner-api.md 10.2).
            let refusal = if is_early {
                *interval += INTERVAL;
                Refusal::new("slow_down", 70016, "The device code is polled too often.")
            } else {
                Refusal::new(
                    "authorization_pending",
                    70016,
                    "OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
                )
            };
            grant::update(visit.conn, code, &grant)?;
            refusal
        }
    };
    Err(refusal.into())
}

fn redeem(visit: &Visit<'_>, client: &str) -> Result<Handled, Stop> {
    let code = visit.required("code")?;
    let redirect = visit.required("redirect_uri")?;
    let invalid = |code, reason: &str| Stop::from(Refusal::new("invalid_grant", code, reason));
    let expired =
        || invalid(70008, "The provided authorization code or refresh token has expired.");
    let found = grant::find(visit.conn, code)?.filter(|grant| grant.client == client);
    let mut grant = found.ok_or_else(expired)?;
    let GrantKind::Code { user, redirect_uri, challenge, nonce, used } = &mut grant.kind else {
        return Err(expired());
    };
    // Before the expiry: a client that redeems twice is told so even if it is late.
    if *used {
        return Err(invalid(54005, "OAuth2 Authorization code was already redeemed."));
    }
    if grant.expires <= visit.second() {
        return Err(expired());
    }
    // The same text, not an equivalent address (planner-api.md 10.3).
    if redirect_uri != redirect {
        let reason = "The reply address does not match the one of the authorization request.";
        return Err(Refusal::new("invalid_request", 50011, reason).into());
    }
    if let Some(challenge) = challenge {
        let verifier = visit.required("code_verifier")?;
        if !is_verifier(verifier) || challenge_of(verifier) != *challenge {
            let reason = "The Code_Verifier does not match the code_challenge supplied in the \
                          authorization request.";
            return Err(invalid(501_481, reason));
        }
    }
    // Marked and not deleted, so that a second attempt gets its own refusal.
    *used = true;
    let (user, nonce) = (user.clone(), nonce.clone());
    grant::update(visit.conn, code, &grant)?;
    let asked = Asked { scopes: grant.scopes, form: grant.form };
    issue(visit, client, &user, &asked, nonce.as_deref())
}

fn is_verifier(text: &str) -> bool {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (43..=128).contains(&text.len()) && text.bytes().all(is_unreserved)
}

fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// Issues new tokens for a refresh token, which itself stays valid for a while
/// (planner-api.md 10.5).
fn refresh(visit: &Visit<'_>, client: &str) -> Result<Handled, Stop> {
    let code = visit.required("refresh_token")?;
    let found = grant::find(visit.conn, code)?.filter(|grant| grant.client == client);
    let valid = found.filter(|grant| grant.expires > visit.second());
    let Some(Grant { scopes, form, kind: GrantKind::Refresh { user }, .. }) = valid else {
        let reason = "The provided authorization code or refresh token has expired.";
        return Err(Refusal::new("invalid_grant", 70008, reason).into());
    };
    let Some(text) = visit.param("scope") else {
        return issue(visit, client, &user, &Asked { scopes, form }, None);
    };
    let wanted = scope::parse(text, &visit.request.origin())?;
    // A refresh asks nobody, so it gets no more than what was consented to before.
    let mut consented = consent::of(visit.conn, client, &user)?;
    consented.extend(scope::of_resource(&scopes));
    let is_new = |scope: &&String| !scope::contains(&consented, scope);
    let named =
        if wanted.form == Form::Default { Vec::new() } else { scope::named(&wanted.scopes) };
    if let Some(scope) = named.iter().find(is_new) {
        let reason = format!("The user has not consented to the permission '{scope}'.");
        return Err(Refusal::new("invalid_grant", 65001, reason).into());
    }
    // Those of the sign-in in the form of this request. The scopes of OpenID are among them, or a
    // refresh that names only resources would end without a new refresh token.
    issue(visit, client, &user, &Asked { scopes, form: wanted.form }, None)
}

fn application(visit: &Visit<'_>, client: &str, app: Option<&App>) -> Result<Handled, Stop> {
    // An application is signed in to one tenant (planner-api.md 10.1).
    if ["common", "organizations"].contains(&visit.tenant) {
        let reason = "Client credentials need a concrete tenant.";
        return Err(Refusal::new("invalid_request", 50059, reason).into());
    }
    let Some(app) = app else {
        return Err(if visit.apps.iter().any(|app| app.client_id == client) {
            let reason = "The request body must contain the following parameter: \
                          'client_assertion' or 'client_secret'.";
            Refusal::new("invalid_client", 7_000_218, reason)
        } else {
            let reason = format!("Application with identifier '{client}' was not found.");
            Refusal::new("unauthorized_client", 700_016, reason)
        }
        .into());
    };
    let scope = visit.required("scope")?;
    let roots = [token::GRAPH.to_owned(), visit.request.origin()];
    if !roots.iter().any(|root| scope == format!("{root}/.default")) {
        let reason = format!("The scope '{scope}' is not valid; it must end in '/.default'.");
        return Err(Refusal::new("invalid_scope", 70011, reason).into());
    }
    let caller = Caller {
        // The service principal in the tenant has an id of its own (planner-api.md 10.8).
        id: id::guid_of(&app.client_id),
        upn: None,
        client: app.client_id.clone(),
        permissions: Some(app.roles.clone()),
    };
    let access = token::access(&caller, None, &visit.issuer(), visit.second(), APP_ACCESS_LIFE);
    Ok(Handled::plain(
        200,
        json!({
            "token_type": "Bearer",
            "expires_in": APP_ACCESS_LIFE,
            "ext_expires_in": APP_ACCESS_LIFE,
            "access_token": access,
        }),
    ))
}

/// Returns who signed in, as Microsoft's libraries name accounts, if the client asks for it.
fn client_info(visit: &Visit<'_>, user: &str) -> Option<String> {
    let info = || URL_SAFE_NO_PAD.encode(json!({ "uid": user, "utid": TENANT }).to_string());
    (visit.param("client_info") == Some("1")).then(info)
}

/// Answers with tokens for everything that the user has consented to (planner-api.md 10.4).
fn issue(
    visit: &Visit<'_>,
    client: &str,
    user: &str,
    asked: &Asked,
    nonce: Option<&str>,
) -> Result<Handled, Stop> {
    let Some((upn, name)) = members::display_name(visit.conn, user)? else {
        let reason = "The user account does not exist in the directory.";
        return Err(Refusal::new("invalid_grant", 50034, reason).into());
    };
    let scopes = &asked.scopes;
    let has = |name: &str| scopes.iter().any(|scope| scope == name);
    let granted = consent::add(visit.conn, client, user, &scope::of_resource(scopes))?;
    let caller = Caller {
        id: user.to_owned(),
        upn: Some(upn.clone()),
        client: client.to_owned(),
        permissions: Some(granted.clone()),
    };
    let (now, issuer) = (visit.second(), visit.issuer());
    let mut body = json!({
        "token_type": "Bearer",
        "scope": scope::shown(&granted, scopes, asked.form),
        "expires_in": ACCESS_LIFE,
        "ext_expires_in": ACCESS_LIFE,
        "access_token": token::access(&caller, Some(&name), &issuer, now, ACCESS_LIFE),
    });
    if has("offline_access") {
        let kind = GrantKind::Refresh { user: user.to_owned() };
        let (client, scopes, form) = (client.to_owned(), scopes.clone(), asked.form);
        let grant = Grant { client, scopes, form, expires: now + REFRESH_LIFE, kind };
        body["refresh_token"] = grant::issue(visit.conn, &grant, now)?.into();
    }
    if has("openid") {
        let mut claims = json!({
            "aud": client,
            "iss": issuer,
            "iat": now,
            "nbf": now,
            "exp": now + ACCESS_LIFE,
            "oid": user,
            "sub": user,
            "tid": TENANT,
            "preferred_username": upn,
            "name": name,
            "ver": "2.0",
        });
        if let Some(nonce) = nonce {
            claims["nonce"] = Value::from(nonce);
        }
        body["id_token"] = token::mint(&claims).into();
    }
    if let Some(info) = client_info(visit, user) {
        body["client_info"] = info.into();
    }
    Ok(Handled::plain(200, body))
}
