//! Signing in and out for all faces: from what a person asks for to a profile that is kept.

use std::sync::Arc;

use jiff::Timestamp;

use crate::app::error::AppError;
use crate::app::settings::Settings;
use crate::app::state_dir;
use crate::auth::{
    self, Account, Application, Authority, Cache, Certificate, Cloud, DEFAULT_SCOPES, Delegated,
    Flow, Granted, Kept, Profile, Profiles, SignedIn, Surroundings,
};
use crate::graph::{BaseUrl, Secret, SignInError, Tokens as _};
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
    /// As whoever is signed in at the Azure CLI.
    AzureCli,
    /// As the machine, whose platform lends it an identity.
    ManagedIdentity,
    /// As a workload for which its platform vouches.
    Workload,
}

impl Way {
    const fn flow(&self) -> Flow {
        match self {
            Self::Device => Flow::Device,
            Self::Browser => Flow::Browser,
            Self::Secret(_) => Flow::Secret,
            Self::Certificate(_) => Flow::Certificate,
            Self::AzureCli => Flow::AzureCli,
            Self::ManagedIdentity => Flow::ManagedIdentity,
            Self::Workload => Flow::Workload,
        }
    }
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
    /// The kind of key that seals it, in a few words; `None` if nothing is kept.
    pub(crate) sealed_with: Option<&'static str>,
    /// The other identity that the profile had before this sign-in.
    pub(crate) replaced: Option<Account>,
}

impl Standing {
    /// Returns what does not work with what was granted, each with the permission that would do.
    pub(crate) fn missing(&self) -> Vec<(&'static str, &'static str)> {
        let Ok(kept) = &self.kept else { return Vec::new() };
        // An answer that does not say what was granted is no reason to warn.
        if kept.scopes.is_empty() {
            return Vec::new();
        }
        auth::missing(&kept.scopes, self.profile.is_app())
    }

    /// Returns the moment at which the certificate ends with which an application signs in.
    pub(crate) fn certificate_ends(&self) -> Option<Timestamp> {
        let pem = self.kept.as_ref().ok()?.client_secret.as_ref()?;
        let is_certificate = self.profile.flow == Flow::Certificate;
        Some(Certificate::of(pem).ok().filter(|_| is_certificate)?.ends)
    }

    /// Returns whether the sign-in goes on by itself after its token has ended.
    pub(crate) fn renews_itself(&self) -> bool {
        let is_kept = |kept: &Kept| kept.refresh.is_some() || kept.client_secret.is_some();
        self.profile.flow.is_lent() || self.kept.as_ref().is_ok_and(is_kept)
    }
}

/// A ready token, as far as it tells of itself. Nothing of it is verified.
#[derive(Debug)]
pub(crate) struct ReadyToken {
    pub(crate) account: Account,
    pub(crate) permissions: Vec<String>,
    /// The moment at which it ends, if it says so.
    pub(crate) ends_at: Option<Timestamp>,
}

impl ReadyToken {
    /// Returns whether its time is over.
    pub(crate) fn is_over(&self) -> bool {
        self.ends_at.is_some_and(|at| at <= now())
    }

    /// Returns what does not work with it, each with the permission that would do.
    pub(crate) fn missing(&self) -> Vec<(&'static str, &'static str)> {
        if self.permissions.is_empty() {
            return Vec::new();
        }
        auth::missing(&self.permissions, self.account.is_app)
    }
}

/// Returns what the ready token of the environment tells of itself, if it is the one in use.
pub(crate) fn ready_token(settings: &Settings) -> Option<ReadyToken> {
    let token = settings.token().filter(|_| settings.profile.as_deref() != Some("embedded"))?;
    Some(ReadyToken {
        account: auth::account_of(&token),
        permissions: auth::permissions_of(&token),
        ends_at: auth::end_of(&token),
    })
}

/// Opens the sign-in of a profile.
///
/// # Errors
/// It is not signed in, or its key is not here.
pub(crate) fn open(settings: &Settings, profile: Profile) -> Result<SignedIn, AppError> {
    let authority = Settings::authority(&profile.authority, &profile.tenant)?;
    // Without that, it is as private as the system's swap: `doctor` says which.
    let _without = auth::keep_out_of_swap();
    if profile.flow.is_lent() {
        let surroundings = Settings::surroundings();
        return Ok(SignedIn::lent(profile, authority, surroundings, Arc::new(SystemClock)));
    }
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
    let usual = profiles.default_name().unwrap_or(FIRST);
    let name = settings.profile.as_deref().unwrap_or(usual).to_owned();
    let surroundings = Settings::surroundings();
    let earlier = profiles.get(&name).map(|earlier| earlier.account.clone());
    let (mut profile, way) = asked(settings, &surroundings, login, profiles.get(&name), name)?;
    let cache = Cache::of(&state, &profile)?;
    // A bad address is met before anybody signs in, and so is a missing key.
    BaseUrl::parse(&profile.graph_url)?;
    let authority = Settings::authority(&profile.authority, &profile.tenant)?;
    let keys = settings.keys();
    // Nothing is kept of what the platform lends.
    let key = if profile.flow.is_lent() { None } else { Some(keys.for_new()?) };
    let _without = auth::keep_out_of_swap();
    let granted = granted(&authority, &profile, &way, &surroundings, tell).await;
    let granted = granted.map_err(not_signed_in)?;
    profile.account = account(&granted, &profile);
    profile.claims = None;
    let mut kept = Kept::new(granted, SystemClock.now(), None);
    if let Way::Secret(secret) | Way::Certificate(secret) = way {
        kept.client_secret = Some(secret);
    }
    {
        // A process that renews the earlier sign-in must not write it over this one.
        let _locked = cache.lock()?;
        match &key {
            Some(key) => cache.renew(key, &keys, &kept)?,
            None => _ = cache.remove(&keys)?,
        }
    }
    let is_default = Profiles::change(&state, |profiles| {
        profiles.set(profile.clone());
        Ok(profiles.default.as_deref() == Some(profile.name.as_str()))
    })?;
    let sealed_with = cache.sealed_with();
    let replaced = earlier.filter(|earlier| earlier.is_another(&profile.account));
    Ok(Standing { profile, is_default, kept: Ok(kept), sealed_with, replaced })
}

/// Returns the profile that is asked for, with an earlier one of its name for what is not given.
fn asked(
    settings: &Settings,
    surroundings: &Surroundings,
    login: &Login,
    earlier: Option<&Profile>,
    name: String,
) -> Result<(Profile, Way), AppError> {
    let way = way(login, earlier)?;
    let flow = way.flow();
    let is_workload = flow == Flow::Workload;
    let of_platform = |value: &Option<String>| value.clone().filter(|_| is_workload);
    // What the platform lends has other addresses and another application than what was there before.
    let earlier = earlier.filter(|earlier| earlier.flow == flow || !flow.is_lent());
    let before = |field: fn(&Profile) -> &String| earlier.map(|earlier| field(earlier).clone());
    let client_id = login
        .client_id
        .clone()
        .or_else(|| before(|earlier| &earlier.client_id))
        .or_else(|| of_platform(&surroundings.client_id));
    // The Azure CLI has an application of its own, and a machine's own identity needs none.
    let needs_none = matches!(flow, Flow::AzureCli | Flow::ManagedIdentity);
    let client_id = client_id.filter(|id| !id.is_empty()).or(needs_none.then(String::new));
    let Some(client_id) = client_id else {
        return Err(AppError::usage("`--client-id` is missing: the application to sign in with")
            .hint(
                "the guide docs/guides/tenant.md says how to register one, which takes two minutes",
            ));
    };
    if !client_id.is_empty() && uuid::Uuid::parse_str(&client_id).is_err() {
        return Err(AppError::usage(format!("`{client_id}` is not the id of an application")));
    }
    let tenant = login
        .tenant
        .clone()
        .or_else(|| before(|earlier| &earlier.tenant))
        .or_else(|| of_platform(&surroundings.tenant));
    let tenant = tenant.unwrap_or_else(|| "organizations".to_owned());
    if flow.is_app() && !needs_none && matches!(tenant.as_str(), "organizations" | "common") {
        return Err(AppError::usage(
            "an application signs in to one tenant: `--tenant` is missing",
        )
        .hint("give its domain or its id"));
    }
    let cloud = login.cloud.unwrap_or(Cloud::Global);
    // Another cloud has other addresses, whatever they were before.
    let kept =
        |field: fn(&Profile) -> &String| if login.cloud.is_none() { before(field) } else { None };
    let authority = login
        .authority
        .clone()
        .or_else(|| kept(|earlier| &earlier.authority))
        .or_else(|| of_platform(&surroundings.authority).filter(|_| login.cloud.is_none()));
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
        // An application gets what an administrator has granted it, and the Azure CLI what Microsoft has.
        scopes: if flow.is_app() || flow.is_lent() { Vec::new() } else { scopes },
        claims: earlier.and_then(|earlier| earlier.claims.clone()),
        account: Account::default(),
    };
    Ok((profile, way))
}

/// Returns the way to sign in: the one that is asked for, or the one of last time.
fn way(login: &Login, earlier: Option<&Profile>) -> Result<Way, AppError> {
    Ok(match (&login.way, earlier.map(|earlier| earlier.flow)) {
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
        (None, Some(Flow::AzureCli)) => Way::AzureCli,
        (None, Some(Flow::ManagedIdentity)) => Way::ManagedIdentity,
        (None, Some(Flow::Workload)) => Way::Workload,
        (None, _) if login.has_browser => Way::Browser,
        (None, _) => Way::Device,
    })
}

async fn granted(
    authority: &Authority,
    profile: &Profile,
    way: &Way,
    surroundings: &Surroundings,
    tell: impl Fn(Step<'_>),
) -> Result<Granted, auth::Error> {
    let (client_id, scopes) = (profile.client_id.as_str(), &profile.scopes);
    let claims = profile.claims.as_deref();
    let graph_url = profile.graph_url.as_str();
    let application = Application { authority, client_id, graph_url, claims };
    let wanted = Delegated { authority, client_id, scopes, claims };
    match way {
        Way::Device => {
            let tell = |address: &str, code: &str| tell(Step::Code { address, code });
            auth::by_device_code(wanted, tell).await
        }
        Way::Browser => {
            let tell = |address: &str| tell(Step::Open(address));
            auth::by_browser(wanted, tell).await
        }
        Way::Secret(secret) => auth::by_secret(application, secret).await,
        Way::Certificate(pem) => auth::by_certificate(application, pem, now()).await,
        Way::AzureCli | Way::ManagedIdentity | Way::Workload => {
            auth::lent(profile, authority, surroundings, claims, now()).await
        }
    }
}

/// Returns the error of a sign-in. Nothing has been written before it, so that there is nothing to resume.
fn not_signed_in(error: auth::Error) -> AppError {
    let remedy = match &error {
        auth::Error::SignIn(SignInError::Unavailable(_)) => {
            "check the network and the address of the sign-in service, then sign in again"
        }
        auth::Error::SignIn(SignInError::Refused(_)) => {
            "check the client id, the tenant and the secret or certificate, then sign in again"
        }
        _ => return error.into(),
    };
    AppError::from(error).hint(remedy)
}

fn account(granted: &Granted, profile: &Profile) -> Account {
    if profile.flow.is_app() {
        auth::account_of_app(&granted.access, &profile.client_id)
    } else if profile.flow.is_lent() {
        auth::account_of(&granted.access)
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
    let named = Settings { profile: Some(name.to_owned()), ..settings.clone() };
    named.chosen_profile()?;
    state_dir::make_private(&state)?;
    Ok(Profiles::change(&state, |profiles| {
        profiles.default = Some(name.to_owned());
        Ok(())
    })?)
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
        // The service has asked for what no renewal brings: a token alone is good for nothing.
        Ok(_) if profile.claims.is_some() => {
            let error = SignInError::Ended("the service asks for a new sign-in".to_owned());
            let (profile, error) = (profile.name.clone(), Box::new(error));
            Err(auth::Error::from(SignInError::OfProfile { profile, error }).into())
        }
        Ok(signed_in) => match signed_in.token(None).await {
            Ok(_) => Ok(signed_in.kept().await),
            Err(error) => Err(auth::Error::from(error).into()),
        },
        Err(error) => Err(error),
    };
    let cache = Cache::new(&settings.state_dir()?, &profile.name)?;
    let sealed_with = cache.sealed_with();
    Ok(Some(Standing { profile, is_default, kept, sealed_with, replaced: None }))
}

/// Asks the sign-in service of a profile whether it is there and knows the tenant.
///
/// # Errors
/// It is not, or does not.
pub(crate) async fn reach(profile: &Profile) -> Result<(), AppError> {
    Ok(Settings::authority(&profile.authority, &profile.tenant)?.reach().await?)
}

/// Removes a profile with all that is kept of it; returns its name.
///
/// # Errors
/// There is none, or a file cannot be removed.
pub(crate) fn logout(settings: &Settings) -> Result<String, AppError> {
    let state = settings.state_dir()?;
    let default = || Ok::<_, AppError>(Profiles::read(&state)?.default_name().map(str::to_owned));
    let name = match settings.profile.clone() {
        Some(name) => Some(name),
        None => default()?,
    };
    let Some(name) = name else {
        return Err(AppError::new("not_signed_in", "no profile is signed in")
            .hint("`planwright auth list` lists the profiles; name one with `--profile NAME`"));
    };
    let cache = Cache::new(&state, &name)?;
    let was_kept = {
        // A process that renews it must not write it again.
        let _locked = cache.lock()?;
        cache.remove(&settings.keys())?
    };
    Profiles::change(&state, |profiles| {
        if profiles.remove(&name) || was_kept {
            return Ok(());
        }
        Err(auth::Error::SignedOut(name.clone()))
    })?;
    Ok(name)
}

/// Returns the moment.
pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}
