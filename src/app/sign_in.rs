//! Signing in and out for all faces: from what a person asks for to a profile that is kept.

use std::sync::Arc;

use jiff::Timestamp;

use crate::app::error::AppError;
use crate::app::settings::Settings;
use crate::app::state_dir;
use crate::auth::{
    self, Account, Authority, Cache, Cloud, DEFAULT_SCOPES, Flow, Granted, Kept, Profile, Profiles,
    SignedIn,
};
use crate::graph::{BaseUrl, Secret, Tokens as _};
use crate::host::SystemClock;
use crate::model::Clock as _;

/// The profile that is made where none is named.
const FIRST: &str = "default";

/// A way to sign in.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    /// With a code, at another device.
    Device,
    /// With a browser of this machine.
    Browser,
    /// As an application, with its secret.
    Secret(Secret),
    /// As an application, with its certificate and key as PEM.
    Certificate(Secret),
}

/// The sign-in that a person asks for. What is absent is as it was before, or usual.
#[derive(Debug, Clone, Default)]
pub(crate) struct Login {
    pub(crate) tenant: Option<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) way: Option<Way>,
    pub(crate) scopes: Option<String>,
    pub(crate) cloud: Option<Cloud>,
    pub(crate) authority: Option<String>,
    /// True if a browser can be shown to the person.
    pub(crate) has_browser: bool,
}

/// The next step of the person who signs in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'a> {
    /// To type a code at an address.
    Code { address: &'a str, code: &'a str },
    /// To open an address.
    Open(&'a str),
}

/// The standing of a profile.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) profile: Profile,
    pub(crate) is_default: bool,
    /// The sign-in as it is kept, or the reason why it cannot be used.
    pub(crate) kept: Result<Kept, AppError>,
}

impl Standing {
    /// Returns what does not work with what was granted, each with the permission that would do.
    pub(crate) fn missing(&self) -> Vec<(&'static str, &'static str)> {
        let Ok(kept) = &self.kept else { return Vec::new() };
        // An answer that does not say what was granted is no reason to warn.
        if kept.scopes.is_empty() {
            return Vec::new();
        }
        auth::missing(&kept.scopes, self.profile.flow.is_app())
    }
}

/// Opens the sign-in of a profile.
///
/// # Errors
/// It is not signed in, or its key is not here.
pub(crate) fn open(settings: &Settings, profile: Profile) -> Result<SignedIn, AppError> {
    let authority = Settings::authority(&profile.authority, &profile.tenant)?;
    let (state, keys) = (settings.state_dir()?, settings.keys());
    Ok(SignedIn::open(profile, authority, &state, &keys, Arc::new(SystemClock))?)
}

/// Signs in, and keeps it as a profile; `tell` shows the person the next step.
///
/// # Errors
/// Something is missing, there is no key to seal it with, or the sign-in is refused.
pub(crate) async fn login(
    settings: &Settings,
    login: &Login,
    tell: impl Fn(Step<'_>),
) -> Result<Standing, AppError> {
    let state = settings.state_dir()?;
    state_dir::make_private(&state)?;
    let profiles = Profiles::read(&state)?;
    let usual = profiles.default.as_deref().unwrap_or(FIRST);
    let name = settings.profile.as_deref().unwrap_or(usual).to_owned();
    let (mut profile, way) = asked(settings, login, profiles.get(&name), name)?;
    let cache = Cache::of(&state, &profile)?;
    // A bad address is met before anybody signs in, and so is a missing key.
    BaseUrl::parse(&profile.graph_url)?;
    let authority = Settings::authority(&profile.authority, &profile.tenant)?;
    let key = settings.keys().for_new()?;
    let granted = granted(&authority, &profile, &way, tell).await?;
    profile.account = account(&granted, &profile);
    let roles = if profile.flow.is_app() { auth::roles_of(&granted.access) } else { Vec::new() };
    let mut kept = Kept::new(granted, SystemClock.now(), None);
    kept.scopes.extend(roles);
    if let Way::Secret(secret) | Way::Certificate(secret) = way {
        kept.client_secret = Some(secret);
    }
    {
        // A process that renews the earlier sign-in must not write it over this one.
        let _locked = cache.lock()?;
        cache.write(&key, &kept)?;
    }
    // Another sign-in may have come in between.
    let mut profiles = Profiles::read(&state)?;
    profiles.set(profile.clone());
    profiles.write(&state)?;
    let is_default = profiles.default.as_deref() == Some(profile.name.as_str());
    Ok(Standing { profile, is_default, kept: Ok(kept) })
}

/// Returns the profile that is asked for, with an earlier one of its name for what is not given.
fn asked(
    settings: &Settings,
    login: &Login,
    earlier: Option<&Profile>,
    name: String,
) -> Result<(Profile, Way), AppError> {
    let before = |field: fn(&Profile) -> &String| earlier.map(|earlier| field(earlier).clone());
    let client_id = login.client_id.clone().or_else(|| before(|earlier| &earlier.client_id));
    let Some(client_id) = client_id else {
        return Err(AppError::usage("`--client-id` is missing: the application to sign in with")
            .hint(
                "the guide docs/guides/tenant.md says how to register one, which takes two minutes",
            ));
    };
    if uuid::Uuid::parse_str(&client_id).is_err() {
        return Err(AppError::usage(format!("`{client_id}` is not the id of an application")));
    }
    let way = match (&login.way, earlier.map(|earlier| earlier.flow)) {
        (Some(way), _) => way.clone(),
        (None, Some(Flow::Secret)) => {
            return Err(AppError::usage("the secret of the application is missing").hint(
                "give it with `--secret-file FILE`, `--secret-file -` or PLANWRIGHT_CLIENT_SECRET",
            ));
        }
        (None, Some(Flow::Certificate)) => {
            return Err(AppError::usage("the certificate of the application is missing")
                .hint("give it with `--certificate FILE`"));
        }
        (None, Some(Flow::Device)) => Way::Device,
        (None, _) if login.has_browser => Way::Browser,
        (None, _) => Way::Device,
    };
    let flow = match &way {
        Way::Device => Flow::Device,
        Way::Browser => Flow::Browser,
        Way::Secret(_) => Flow::Secret,
        Way::Certificate(_) => Flow::Certificate,
    };
    let tenant = login.tenant.clone().or_else(|| before(|earlier| &earlier.tenant));
    let tenant = tenant.unwrap_or_else(|| "organizations".to_owned());
    if flow.is_app() && matches!(tenant.as_str(), "organizations" | "common") {
        return Err(AppError::usage(
            "an application signs in to one tenant: `--tenant` is missing",
        )
        .hint("give its domain or its id"));
    }
    let cloud = login.cloud.unwrap_or(Cloud::Global);
    // Another cloud has other addresses, whatever they were before.
    let kept =
        |field: fn(&Profile) -> &String| if login.cloud.is_none() { before(field) } else { None };
    let authority = login.authority.clone().or_else(|| kept(|earlier| &earlier.authority));
    let graph_url = settings.graph_url.clone().or_else(|| kept(|earlier| &earlier.graph_url));
    let scopes = match (&login.scopes, earlier) {
        (Some(scopes), _) => auth::with_own(scopes),
        (None, Some(earlier)) if !earlier.flow.is_app() => earlier.scopes.clone(),
        (None, _) => auth::with_own(DEFAULT_SCOPES),
    };
    let profile = Profile {
        name,
        tenant,
        client_id,
        authority: authority.unwrap_or_else(|| cloud.authority().to_owned()),
        graph_url: graph_url.unwrap_or_else(|| cloud.graph().to_owned()),
        flow,
        // An application gets what an administrator has granted it.
        scopes: if flow.is_app() { Vec::new() } else { scopes },
        account: Account::default(),
    };
    Ok((profile, way))
}

async fn granted(
    authority: &Authority,
    profile: &Profile,
    way: &Way,
    tell: impl Fn(Step<'_>),
) -> Result<Granted, auth::Error> {
    let (client_id, scopes) = (&profile.client_id, &profile.scopes);
    match way {
        Way::Device => {
            let tell = |address: &str, code: &str| tell(Step::Code { address, code });
            auth::by_device_code(authority, client_id, scopes, tell).await
        }
        Way::Browser => {
            let tell = |address: &str| tell(Step::Open(address));
            auth::by_browser(authority, client_id, scopes, tell).await
        }
        Way::Secret(secret) => {
            auth::by_secret(authority, client_id, secret, &profile.graph_url).await
        }
        Way::Certificate(pem) => {
            let now = SystemClock.now();
            auth::by_certificate(authority, client_id, pem, &profile.graph_url, now).await
        }
    }
}

fn account(granted: &Granted, profile: &Profile) -> Account {
    if profile.flow.is_app() {
        auth::account_of_app(&granted.access, &profile.client_id)
    } else {
        granted.identity.as_ref().map(auth::account_of_user).unwrap_or_default()
    }
}

/// Returns every profile, and whether it is the default one.
///
/// # Errors
/// The list cannot be read.
pub(crate) fn all(settings: &Settings) -> Result<Vec<(Profile, bool)>, AppError> {
    let profiles = Profiles::read(&settings.state_dir()?)?;
    let is_default = |profile: &Profile| profiles.default.as_deref() == Some(profile.name.as_str());
    Ok(profiles.all().map(|profile| (profile.clone(), is_default(profile))).collect())
}

/// Makes a profile the default one; `embedded` for the demo board.
///
/// # Errors
/// There is no such profile, or the list cannot be written.
pub(crate) fn choose(settings: &Settings, name: &str) -> Result<(), AppError> {
    let state = settings.state_dir()?;
    let mut profiles = Profiles::read(&state)?;
    if name == "embedded" {
        profiles.default = None;
    } else {
        let named = Settings { profile: Some(name.to_owned()), ..settings.clone() };
        named.chosen_profile()?;
        profiles.default = Some(name.to_owned());
    }
    state_dir::make_private(&state)?;
    Ok(profiles.write(&state)?)
}

/// Returns the standing of the profile in force, which is renewed if it is due; `None` if there is
/// none.
///
/// # Errors
/// The list of profiles cannot be read, or has none of the name.
pub(crate) async fn standing(settings: &Settings) -> Result<Option<Standing>, AppError> {
    let Some(profile) = settings.chosen_profile()? else { return Ok(None) };
    let profiles = Profiles::read(&settings.state_dir()?)?;
    let is_default = profiles.default.as_deref() == Some(profile.name.as_str());
    let kept = match open(settings, profile.clone()) {
        Ok(signed_in) => match signed_in.token(None).await {
            Ok(_) => Ok(signed_in.kept().await),
            Err(error) => Err(auth::Error::from(error).into()),
        },
        Err(error) => Err(error),
    };
    Ok(Some(Standing { profile, is_default, kept }))
}

/// Removes a profile with all that is kept of it; returns its name.
///
/// # Errors
/// There is none, or a file cannot be removed.
pub(crate) fn logout(settings: &Settings) -> Result<String, AppError> {
    let state = settings.state_dir()?;
    let mut profiles = Profiles::read(&state)?;
    let name = settings.profile.clone().or_else(|| profiles.default.clone());
    let Some(name) = name else {
        return Err(AppError::new("not_signed_in", "no profile is signed in")
            .hint("`planwright auth list` lists the profiles; name one with `--profile NAME`"));
    };
    let cache = Cache::new(&state, &name)?;
    {
        // A process that renews it must not write it again.
        let _locked = cache.lock()?;
        let was_kept = cache.remove()?;
        if !profiles.remove(&name) && !was_kept {
            return Err(auth::Error::SignedOut(name).into());
        }
    }
    profiles.write(&state)?;
    Ok(name)
}

/// Returns whether a sign-in goes on by itself after its token has ended.
pub(crate) fn renews_itself(kept: &Kept) -> bool {
    kept.refresh.is_some() || kept.client_secret.is_some()
}

/// Returns the moment.
pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}
