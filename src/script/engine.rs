//! The sandbox: the only place where a script engine is made.
//!
//! A raw engine, the packages chosen one by one, every limit set: no `eval`, no files, no
//! clock, no sleeping, nothing that prints to the terminal. Optimisation is off: at the default
//! level two lines of script can make the optimiser panic, and at the highest it calls host
//! functions while compiling (scripting.md 1.14).

use std::sync::{Arc, OnceLock};

use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage,
    BasicMathPackage, BasicStringPackage, LogicPackage, MoreStringPackage, Package as _,
};
use rhai::{Dynamic, Engine, Module, OptimizationLevel};
use serde::{Deserialize, Serialize};

use crate::host::Session;
use crate::script::api;
use crate::script::budget::{
    ARRAY_LIMIT, Budget, CALL_LIMIT, EXPRESSION_DEPTH, MAP_LIMIT, Meter, STRING_LIMIT,
};
use crate::script::memory::held_by_this_thread;

/// Whom an engine serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A skill: reads and records wishes.
    Skill,
    /// A policy: reads and judges.
    Policy,
    /// A file of tests: sets boards up, runs skills, looks at what came of it.
    Test,
}

/// Largest script that is compiled; compiling has no budget and its time is quadratic.
pub const MAX_SOURCE: usize = 64 << 10;

/// Builds an engine for compiling: host functions are known but answer "not available".
#[must_use]
pub fn for_compiling(kind: Kind) -> Engine {
    let mut engine = sandbox(kind);
    engine.set_max_operations(100_000);
    // The top level of a library runs while it is compiled in.
    let held_before = held_by_this_thread();
    engine.on_progress(move |_| {
        let held = usize::try_from(held_by_this_thread() - held_before).unwrap_or(0);
        (held > Budget::default().memory).then_some(Dynamic::UNIT)
    });
    engine
}

/// Builds an engine for one run.
pub(crate) fn for_running(
    kind: Kind,
    session: &Session,
    meter: &Arc<Meter>,
    tag: Dynamic,
) -> Engine {
    let mut engine = sandbox(kind);
    engine.set_default_tag(tag);
    engine.set_max_call_levels(meter.budget.calls.min(CALL_LIMIT));
    engine.on_progress({
        let meter = Arc::clone(meter);
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
    engine
}

fn sandbox(kind: Kind) -> Engine {
    let mut engine = Engine::new_raw();
    for module in packages() {
        engine.register_global_module(Arc::clone(module));
    }
    // The later wins where names collide: ours replaces some of theirs.
    engine.register_global_module(api::module(kind));
    api::register_types(&mut engine);
    engine
        .disable_symbol("eval")
        .set_optimization_level(OptimizationLevel::None)
        .set_strict_variables(true)
        .set_fail_on_invalid_map_property(true)
        .set_allow_shadowing(kind != Kind::Policy)
        .set_fast_operators(true)
        .set_max_call_levels(CALL_LIMIT)
        .set_max_expr_depths(EXPRESSION_DEPTH, EXPRESSION_DEPTH / 2)
        .set_max_variables(256)
        .set_max_functions(256)
        .set_max_modules(16)
        .set_max_string_size(STRING_LIMIT)
        .set_max_array_size(ARRAY_LIMIT)
        .set_max_map_size(MAP_LIMIT);
    engine
}

fn packages() -> &'static [Arc<Module>] {
    static PACKAGES: OnceLock<Vec<Arc<Module>>> = OnceLock::new();
    PACKAGES.get_or_init(|| {
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
