//! Policies: scripts that judge a change set, and can only tighten.
//!
//! Each has an engine, a scope and a meter of its own for each judgement; nothing of the skill
//! reaches it but the change set. Verdicts go straight to the host. Whatever goes wrong denies
//! (rule R7): a policy that is missing, does not compile, throws, runs out of budget, or meets
//! an error of the host, even one it catches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use rhai::{CallFnOptions, Dynamic, EvalAltResult, Scope};

use crate::change::ChangeSet;
use crate::host::session::remote::Judged;
use crate::host::{Failure, Judge, KnownPlans, PlanNames, Session, Start, View};
use crate::model::as_read;
use crate::policy::Ruling;
use crate::script::api::handles::{ChangeView, Changes, RunView};
use crate::script::api::value::Run;
use crate::script::api::verdicts::Verdicts;
use crate::script::budget::{Budget, Meter};
use crate::script::code::Code;
use crate::script::lint::policy_slips::has;
use crate::script::sandbox::compiled::Compiled;
use crate::script::sandbox::diagnose::explain;
use crate::script::sandbox::engine::for_running;
use crate::script::source::ScriptKind;
use crate::script::worker::pool::give_back;
use crate::script::workspace::Workspace;
use crate::script::workspace::config::Config;

/// The policies in force, in a process of their own while they judge.
#[derive(Debug)]
pub struct Policies {
    policies: Vec<InForce>,
    budget: Budget,
    names: PlanNames,
}

/// A policy that is compiled when it is first asked for: what only reads starts no process.
pub(crate) type Lazy =
    LazyLock<Result<Code, Failure>, Box<dyn FnOnce() -> Result<Code, Failure> + Send>>;

#[derive(Debug)]
struct InForce {
    /// The file in `scripts/policies`.
    source: String,
    code: Lazy,
    /// The plans, by title or id, whose changes it judges; `None` for every run.
    plans: Option<BTreeSet<String>>,
}

impl Policies {
    /// Returns the policies that a workspace puts in force for a run of `agent`.
    #[must_use]
    pub fn in_force(workspace: &Workspace, agent: Option<&str>) -> Self {
        Self::listed(&workspace.config, agent, |name| {
            let text = workspace.policies.get(name)?.clone();
            let libraries = workspace.libraries_of(&format!("policies/{name}.rhai")).clone();
            let name = name.to_owned();
            Some(Lazy::new(Box::new(move || compile(&name, &text, &libraries))))
        })
    }

    /// Takes the policies that a configuration lists for a run of `agent` from `of`.
    pub(crate) fn listed(
        config: &Config,
        agent: Option<&str>,
        of: impl Fn(&str) -> Option<Lazy>,
    ) -> Self {
        let of_agent =
            agent.and_then(|name| config.agents.get(name)).map(|agent| agent.policies.as_slice());
        // What is in force for every run is so for every plan.
        let mut names: BTreeMap<&str, Option<BTreeSet<String>>> = BTreeMap::new();
        for name in config.policies.always.iter().chain(of_agent.unwrap_or_default()) {
            names.insert(name, None);
        }
        for (plan, special) in &config.plans {
            for name in &special.policies {
                if let Some(plans) = names.entry(name).or_insert_with(|| Some(BTreeSet::new())) {
                    plans.insert(plan.clone());
                }
            }
        }
        let in_force = |(name, plans): (&str, Option<BTreeSet<String>>)| InForce {
            source: format!("{name}.rhai"),
            code: of(name).unwrap_or_else(|| {
                let failure = missing(name);
                Lazy::new(Box::new(|| Err(failure)))
            }),
            plans,
        };
        let policies = names.into_iter().map(in_force).collect();
        let granted = config.agents.values().filter_map(|agent| agent.plans.as_ref()).flatten();
        let names = PlanNames {
            guarded: config.plans.keys().cloned().collect(),
            granted: granted.cloned().collect(),
        };
        Self { policies, budget: config.limits_of(agent).budget(), names }
    }

    /// Returns no policies: for what is judged by the host rules alone.
    #[must_use]
    pub fn none() -> Self {
        let names = PlanNames::default();
        Self { policies: Vec::new(), budget: Budget::default(), names }
    }
}

fn missing(name: &str) -> Failure {
    Failure {
        code: "policy".into(),
        message: format!("the policy `{name}` is in force but missing"),
        hint: Some(format!("add scripts/policies/{name}.rhai, or remove it from planwright.toml")),
        ..Failure::default()
    }
}

/// Compiles a policy from its text.
pub(crate) fn compile(
    name: &str,
    text: &str,
    libraries: &BTreeMap<String, String>,
) -> Result<Code, Failure> {
    Code::compile(ScriptKind::Policy, &format!("policies/{name}.rhai"), text, libraries)
}

/// Returns why a policy of a workspace cannot be used, if it cannot.
#[must_use]
pub fn problem(name: &str, workspace: &Workspace) -> Option<Failure> {
    let Some(text) = workspace.policies.get(name) else { return Some(missing(name)) };
    compile(name, text, workspace.libraries_of(&format!("policies/{name}.rhai"))).err()
}

/// Returns the place where a policy went wrong, for whoever maintains it.
fn line_of(failure: &Failure) -> String {
    failure.at.as_ref().map(|at| format!(" ({}:{})", at.file, at.line)).unwrap_or_default()
}

impl Judge for Policies {
    fn plan_names(&self) -> PlanNames {
        self.names.clone()
    }

    fn digests(&self) -> BTreeMap<String, String> {
        let digest = |code: &Result<Code, Failure>| {
            code.as_ref().map_or_else(|_| "broken".to_owned(), |code| code.digest().to_owned())
        };
        self.policies.iter().map(|policy| (policy.source.clone(), digest(&policy.code))).collect()
    }

    fn judge(&self, session: &Session, set: &ChangeSet, start: &Start) -> Vec<Ruling> {
        let mut rulings = Vec::new();
        let mut to_judge = Vec::new();
        let whole = match session.whole(set) {
            Ok(whole) => whole,
            Err(error) => {
                let reason = format!("what the run does as a whole cannot be judged: {error}");
                return vec![Ruling::deny("policies", None, reason)];
            }
        };
        let touched = touched(session, set, whole.as_ref());
        for InForce { source, code, plans } in &self.policies {
            // Where it is not known which plans are touched, every policy has its say.
            let concerns = |names: &BTreeSet<String>| {
                let known = &session.facts().named;
                let is_one =
                    |touched: &Touched| names.iter().any(|name| touched.goes_by(name, known));
                touched.as_ref().is_none_or(is_one)
            };
            if !plans.as_ref().is_none_or(concerns) {
                continue;
            }
            match &**code {
                Ok(policy) => to_judge.push((source.as_str(), policy)),
                Err(failure) => {
                    let reason = format!(
                        "the policy cannot be used: {}{}",
                        failure.message,
                        line_of(failure)
                    );
                    rulings.push(Ruling::deny(source, None, reason));
                }
            }
        }
        let mut left = to_judge.as_slice();
        while !left.is_empty() {
            let mut n_heard = 0;
            let judged = self.ask(left, session, (set, start, whole.as_ref()), |given| {
                n_heard += 1;
                rulings.extend(given);
            });
            let Err(failure) = judged else { break };
            left = left.get(n_heard..).unwrap_or_default();
            // R7: the one that did not get to its end denies. The others still judge.
            let (source, others) = match left.split_first() {
                Some(((source, _), others)) => (*source, others),
                None => ("policies", left),
            };
            let reason = format!("the policy failed: {}", failure.message);
            rulings.push(Ruling::deny(source, None, reason));
            left = others;
        }
        rulings
    }
}

/// Finds the plans that a set touches; `None` if the title of one cannot be read. What is moved out
/// of a plan and deleted in the next step concerns that plan, too.
fn touched(
    session: &Session,
    set: &ChangeSet,
    whole: Option<&(Session, ChangeSet)>,
) -> Option<Touched> {
    let mut touched = plans_of(session, set)?;
    if let Some((board, all)) = whole {
        let of_whole = plans_of(board, all)?;
        touched.ids.extend(of_whole.ids);
        touched.titles.extend(of_whole.titles);
    }
    Some(touched)
}

/// The plans that a set touches, by id and by all titles that they have in the run.
struct Touched {
    ids: BTreeSet<String>,
    titles: BTreeSet<String>,
}

impl Touched {
    /// Returns whether a name of the configuration stands, or once stood, for one of them.
    fn goes_by(&self, name: &str, known: &KnownPlans) -> bool {
        let guarded = known.guarded(name).into_iter().flatten();
        self.ids.contains(name.trim())
            || self.titles.contains(&as_read(name))
            || guarded.into_iter().any(|id| self.ids.contains(id.as_str()))
    }
}

/// Finds the plans that a set touches, by both titles where one is renamed; `None` if the title of
/// one cannot be read.
fn plans_of(session: &Session, set: &ChangeSet) -> Option<Touched> {
    let ids: BTreeSet<_> = set
        .changes()
        .iter()
        .flat_map(|change| [Some(change.plan()), change.moves_to()])
        .flatten()
        .collect();
    let mut titles = BTreeSet::new();
    for id in &ids {
        // What a plan was called in an earlier segment counts, too.
        let earlier = session.segments();
        let earlier = earlier.iter().filter_map(|(then, _)| then.peek_plan(id).ok());
        titles.extend(earlier.map(|plan| as_read(&plan.title)));
        let title = |view| session.seen(view).peek_plan(id).ok().map(|plan| as_read(&plan.title));
        let now: Vec<String> = [View::Before, View::After].into_iter().filter_map(title).collect();
        if now.is_empty() {
            return None;
        }
        titles.extend(now);
    }
    Some(Touched { ids: ids.into_iter().map(ToString::to_string).collect(), titles })
}

impl Policies {
    /// Has policies judge in one process; the rulings of each are passed to `hear`.
    fn ask(
        &self,
        policies: &[(&str, &Code)],
        session: &Session,
        judged: (&ChangeSet, &Start, Option<&(Session, ChangeSet)>),
        hear: impl FnMut(Vec<Ruling>),
    ) -> Result<(), Failure> {
        let Some((_, first)) = policies.first() else { return Ok(()) };
        let (mut worker, _) = first.worker()?;
        let mut numbered = Vec::new();
        for (source, code) in policies {
            let (at, _) = worker.compile(code.source())?;
            numbered.push((at, (*source).to_owned()));
        }
        let outcome = worker.judge(&numbered, session, judged, self.budget, hear);
        give_back(worker);
        outcome
    }
}

/// Runs a compiled policy, in the process of a worker: it judges the set, and after a commit the
/// run as a whole, on the board as it was when it began.
pub(crate) fn judge(
    source: &str,
    policy: &Compiled,
    case: &Judged,
    start: &Arc<Start>,
    budget: Budget,
) -> Vec<Ruling> {
    let session = case.session.watched();
    let meter = Meter::new(budget, &session);
    let (file, sources) = (policy.file.clone(), Arc::clone(&policy.sources));
    let verdicts = Arc::new(Verdicts::new(source.to_owned(), file, sources));
    let tag_of = |session: &Session| {
        let (session, verdicts) = (session.clone(), Some(Arc::clone(&verdicts)));
        Dynamic::from(Run { session, verdicts, play: None, asking: Arc::default() })
    };
    let engine = for_running(ScriptKind::Policy, &session, &meter, tag_of(&session));
    meter.start();
    let mut failed: Option<(Option<usize>, Box<EvalAltResult>)> = None;
    let mut judge = |session: &Session,
                     set: &Arc<ChangeSet>,
                     origin: Option<&Session>,
                     of_whole: bool| {
        let mut call = |name: &str, change: Option<usize>, argument: Dynamic| {
            if failed.is_some() || !has(&policy.ast, name, 2) {
                return;
            }
            verdicts.judge(change, of_whole);
            session.forget_seen();
            let run = Dynamic::from(RunView { session: session.clone(), start: Arc::clone(start) });
            // The top level runs again at each call: without it the engine would not find
            // constants and imports.
            let options = CallFnOptions::new().eval_ast(true).rewind_scope(true);
            let options = options.with_tag(tag_of(session));
            let (mut scope, arguments) = (Scope::new(), (argument, run));
            let called = engine.call_fn_with_options::<Dynamic>(
                options,
                &mut scope,
                &policy.ast,
                name,
                arguments,
            );
            failed = match called {
                Ok(value) if value.is_unit() => None,
                // R7: who returns a verdict means it, and nobody would know that it is not one.
                Ok(value) => {
                    let kind = value.type_name();
                    let message = format!(
                        "`{name}` returns a value ({kind}): a policy judges by `warn`, `hold` and `deny`, and returns nothing"
                    );
                    Some((change, message.into()))
                }
                Err(error) => Some((change, error)),
            };
        };
        // In the whole, a change that only an earlier step made was judged with that step.
        let judged = set.changes().iter().enumerate().filter(|(_, change)| change.n > 0);
        for (at, change) in judged {
            let (session, origin, set) = (session.clone(), origin.cloned(), Arc::clone(set));
            let view = ChangeView { session, origin, set, at };
            call("review_change", Some(change.n), Dynamic::from(view));
        }
        call("review", None, Dynamic::from(Changes::from_set(session, set, origin)));
    };
    let whole = case.whole.as_ref().map(|(board, set)| (board.for_user_of(&session), set));
    judge(&session, &case.set, whole.as_ref().map(|whole| &whole.0), false);
    // Many small steps get no further than one big one.
    if let Some((board, all)) = &whole {
        judge(board, all, Some(board), true);
    }
    let mut rulings = verdicts.take();
    let stop = session.stop().reason();
    if let Some((change, error)) = failed {
        let failure = explain(&error, stop.as_ref(), &policy.file, &policy.sources);
        tracing::warn!(policy = source, message = failure.message, at = ?failure.at, "failed");
        rulings.push(Ruling::deny(
            source,
            change,
            format!("the policy failed: {}{}", failure.message, line_of(&failure)),
        ));
    } else if let Some(reason) = stop {
        rulings.push(Ruling::deny(source, None, format!("the policy was stopped: {reason}")));
    } else if let Some(error) = session.first_error() {
        // R7: the policy has caught it, and judged without what it asked for.
        rulings.push(Ruling::deny(source, None, format!("the policy met an error: {error}")));
    }
    rulings
}
