//! `planwright test`: the tests of the workspace, each on a board of its own, so that they can run
//! at the same time.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;

use crate::app::error::AppError;
use crate::app::test_stage::EmulatorStage;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::files::{self, Access};
use crate::cli::render::table::Column;
use crate::cli::render::tests_played::Played;
use crate::cli::render::text::{BOLD, DIM, GREEN, RED, count, paint, visible};
use crate::cli::render::{failure, junit};
use crate::cli::show;
use crate::host::similar::{did_you_mean, nearest};
use crate::host::{Failure, Stop};
use crate::script::Workspace;
use crate::script::sandbox::coverage::{Coverage, Covered};
use crate::script::testing::TestFile;

mod watch;

const EXAMPLES: &str = "\
Examples:
  planwright test                     run every test in scripts/tests
  planwright test due_soon            run those in scripts/tests/due_soon.rhai
  planwright test due_soon::second    run those with `second` in their name
  planwright test --coverage          also show which lines of skills were not run
  planwright test --junit report.xml
  planwright test --watch             run them again whenever the workspace changes

Each test runs on an empty Planner of its own, with a clock that stands still and the
policies of the workspace. `planwright api` shows what tests can call.";

/// Run the tests of skills and policies
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TestArgs {
    /// Test files, by name or path; `file::part` for tests with `part` in their name
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
    /// Write a report that build servers read
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Run N tests at once (default: one per processor)
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Show which lines of skills and libraries were not run
    #[arg(long, conflicts_with = "watch")]
    coverage: bool,
    /// Run the tests again whenever the workspace changes, until Ctrl-C
    #[arg(long, conflicts_with = "junit")]
    watch: bool,
}

pub(crate) fn run(context: &Context<'_>, args: &TestArgs) -> Result<Exit, AppError> {
    if args.watch {
        return watch::run(context, args);
    }
    let began = Instant::now();
    let files = chosen(&context.app.workspace, &args.paths)?;
    if files.is_empty() {
        context.ui.note("No tests in this workspace: scripts/tests has no files.");
    }
    let coverage = args.coverage.then(Arc::<Coverage>::default);
    let interrupt = context.interrupt();
    let played =
        play(context, &context.app.workspace, &interrupt, files, args.jobs, coverage.as_ref())?;
    if played.is_empty() && !args.paths.is_empty() {
        let named = args.paths.join("`, `");
        return Err(AppError::new("not_found", format!("no test is called `{named}`"))
            .hint("`planwright test` plays them all, and names each"));
    }
    let covered =
        coverage.map(|coverage| covered(&context.app.workspace, &coverage)).unwrap_or_default();
    let n_failed = played.iter().filter(|test| !test.passed).count();
    if let Some(file) = &args.junit {
        files::write(file, &junit::write(&played), Access::Usual)?;
    }
    if context.ui.json() {
        context.ui.json_report(&serde_json::json!({
            "ok": n_failed == 0,
            "passed": played.len() - n_failed,
            "failed": n_failed,
            "tests": played,
            "coverage": covered,
        }));
    } else {
        show(context, &played, began.elapsed());
        show_covered(context, &covered);
    }
    Ok(if n_failed == 0 { Exit::Done } else { Exit::Input })
}

/// A test file, with the part that the names of its chosen tests must have.
struct Chosen {
    name: String,
    text: String,
    part: String,
}

fn chosen(workspace: &Workspace, paths: &[String]) -> Result<Vec<Chosen>, AppError> {
    let of = |name: &str, text: &str, part: &str| Chosen {
        name: name.to_owned(),
        text: text.to_owned(),
        part: part.to_owned(),
    };
    if paths.is_empty() {
        return Ok(workspace.tests.iter().map(|(name, text)| of(name, text, "")).collect());
    }
    let mut files = Vec::new();
    for path in paths {
        let (name, part) = path.split_once("::").unwrap_or((path, ""));
        if let Some(text) = workspace.tests.get(name) {
            files.push(of(name, text, part));
            continue;
        }
        let path = Path::new(name);
        if path.is_dir() {
            let inside = workspace.root.as_ref().map(|root| root.join("scripts/tests"));
            let folder = path.canonicalize()?;
            let tests = inside.filter(|path| path.canonicalize().is_ok_and(|real| real == folder));
            if tests.is_some() {
                files.extend(workspace.tests.iter().map(|(name, text)| of(name, text, part)));
                continue;
            }
        } else if let Some((name, text)) = in_workspace(workspace, path) {
            files.push(of(name, text, part));
            continue;
        } else if path.extension().is_some_and(|extension| extension == "rhai") {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            files.push(of(&stem, &files::read_script(path)?, part));
            continue;
        }
        let near = nearest(name, workspace.tests.keys().map(String::as_str));
        let error = AppError::new("not_found", format!("there is no test file `{name}`"));
        return Err(match near.as_slice() {
            [] => error.hint("tests are in scripts/tests of the workspace"),
            near => error.hint(did_you_mean(near)),
        });
    }
    Ok(files)
}

/// Finds a test file that was read with the workspace; returns its name and text.
fn in_workspace<'a>(workspace: &'a Workspace, path: &Path) -> Option<(&'a str, &'a str)> {
    let folder = workspace.root.as_ref()?.join("scripts/tests").canonicalize().ok()?;
    let path = path.canonicalize().ok()?;
    let name = path.strip_prefix(folder).ok()?.to_str()?.strip_suffix(".rhai")?;
    workspace.tests.get_key_value(name).map(|(name, text)| (name.as_str(), text.as_str()))
}

/// Runs every test, several at once; returns the outcomes in order.
fn play(
    context: &Context<'_>,
    workspace: &Workspace,
    interrupt: &Arc<Stop>,
    files: Vec<Chosen>,
    jobs: Option<usize>,
    coverage: Option<&Arc<Coverage>>,
) -> Result<Vec<Played>, AppError> {
    let mut played: Vec<(usize, Played)> = Vec::new();
    let mut queue: VecDeque<(usize, Arc<TestFile>, String)> = VecDeque::new();
    let mut n = 0;
    for Chosen { name, text, part } in files {
        match TestFile::compile(&name, &text, &workspace.libraries) {
            Ok(file) => {
                let file = Arc::new(file);
                for test in file.tests.iter().filter(|name| name.contains(&part)) {
                    queue.push_back((n, Arc::clone(&file), test.clone()));
                    n += 1;
                }
            }
            // A file that does not compile counts as one failed test.
            Err(error) => {
                let duration = Duration::ZERO;
                let (output, error) = (Vec::new(), Some(error));
                let broken =
                    Played { file: name, test: None, passed: false, duration, output, error };
                played.push((n, broken));
                n += 1;
            }
        }
    }
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = jobs.unwrap_or(processors).clamp(1, 64).min(queue.len().max(1));
    let (queue, results) = (Mutex::new(queue), Mutex::new(Vec::new()));
    let workspace = Arc::new(workspace.clone());
    let runtime = context.handle();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    // After Ctrl-C, no further test begins.
                    let Some((n, file, test)) = next.filter(|_| !interrupt.is_set()) else {
                        return;
                    };
                    let began = Instant::now();
                    let stage = EmulatorStage::new(
                        Arc::clone(&workspace),
                        &runtime,
                        Arc::clone(interrupt),
                        coverage.cloned(),
                    );
                    let (output, result) = match stage {
                        Ok(stage) => Arc::new(stage).play(&file, &test),
                        Err(error) => (Vec::new(), Err(error.failure)),
                    };
                    let one = Played {
                        file: file.name.clone(),
                        test: Some(test),
                        passed: result.is_ok(),
                        duration: began.elapsed(),
                        output,
                        error: result.err(),
                    };
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((n, one));
                }
            });
        }
    });
    played.extend(results.into_inner().unwrap_or_else(PoisonError::into_inner));
    // The threads finish in any order.
    played.sort_by_key(|(n, _)| *n);
    Ok(played.into_iter().map(|(_, test)| test).collect())
}

/// Returns the coverage of each skill and library of the workspace itself.
fn covered(workspace: &Workspace, coverage: &Coverage) -> Vec<Covered> {
    let skills = workspace.skills.iter().map(|(name, text)| (format!("skills/{name}.rhai"), text));
    let libraries =
        workspace.libraries.iter().map(|(name, text)| (format!("lib/{name}.rhai"), text));
    let own = skills.chain(libraries).filter(|(file, _)| workspace.is_own(file));
    own.map(|(file, text)| coverage.of(&file, text)).collect()
}

fn show_covered(context: &Context<'_>, covered: &[Covered]) {
    if covered.is_empty() {
        return;
    }
    let rows: Vec<_> = covered
        .iter()
        .map(|script| {
            let share = (script.covered * 100).checked_div(script.lines).unwrap_or(100);
            vec![script.file.clone(), format!("{share} %"), ranges(&script.missing)]
        })
        .collect();
    let columns = [Column::title("FILE"), Column::right("LINES RUN"), Column::whole("NOT RUN")];
    context.ui.answer("");
    show::list(context.ui, &columns, &rows, &[], "");
}

/// Formats line numbers, with consecutive ones as ranges: `3, 7-9`.
fn ranges(lines: &[usize]) -> String {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for &line in lines {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == line => *last = line,
            _ => parts.push((line, line)),
        }
    }
    let ranges = parts.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    ranges.collect::<Vec<_>>().join(", ")
}

fn show(context: &Context<'_>, played: &[Played], took: Duration) {
    for test in played {
        let mark = if test.passed { paint(GREEN, "ok") } else { paint(RED.bold(), "FAILED") };
        let time = paint(DIM, &format!("{} ms", test.duration.as_millis()));
        context.ui.answer(&format!("{mark} {} {time}", visible(&test.name())));
    }
    for test in played.iter().filter(|test| !test.passed) {
        context.ui.note(&format!("\n{}", paint(BOLD, &visible(&test.name()))));
        for line in &test.output {
            context.ui.note(&format!("  {} {}", paint(DIM, "printed"), visible(line)));
        }
        if let Some(error) = &test.error {
            // A difference takes several lines, which may hold text of the board: a margin keeps
            // them apart from lines of the program.
            let mut lines = error.message.lines();
            let message = lines.next().unwrap_or_default().to_owned();
            context.ui.note(&failure::text(&Failure { message, ..error.clone() }));
            for line in lines {
                context.ui.note(&format!("    {}", visible(line)));
            }
        }
    }
    let n_failed = played.iter().filter(|test| !test.passed).count();
    let passed = count(played.len() - n_failed, "test");
    let seconds = took.as_secs_f64();
    context.ui.answer("");
    context.ui.answer(&match n_failed {
        0 => format!("{passed} passed in {seconds:.1} s."),
        n => format!("{passed} passed, {n} failed in {seconds:.1} s."),
    });
}
