//! The sandbox: the only place where a script engine is made.
//!
//! A raw engine, the packages chosen one by one, every limit set: no `eval`, no files, no clock, no
//! sleeping, nothing that prints to the terminal. Optimisation is off: at the default level two
//! lines of script can make the optimiser panic, and at the highest it calls host functions while
//! compiling.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage,
    BasicMathPackage, BasicStringPackage, LogicPackage, MoreStringPackage, Package as _,
};
use rhai::{
    ASTFlags, Array, Dynamic, Engine, EvalAltResult, EvalContext, Map, Module, OptimizationLevel,
    ParseError, Position, Scope, Stmt,
};

use crate::host::Session;
use crate::script::api;
use crate::script::budget::{
    ARRAY_LIMIT, Budget, CALL_LIMIT, EXPRESSION_DEPTH, MAP_LIMIT, Meter, STRING_LIMIT,
};
use crate::script::sandbox::memory::held_by_this_thread;
use crate::script::source::ScriptKind;

/// The most operations, and the longest time, that the top levels of all libraries of a script may
/// take.
const LOADING_OPERATIONS: u64 = 1_000_000;
const LOADING_TIME: Duration = Duration::from_secs(2);

/// Builds an engine for compiling: host functions are known but answer "not available".
///
/// The top level of a library runs while it is compiled in. The engine's own count of operations
/// begins again in every callback, so it is kept here, where a limit once exceeded stays so.
#[must_use]
pub fn for_compiling(kind: ScriptKind) -> Engine {
    let mut engine = sandbox(kind);
    let held_before = held_by_this_thread();
    let (operations, began) = (AtomicU64::new(0), Instant::now());
    engine.on_progress(move |_unreliable| {
        let n = operations.fetch_add(1, Ordering::Relaxed);
        let held = usize::try_from(held_by_this_thread() - held_before).unwrap_or(0);
        if n >= LOADING_OPERATIONS {
            Some("too many operations".into())
        } else if held > Budget::default().memory {
            Some("too much memory".into())
        } else if n.is_multiple_of(4) && began.elapsed() > LOADING_TIME {
            // The clock is not read at every operation; those between must fail as well. A single
            // one may take a tenth of a second.
            operations.store(LOADING_OPERATIONS, Ordering::Relaxed);
            Some("too much time".into())
        } else {
            None
        }
    });
    engine
}

/// Adds the names of a script's own constants to what it is compiled with, so that its functions
/// may name them: the engine takes them for undefined there.
///
/// # Errors
/// The text does not parse; compiled without its constants, it would fail at one of them instead.
pub(crate) fn with_own_constants(
    text: &str,
    known: &Scope<'static>,
) -> Result<Scope<'static>, ParseError> {
    static LENIENT: OnceLock<Engine> = OnceLock::new();
    let mut known = known.clone();
    // Parsing the text here costs as much as compiling it.
    if !text.contains("const") {
        return Ok(known);
    }
    let engine = LENIENT.get_or_init(|| {
        let mut engine = sandbox(ScriptKind::Test);
        // Names that the script is given from outside are not known here, and must not be errors.
        engine.set_strict_variables(false).set_allow_shadowing(true);
        engine
    });
    for statement in engine.compile(text)?.statements() {
        if let Stmt::Var(of, flags, _) = statement
            && flags.contains(ASTFlags::CONSTANT)
            && !known.contains(&of.0.name)
        {
            // Any value will do: only the optimiser would put it into the script, and that is off.
            known.push_constant(of.0.name.as_str(), ());
        }
    }
    Ok(known)
}

/// Returns the value of a constant at the top of the file whose function asks for it.
///
/// A variable of the function itself has a place, by which the engine finds it; what has none comes
/// from outside. The engine keeps the constants of the file that is being run for `global::NAME`.
fn own_constant(
    name: &str,
    place: usize,
    context: &EvalContext<'_, '_, '_, '_, '_, '_>,
) -> Option<Dynamic> {
    if place != 0 {
        return None;
    }
    let constants = context.global_runtime_state().constants.as_ref()?;
    constants.read().ok()?.get(name).cloned()
}

/// The variables that are read between two looks at their sizes, and the most values looked at.
const READS_BETWEEN_LOOKS: u64 = 128;
const VALUES_LOOKED_AT: usize = 256;

/// Returns whether a map among the variables has more keys than it may: the engine keeps its limit
/// wherever a function changes a map, but not when `map[key] = value` adds to one.
fn has_large_map(context: &EvalContext<'_, '_, '_, '_, '_, '_>) -> bool {
    let mut left = VALUES_LOOKED_AT;
    let variables = context.scope().iter_raw().map(|(_, _, value)| value);
    variables.chain(context.this_ptr()).any(|value| is_large(value, &mut left))
}

fn is_large(value: &Dynamic, left: &mut usize) -> bool {
    let Some(fewer) = left.checked_sub(1) else { return false };
    *left = fewer;
    // What a closure shares may be locked by a call that goes on, and would be waited for. Its
    // growth is held by the budget of memory.
    if value.is_shared() {
        return false;
    }
    if let Some(map) = value.read_lock::<Map>() {
        return map.len() > MAP_LIMIT || map.values().any(|value| is_large(value, left));
    }
    let array = value.read_lock::<Array>();
    array.is_some_and(|array| array.iter().take(*left).any(|item| is_large(item, left)))
}

/// Builds an engine for one run.
pub(crate) fn for_running(
    kind: ScriptKind,
    session: &Session,
    meter: &Arc<Meter>,
    tag: Dynamic,
) -> Engine {
    let mut engine = sandbox(kind);
    // All runs share one module of host functions, which find their run by this tag.
    engine.set_default_tag(tag);
    engine.set_max_call_levels(meter.budget.calls.min(CALL_LIMIT));
    engine.on_progress({
        let meter = Arc::clone(meter);
        // The value says nothing: the reason is kept in the stop, out of the reach of a `catch`.
        move |_unreliable| if meter.tick() { None } else { Some(Dynamic::UNIT) }
    });
    let print = {
        let (meter, session) = (Arc::clone(meter), session.clone());
        move |text: &str| {
            if meter.print(text.len()) {
                session.print(text);
            }
        }
    };
    engine.on_print(print.clone());
    engine.on_debug(move |text, _source, _position| print(text));
    watch_sizes(&mut engine);
    engine
}

#[expect(deprecated, reason = "on_var may change with the engine, whose version is pinned")]
fn watch_sizes(engine: &mut Engine) {
    let reads = AtomicU64::new(0);
    engine.on_var(move |name, place, context| {
        let n = reads.fetch_add(1, Ordering::Relaxed);
        if n.is_multiple_of(READS_BETWEEN_LOOKS) && has_large_map(&context) {
            let what = "Size of object map".to_owned();
            return Err(EvalAltResult::ErrorDataTooLarge(what, Position::NONE).into());
        }
        Ok(own_constant(name, place, &context))
    });
}

#[expect(deprecated, reason = "on_var may change with the engine, whose version is pinned")]
fn sandbox(kind: ScriptKind) -> Engine {
    let mut engine = Engine::new_raw();
    for module in packages() {
        engine.register_global_module(Arc::clone(module));
    }
    // The later wins where names collide: ours replaces some of theirs.
    engine.register_global_module(api::module(kind));
    api::register_types(&mut engine);
    api::install_comparisons(&mut engine);
    engine.on_var(|name, place, context| Ok(own_constant(name, place, &context)));
    engine
        // An `eval` inside an `eval` is no call level to the engine: it would recurse until the
        // stack overflows and the process aborts.
        .disable_symbol("eval")
        .set_optimization_level(OptimizationLevel::None)
        .set_strict_variables(true)
        // A key that a script's own map has not is `()`: `n[k] = (n[k] ?? 0) + 1`. A parameter that is
        // not declared is found when the script is compiled.
        .set_fail_on_invalid_map_property(false)
        // A policy must not hide a constant of the host behind one of its own.
        .set_allow_shadowing(kind != ScriptKind::Policy)
        .set_fast_operators(true)
        // Every limit is set, since the engine's defaults differ between debug and release builds.
        .set_max_call_levels(CALL_LIMIT)
        .set_max_expr_depths(EXPRESSION_DEPTH, EXPRESSION_DEPTH / 2)
        .set_max_variables(256)
        .set_max_functions(256)
        .set_max_modules(16)
        .set_max_string_size(STRING_LIMIT)
        .set_max_array_size(ARRAY_LIMIT)
        .set_max_map_size(MAP_LIMIT);
    if kind == ScriptKind::Policy {
        // R7: whatever goes wrong in a policy denies, so there is nothing to catch.
        engine.disable_symbol("try").disable_symbol("catch");
    }
    engine
}

fn packages() -> &'static [Arc<Module>] {
    static PACKAGES: OnceLock<Vec<Arc<Module>>> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        // Not `LanguageCorePackage`, which has `sleep` and `exit`, nor a bundle that contains it.
        vec![
            ArithmeticPackage::new().as_shared_module(),
            LogicPackage::new().as_shared_module(),
            BasicMathPackage::new().as_shared_module(),
            BasicStringPackage::new().as_shared_module(),
            MoreStringPackage::new().as_shared_module(),
            BasicIteratorPackage::new().as_shared_module(),
            BasicArrayPackage::new().as_shared_module(),
            BasicMapPackage::new().as_shared_module(),
            BasicFnPackage::new().as_shared_module(),
        ]
    })
}
