//! The worker itself, which carries out orders until its input ends.
//!
//! Two threads, both there before the walls go up, for none can be made afterwards: one listens, so
//! that a script can be stopped; the other compiles and runs, on the stack that scripts need.

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::host::session::core::HostLink;
use crate::host::session::remote::{judged_of, session_of};
use crate::host::{Session, Stop, StopReason, on_large_stack};
use crate::script::console::line::{self, Variables};
use crate::script::lint;
use crate::script::lint::policy_slips::refuse_slips;
use crate::script::policy::judge;
use crate::script::remote_stage::RemoteStage;
use crate::script::sandbox::compiled::{Compiled, run};
use crate::script::sandbox::coverage::Coverage;
use crate::script::source::{Outline, ScriptKind, Source};
use crate::script::testing::play;
use crate::script::worker::confine::{Walls, confine_files, confine_rest};
use crate::script::worker::frame::{Order, Pipe, Word, receive};

/// The stop of the line that is running, if one is.
type Running = Arc<Mutex<Option<Arc<Stop>>>>;

/// Serves on standard input and output, behind all walls that the system has.
#[must_use]
pub fn serve() -> ExitCode {
    // Threads inherit what is forbidden to the one that makes them.
    let walls = confine_files();
    let rest = || confine_rest(walls);
    if serve_on(Box::new(io::stdin()), Box::new(io::stdout()), rest) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Serves until the orders end; returns whether they ended as they should.
pub(super) fn serve_on(
    mut orders: Box<dyn Read + Send>,
    words: Box<dyn Write + Send>,
    confine: impl FnOnce() -> Walls,
) -> bool {
    let (to_do, given) = channel::<Order>();
    let (ready, is_ready) = channel::<()>();
    let (confined, walls) = channel::<Walls>();
    let running = Running::default();
    let pipe = Arc::new(Mutex::new(Pipe { orders: given, words }));
    let server = Server { compiled: Vec::new(), lines: None, pipe, running: Arc::clone(&running) };
    let thread = std::thread::Builder::new().name("planwright-scripts".to_owned());
    let work = move || on_large_stack("planwright-run", move || server.work(&ready, &walls));
    let Ok(working) = thread.spawn(work) else { return false };
    // The walls go up once the other thread runs: behind them no thread can be made.
    if is_ready.recv().is_err() || confined.send(confine()).is_err() {
        return false;
    }
    let ended = listen(&mut orders, &to_do, &running);
    // The other thread waits for orders until this end is gone; joining it first would hang.
    drop(to_do);
    // A panic ends this process: that is what a process of its own is for.
    ended && matches!(working.join(), Ok(Ok(())))
}

/// Passes orders on; returns whether they came to an end as they should.
fn listen(orders: &mut impl Read, to_do: &Sender<Order>, running: &Running) -> bool {
    loop {
        match receive::<Order>(orders) {
            // Not queued: it would wait there until the line has ended, or be taken for the answer
            // to a query of that line.
            Ok(Some(Order::Stop)) => {
                let running = running.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(stop) = &*running {
                    stop.set(StopReason::Cancelled);
                }
            }
            Ok(Some(order)) => {
                if to_do.send(order).is_err() {
                    return false;
                }
            }
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// The state of the thread that compiles and runs scripts.
struct Server {
    compiled: Vec<Compiled>,
    /// The variables that live on from line to line, with the session of their values.
    lines: Option<(Session, Variables)>,
    pipe: Arc<Mutex<Pipe>>,
    running: Running,
}

impl Server {
    fn work(mut self, ready: &Sender<()>, walls: &Receiver<Walls>) {
        if ready.send(()).is_err() {
            return;
        }
        let Ok(walls) = walls.recv() else { return };
        if self.say(&Word::Confined(walls)).is_none() {
            return;
        }
        loop {
            // The block frees the lock before the order is carried out, which takes it again.
            let order = {
                let pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
                pipe.orders.recv()
            };
            let Ok(order) = order else { return };
            if self.carry_out(order).is_none() {
                return;
            }
        }
    }

    fn say(&self, word: &Word) -> Option<()> {
        self.pipe.lock().unwrap_or_else(PoisonError::into_inner).say(word)
    }

    /// Returns the link by which sessions query the host.
    fn host(&self) -> HostLink {
        let pipe = Arc::clone(&self.pipe);
        Arc::new(move |segment, ask| {
            let mut pipe = pipe.lock().unwrap_or_else(PoisonError::into_inner);
            match pipe.exchange(&Word::Query(segment, ask)) {
                Some(Order::QueryResult(answer)) => Some(answer),
                _ => None,
            }
        })
    }

    /// Carries out an order; `None` if it makes no sense, or the host has ended.
    fn carry_out(&mut self, order: Order) -> Option<()> {
        match order {
            Order::Compile(source) => {
                let checked =
                    Compiled::from_source(&source).and_then(|compiled| match source.kind {
                        ScriptKind::Policy => refuse_slips(compiled),
                        ScriptKind::Skill | ScriptKind::Test => Ok(compiled),
                    });
                let outline = checked.map(|compiled| {
                    let outline = compiled.outline();
                    // The host counts too, and gives no number to what does not compile.
                    self.compiled.push(compiled);
                    outline
                });
                self.say(&Word::Compiled(outline))
            }
            Order::CompileLine(text, libraries) => {
                let compiled = line::compiles(&text, &Arc::new(libraries));
                self.say(&Word::Compiled(compiled.map(|()| Outline::default())))
            }
            Order::Check(role, source) => {
                let Source { file, text, libraries, .. } = source;
                let findings = lint::check_here(role, &file, &text, &Arc::new(libraries));
                self.say(&Word::Checked(findings))
            }
            Order::Run { at, start, params, budget, covered } => {
                let skill = self.compiled.get(at)?.clone();
                let session = session_of(start, &self.host());
                session.listen(self.printed());
                let coverage = covered.then(|| Arc::new(Coverage::default()));
                let result = run(&skill, &params, budget, &session, coverage.as_ref());
                let wanted = Box::new(session.wanted());
                let covered = coverage.map(|coverage| coverage.take()).unwrap_or_default();
                self.say(&Word::Done { result, wanted, covered })
            }
            Order::Line { line, start, budget } => {
                let (session, mut variables) = match self.lines.take() {
                    Some((session, variables)) => {
                        session.begin_with(start);
                        (session, variables)
                    }
                    None => {
                        let session = session_of(start, &self.host());
                        session.listen(self.printed());
                        (session, Variables::new())
                    }
                };
                self.set_running(Some(Arc::clone(session.stop())));
                let outcome = variables.run(line, &session, budget);
                // A stop that arrives late must not hit the next line, which has the same session.
                self.set_running(None);
                let wanted = Box::new(session.wanted());
                self.lines = Some((session, variables));
                self.say(&Word::Lined(Box::new(outcome), wanted))
            }
            Order::Judge { case, run, policies, budget } => {
                let case = judged_of(case, &self.host())?;
                case.session.listen(self.printed());
                let run = Arc::new(run);
                for (at, name) in policies {
                    let policy = self.compiled.get(at)?;
                    let rulings = judge(&name, policy, &case, &run, budget);
                    self.say(&Word::Judged(rulings, case.session.reads()))?;
                }
                Some(())
            }
            Order::Play { at, test, start } => {
                let file = self.compiled.get(at)?.clone();
                let session = session_of(start, &self.host());
                session.listen(self.printed());
                let stage = Arc::new(RemoteStage(Arc::clone(&self.pipe)));
                let outcome = play(&file, &test, &session, stage);
                self.say(&Word::Played(outcome))
            }
            // Answers are taken where the query was sent, and stops by the thread that listens: one
            // that gets here breaks the protocol.
            Order::QueryResult(_) | Order::Staged(_) | Order::Stop => None,
        }
    }

    fn set_running(&self, stop: Option<Arc<Stop>>) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = stop;
    }

    /// Returns a listener that passes on at once what is printed.
    fn printed(&self) -> impl Fn(&str) + Send + Sync + 'static {
        let pipe = Arc::clone(&self.pipe);
        move |line| {
            let mut pipe = pipe.lock().unwrap_or_else(PoisonError::into_inner);
            // If the host has ended, the next query fails.
            let _said = pipe.say(&Word::Printed(line.to_owned()));
        }
    }
}
