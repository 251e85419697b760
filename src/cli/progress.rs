//! RunProgress of a run: a bar for a person, lines of JSON for a program. On stderr, because stdout
//! carries the answer.

use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

use crate::cli::options::ProgressWhen;
use crate::cli::ui;
use crate::host::{RunProgress, Watch};

/// Fewest requests for which a bar is worth showing.
const FROM: usize = 20;
const BAR: &str = "{bar:30} {pos}/{len}  {per_sec}  {eta} left{msg}";

/// Returns the display of progress that was chosen.
pub(crate) fn watch(when: ProgressWhen, is_quiet: bool) -> Watch {
    match when {
        ProgressWhen::Never => Watch::default(),
        ProgressWhen::Json => json(),
        ProgressWhen::Auto if is_quiet => Watch::default(),
        ProgressWhen::Auto => bar(),
    }
}

fn json() -> Watch {
    let last: Mutex<Option<RunProgress>> = Mutex::default();
    Watch::new(move |progress| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        // A step may be reported twice; a line is printed only if something has changed.
        if last.replace(progress) != Some(progress) {
            ui::remark(&serde_json::to_string(&progress).unwrap_or_default());
        }
    })
}

/// Returns a bar that draws nothing unless stderr is a terminal, and disappears at the end.
fn bar() -> Watch {
    let style = ProgressStyle::with_template(BAR)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    let bar: Arc<Mutex<Option<ProgressBar>>> = Arc::default();
    Watch::new(move |progress| {
        let mut bar = bar.lock().unwrap_or_else(PoisonError::into_inner);
        match progress {
            RunProgress::Applying { total, .. } if total < FROM && bar.is_none() => {}
            RunProgress::Applying { done, total } => {
                let bar = bar.get_or_insert_with(|| {
                    ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
                        .with_style(style.clone())
                        .with_finish(ProgressFinish::AndClear)
                });
                bar.set_length(u64::try_from(total).unwrap_or(u64::MAX));
                bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
            }
            RunProgress::Replaying { times } => {
                if let Some(bar) = bar.as_ref() {
                    bar.set_message(format!("  run again: {times}"));
                }
            }
        }
    })
}
