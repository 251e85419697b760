//! Hot reload: the version of a workspace that is in force follows its files.
//!
//! One thread scans the folder, compiles aside what changed, and swaps one [`Arc<Bundle>`](Bundle).
//! Whoever runs something takes [`Watcher::current`] once and keeps it to the end, so that no run
//! sees two versions and none is disturbed.
//!
//! An event of the file system only means "scan again", and every scan is the same: walk, read what
//! is new *and whole*, compile, swap. Events that are lost, or never come (network folders), delay
//! a change but do not lose it: the thread scans at intervals, too.
//!
//! # No file is read half-written
//!
//! - Where the system reports that a file was closed after writing, or put in place by a rename or
//!   as a link, the file is whole at that moment and is read at once. One that was written to and
//!   not closed keeps its last text until 30 s after the last write, whatever else makes the thread
//!   scan: by then, whoever holds it open is not saving.
//! - A scan takes time, and the next save may begin during it. So after reading, the thread waits
//!   until every event up to then is known (a fence, see [`native`]), and walks again. A file that
//!   was written to, or whose stamp has changed since it was read, counts as not read; the close
//!   that follows makes it scan again. If a folder or link was swapped, which would mix the old
//!   tree with the new one, the whole scan is discarded and done again.
//! - Most saves begin by emptying the file, and that shows before the system reports it, long
//!   before if it waits for the disk. So a file that has become empty is believed only after 2 s.
//! - A change that no event reported must stay the same for a while before it is believed: the
//!   quiet time, or a whole interval where there are no events. The same goes for a missing file:
//!   some editors delete before they write.
//!
//! Two cases cannot be detected: two programs that write one file at once, of which one closes it;
//! and a pause in the writing that is longer than the quiet time, where the system does not report
//! closing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::change::ChangeSet;
use crate::host::{Judge, PlanNames, Session, Start};
use crate::policy::Ruling;
use crate::script::reload::bundle::{Bundle, Problem, Texts};
use crate::script::reload::debounce::{Patience, Seen, Settling, Sign, Verdict};
use crate::script::reload::native::{Native, Signal, TELLS_CLOSING};
use crate::script::workspace::scan::{Found, Walk, is_ignored, read_found, read_text, walk};
use crate::script::workspace::{CONFIG_FILE, WorkspaceError};

pub mod bundle;
mod debounce;
mod native;

/// The time after its last write at which a file that is never closed is read anyway.
const HELD_OPEN: Duration = Duration::from_secs(30);
/// The time a file must have been empty to be believed.
const EMPTY: Duration = Duration::from_secs(2);
/// The number of times a scan is done again because folders were swapped under it.
const STALE_LOOKS: usize = 8;
/// The number of intervals after which every file is read, whatever its stamp says.
const FULL_EVERY: u32 = 15;

/// The settings of a watcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// True to use events of the file system; without them only intervals count.
    pub events: bool,
    /// The interval at which files are scanned without an event.
    pub interval: Duration,
    /// The time a change that no event reported must have stayed the same.
    pub quiet: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { events: true, interval: Duration::from_secs(2), quiet: Duration::from_millis(100) }
    }
}

/// The news that another version is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// Its number.
    pub generation: u64,
    /// The files whose effect has changed; none if an edit is broken, or was undone.
    pub changed: Vec<String>,
    /// The sources that are broken since this version. Each is reported once; those that last are
    /// in [`Bundle::problems`].
    pub problems: Vec<Problem>,
}

type Listener = Box<dyn Fn(&Reloaded) + Send>;

struct Shared {
    current: RwLock<Arc<Bundle>>,
    listeners: Mutex<Vec<Listener>>,
}

impl Shared {
    fn current(&self) -> Arc<Bundle> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The version of a workspace that is in force. Stops watching when it is dropped.
pub struct Watcher {
    shared: Arc<Shared>,
    signals: Sender<Signal>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let generation = self.current().generation;
        f.debug_struct("Watcher").field("generation", &generation).finish_non_exhaustive()
    }
}

impl Watcher {
    /// Reads and compiles the workspace in a folder, and watches it.
    ///
    /// # Errors
    /// It has no configuration or a wrong one: there is no good version to begin with. Scripts
    /// that are broken are among the problems of the version.
    pub fn start(root: &Path, options: Options) -> Result<Self, WorkspaceError> {
        let unreadable = |source| WorkspaceError::Unreadable { path: root.to_owned(), source };
        let (signals, receiver) = channel();
        let root = std::path::absolute(root).map_err(unreadable)?;
        let mut reloader = Reloader::new(root, options, signals.clone(), receiver);
        // Before there is a thread: a workspace that is wrong from the start is the caller's error.
        let bundle = reloader.first()?;
        let shared = Arc::new(Shared {
            current: RwLock::new(Arc::new(bundle)),
            listeners: Mutex::default(),
        });
        let thread = std::thread::Builder::new().name("planwright-reload".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || reloader.run(&shared)
        });
        let thread = Some(thread.map_err(unreadable)?);
        Ok(Self { shared, signals, thread })
    }

    /// Holds a version that stays: the workspace inside the program has no files.
    #[must_use]
    pub fn still(bundle: Bundle) -> Self {
        let current = RwLock::new(Arc::new(bundle));
        let shared = Arc::new(Shared { current, listeners: Mutex::default() });
        // The receiver is dropped at once: asking for a scan fails, and nobody waits for one.
        Self { shared, signals: channel().0, thread: None }
    }

    /// Returns the version in force. A run takes it once and keeps it.
    #[must_use]
    pub fn current(&self) -> Arc<Bundle> {
        self.shared.current()
    }

    /// Returns the judge of runs of `agent`: at each judgement, the policies in force then. A
    /// policy that was tightened judges what began before.
    #[must_use]
    pub fn judge(&self, agent: Option<&str>) -> Arc<dyn Judge> {
        Arc::new(InForce { shared: Arc::clone(&self.shared), agent: agent.map(str::to_owned) })
    }

    /// Calls `listener` whenever another version is in force, from the thread that reloads: it
    /// must not wait, nor drop the watcher.
    pub fn subscribe(&self, listener: impl Fn(&Reloaded) + Send + 'static) {
        let listeners = &self.shared.listeners;
        listeners.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(listener));
    }

    /// Scans now, event or not.
    pub fn look(&self) {
        // Nobody listens where nothing is watched.
        drop(self.signals.send(Signal::Look(None)));
    }

    /// Scans now, and waits until all changes are in force and nothing is being written, or for so
    /// long. Listeners have been called by then.
    pub fn look_and_wait(&self, at_most: Duration) {
        let (done, looked) = channel();
        if self.signals.send(Signal::Look(Some(done))).is_ok() {
            // A thread that stops drops the sender, which ends the wait.
            let _in_time = looked.recv_timeout(at_most);
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.signals.send(Signal::Stop));
        if let Some(thread) = self.thread.take() {
            // The thread returns nothing.
            drop(thread.join());
        }
    }
}

/// The policies in force, whichever these are when it judges.
struct InForce {
    shared: Arc<Shared>,
    agent: Option<String>,
}

impl Judge for InForce {
    fn plan_names(&self) -> PlanNames {
        self.shared.current().policies(self.agent.as_deref()).plan_names()
    }

    fn judge(&self, session: &Session, set: &ChangeSet, start: &Start) -> Vec<Ruling> {
        self.shared.current().policies(self.agent.as_deref()).judge(session, set, start)
    }

    fn digests(&self) -> BTreeMap<String, String> {
        self.shared.current().policies(self.agent.as_deref()).digests()
    }
}

/// The part that scans, compiles and swaps; it lives on its thread.
struct Reloader {
    root: PathBuf,
    options: Options,
    signals: Receiver<Signal>,
    /// For the events.
    sender: Sender<Signal>,
    native: Option<Native>,
    settling: Settling,
    texts: Texts,
    /// True if there is a reason to scan besides the time.
    look: bool,
    /// Those who wait for the scan.
    waiting: Vec<Sender<()>>,
    stop: bool,
    /// The time of the next scan, if nothing happens.
    due: Option<Instant>,
    n_intervals: u32,
}

/// The error of a scan under which folders were swapped.
struct Stale;

impl Reloader {
    fn new(
        root: PathBuf,
        options: Options,
        sender: Sender<Signal>,
        signals: Receiver<Signal>,
    ) -> Self {
        Self {
            root,
            options,
            signals,
            sender,
            native: None,
            settling: Settling::default(),
            texts: Texts::default(),
            look: false,
            waiting: Vec::new(),
            stop: false,
            due: None,
            n_intervals: 0,
        }
    }

    /// Reads and compiles what is there, as it is.
    fn first(&mut self) -> Result<Bundle, WorkspaceError> {
        self.watch();
        let zero = Duration::ZERO;
        let at_once = Patience { quiet: zero, empty: zero, writing: zero };
        for _ in 0..STALE_LOOKS {
            if self.look_once(at_once).is_ok() {
                break;
            }
        }
        let config = self.root.join(CONFIG_FILE);
        if !self.texts.good.contains_key(CONFIG_FILE) && config.is_file() {
            // The configuration is there but was not read: reading it again gives the error.
            read_text(&config)?;
        }
        Bundle::first(&self.root, &self.texts)
    }

    fn run(mut self, shared: &Shared) {
        let mut interval = Instant::now() + self.options.interval;
        while !self.stop {
            let until = self.due.map_or(interval, |due| due.min(interval));
            if !self.look {
                match self.signals.recv_timeout(until.saturating_duration_since(Instant::now())) {
                    Ok(signal) => self.hear(signal),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            // One save makes several events: all that have come are one reason to scan.
            for signal in self.signals.try_iter().collect::<Vec<_>>() {
                self.hear(signal);
            }
            let now = Instant::now();
            let told = std::mem::take(&mut self.look);
            if now >= interval {
                interval = now + self.options.interval;
                self.at_interval();
            } else if !told && self.due.is_none_or(|due| now < due) {
                continue;
            }
            if self.stop {
                return;
            }
            let texts = self.texts.clone();
            let expected = told || self.due.is_some();
            self.look_again(expected);
            if self.texts != texts {
                self.publish(shared);
            }
            // With a time set, something has yet to settle, and whoever waits would miss it.
            if self.due.is_none() {
                for who in self.waiting.drain(..) {
                    let _gone = who.send(());
                }
            }
        }
    }

    /// Compiles what there is now, and puts it in force.
    fn publish(&self, shared: &Shared) {
        let before = shared.current();
        let bundle = Arc::new(before.next(&self.texts));
        let event = Reloaded {
            generation: bundle.generation,
            changed: bundle.changed_since(&before),
            problems: bundle.problems_since(&before),
        };
        // All is compiled by now: no run waits for the compiler at this lock. Listeners come after
        // the swap, so that one that asks gets the version it is told of.
        *shared.current.write().unwrap_or_else(PoisonError::into_inner) = bundle;
        let listeners = shared.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.iter().for_each(|listener| listener(&event));
    }

    fn hear(&mut self, signal: Signal) {
        let sign = match signal {
            Signal::Sign(sign) => sign,
            // It comes late, after the wait for it was given up, or someone else opened the root.
            Signal::Fence => return,
            Signal::Look(who) => {
                self.waiting.extend(who);
                return self.look = true;
            }
            Signal::Stop => return self.stop = true,
        };
        let now = Instant::now();
        self.settling.note(&sign, now);
        match (&sign, &mut self.native) {
            // The text is not whole yet. The close that follows is the reason to scan; should none
            // come, this time is.
            (Sign::Written(_), _) => {
                let then = now + self.patience().writing;
                self.due = Some(self.due.map_or(then, |due| due.min(then)));
                return;
            }
            // Editors save such files while a person types: each would cause a scan for nothing.
            (Sign::Closed(path), _) if is_editors_own(path) => return,
            (Sign::Gone(path) | Sign::Moved(path, _), Some(native)) => native.disarm(path),
            // Nobody knows which events are missing: a text may have changed under the same stamp,
            // and a folder been replaced that is taken for watched.
            (Sign::Lost, native) => {
                self.settling.doubt_all();
                native.iter_mut().for_each(Native::doubt_all);
            }
            _ => {}
        }
        self.look = true;
    }

    fn at_interval(&mut self) {
        self.n_intervals = self.n_intervals.wrapping_add(1);
        let full = self.n_intervals.is_multiple_of(FULL_EVERY);
        // A text can change while its stamp stays the same, within a tick of the clock.
        if full {
            self.settling.doubt_all();
        }
        // Watches follow folders, not links: where the root is a link that was pointed elsewhere,
        // they go on reporting the old tree.
        let is_elsewhere = self.native.as_ref().is_some_and(|native| !native.is_of(&self.root));
        if is_elsewhere || (full && self.native.is_none()) {
            self.watch();
        }
        self.settling.forget_writers(self.patience(), Instant::now());
    }

    /// Begins to listen for events; the next walk finds the folders to watch.
    fn watch(&mut self) {
        self.native = None;
        if self.options.events {
            self.native = Native::new(&self.root, &self.sender);
        }
    }

    fn patience(&self) -> Patience {
        let Options { interval, quiet, .. } = self.options;
        let slow = quiet.max(interval);
        match self.native {
            Some(_) if TELLS_CLOSING => Patience { quiet, empty: EMPTY, writing: HELD_OPEN },
            Some(_) => Patience { quiet, empty: EMPTY, writing: quiet },
            None => Patience { quiet: slow, empty: slow, writing: slow },
        }
    }

    /// Scans until the result is consistent; `expected` says that an event announced news.
    fn look_again(&mut self, expected: bool) {
        for _ in 0..STALE_LOOKS {
            match self.look_once(self.patience()) {
                Ok(()) if !expected && self.due.is_some() => {
                    // There is news that no event reported: perhaps the watched folders are no
                    // longer those in place.
                    return self.native.iter_mut().for_each(Native::doubt_all);
                }
                Ok(()) => return,
                Err(Stale) => {}
            }
        }
        // Folders are swapped all the time: scan again after the quiet time.
        self.due = Some(Instant::now() + self.options.quiet);
    }

    fn walk(&mut self) -> Walk {
        let native = &mut self.native;
        walk(&self.root, &mut |folder, id| {
            if let Some(native) = native {
                native.arm(folder, id);
            }
        })
    }

    fn look_once(&mut self, patience: Patience) -> Result<(), Stale> {
        // Before the walk: what is closed during it may be read too early here, and so counts for
        // the next scan.
        let (now, whole) = (Instant::now(), self.settling.take_whole());
        let walk = self.walk();
        let mut due: Option<Instant> = None;
        let mut wait = |until: Instant| due = Some(due.map_or(until, |due| due.min(until)));
        let mut news: BTreeMap<String, News> = BTreeMap::new();
        let mut names = self.settling.names();
        // A file in a folder that cannot be listed just now was not deleted: it keeps its text.
        names.retain(|name| !walk.files.contains_key(name) && !walk.is_hidden(name));
        names.extend(walk.files.keys().cloned());
        for name in names {
            match self.settling.judge(&name, walk.seen(&name), &whole, patience, now) {
                Verdict::Known => {}
                Verdict::Wait(until) => wait(until),
                Verdict::Read => match walk.files.get(&name) {
                    None => _ = news.insert(name, News::Gone),
                    Some(Err(error)) => _ = news.insert(name, News::Unreadable(said(error))),
                    Some(Ok(found)) => match read_found(found) {
                        Ok(Some(text)) => _ = news.insert(name, News::Text(text)),
                        Ok(None) => wait(now + patience.quiet),
                        Err(error) => _ = news.insert(name, News::Unreadable(said(&error))),
                    },
                },
            }
        }
        self.due = due;
        let is_news = news.iter().any(|(name, news)| !self.texts.has(name, news));
        if is_news && let Err(stale) = self.settle(&walk, &mut news, patience) {
            // Each sign comes once: without it, the next scan would have the file wait.
            self.settling.put_back(whole);
            return Err(stale);
        }
        for (name, news) in news {
            match news {
                News::Gone => self.settling.forget(&name),
                _ => self.settling.was_read(&name),
            }
            self.texts.take(name, news);
        }
        if let Some(native) = &mut self.native {
            native.keep(&walk.folders);
        }
        Ok(())
    }

    /// Drops from the news what changed while it was read.
    fn settle(
        &mut self,
        walk: &Walk,
        news: &mut BTreeMap<String, News>,
        patience: Patience,
    ) -> Result<(), Stale> {
        let is_first = patience.quiet.is_zero();
        if let Some(native) = self.native.as_ref().filter(|_| !is_first) {
            let mut heard = Vec::new();
            let is_known = native.fence(&self.signals, &mut heard);
            heard.into_iter().for_each(|signal| self.hear(signal));
            if !is_known {
                tracing::warn!("file events have stopped; scanning at intervals instead");
                self.native = None;
                self.due = Some(Instant::now() + patience.quiet);
                // Without the fence nothing that was read is known to be whole.
                news.clear();
                return Ok(());
            }
        }
        let again = self.walk();
        let is_led_elsewhere = walk.files.keys().any(|name| {
            let (before, now) = (walk.found(name), again.found(name));
            before.zip(now).is_some_and(|(before, now)| before.real != now.real)
        });
        if again.folders != walk.folders || is_led_elsewhere {
            return Err(Stale);
        }
        let n_read = news.len();
        news.retain(|name, _| {
            let found = walk.found(name);
            found == again.found(name)
                && (is_first || found.is_none_or(|found| self.settling.is_untouched(found)))
        });
        // A change without an event would otherwise not be read until the next interval.
        if news.len() < n_read {
            let then = Instant::now() + patience.quiet;
            self.due = Some(self.due.map_or(then, |due| due.min(then)));
        }
        Ok(())
    }
}

/// The news of a file from a scan.
enum News {
    Text(String),
    Unreadable(String),
    Gone,
}

impl Texts {
    fn has(&self, name: &str, news: &News) -> bool {
        let (good, unreadable) = (self.good.get(name), self.unreadable.get(name));
        match news {
            News::Text(text) => good == Some(text) && unreadable.is_none(),
            News::Unreadable(why) => unreadable == Some(why),
            News::Gone => good.is_none() && unreadable.is_none(),
        }
    }

    /// Takes the news of a file; one that cannot be read keeps the text that it had.
    fn take(&mut self, name: String, news: News) {
        match news {
            News::Text(text) => {
                self.unreadable.remove(&name);
                self.good.insert(name, text);
            }
            News::Unreadable(why) => _ = self.unreadable.insert(name, why),
            News::Gone => {
                self.good.remove(&name);
                self.unreadable.remove(&name);
            }
        }
    }
}

impl Walk {
    fn seen(&self, name: &str) -> Seen<'_> {
        match self.files.get(name) {
            Some(Ok(found)) => Seen::File(found),
            Some(Err(error)) => Seen::Unreadable(said(error)),
            None => Seen::Nothing,
        }
    }

    fn found(&self, name: &str) -> Option<&Found> {
        self.files.get(name)?.as_ref().ok()
    }

    /// Returns whether a file may be in a folder that cannot be listed.
    fn is_hidden(&self, name: &str) -> bool {
        self.files.keys().any(|folder| folder.ends_with('/') && name.starts_with(folder.as_str()))
    }
}

fn is_editors_own(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_none_or(is_ignored)
}

/// Describes an error with its cause, without the folder it is in.
fn said(error: &WorkspaceError) -> String {
    match error {
        WorkspaceError::Unreadable { source, .. } => format!("cannot be read: {source}"),
        WorkspaceError::NotAFile(_) => "not a regular file".to_owned(),
        WorkspaceError::TooLarge(_) => {
            format!("larger than {} bytes", crate::script::source::MAX_SOURCE)
        }
        WorkspaceError::NotText(_) => "not UTF-8 text".to_owned(),
        WorkspaceError::Escapes(_) => "leads out of the workspace".to_owned(),
        WorkspaceError::Circle(_) => "leads in a circle".to_owned(),
        WorkspaceError::TooMuch { what, limit, .. } => {
            format!("left out with all that comes after it: more than {limit} {what}")
        }
        other => other.to_string(),
    }
}
