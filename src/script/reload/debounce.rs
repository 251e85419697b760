//! The decision when a file is whole: signs and scans in, files to read out. Pure, with the time
//! passed in, so that any order of events can be tested.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::script::workspace::scan::{Found, Stamp};

/// The meaning of an event for a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sign {
    /// Someone began to write there, or goes on.
    Written(PathBuf),
    /// It was closed after writing.
    Closed(PathBuf),
    /// It was put there as a whole, with all that is in it.
    Whole(PathBuf),
    /// The first became the second.
    Moved(PathBuf, PathBuf),
    /// It went away.
    Gone(PathBuf),
    /// Something happened that says nothing of the text.
    Other,
    /// Signs were lost.
    Lost,
}

/// The times to wait where no event says that a file is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience {
    /// The time it must have stayed the same.
    pub(crate) quiet: Duration,
    /// The same for one that has become empty.
    pub(crate) empty: Duration,
    /// The time one that was written to must have been left alone.
    pub(crate) writing: Duration,
}

/// The decision about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the one that was read last.
    Known,
    /// It is whole, or missing for good: read it.
    Read,
    /// It may be half written, or missing only for a moment: scan again then.
    Wait(Instant),
}

/// A file as it is seen.
#[derive(Debug, Clone)]
pub(crate) enum Seen<'a> {
    /// It is there.
    File(&'a Found),
    /// It is there and cannot be read; why.
    Unreadable(String),
    /// It is not there.
    Nothing,
}

/// The facts that tell a file from what it was before: its stamp and where it really lies, or why
/// it cannot be read.
type Spot = Option<Result<(Stamp, PathBuf), String>>;

#[derive(Debug)]
struct Look {
    spot: Spot,
    /// The time it was first seen like this.
    since: Instant,
    /// True if its text was read as it is now.
    read: bool,
    /// True if a link now leads elsewhere.
    led_elsewhere: bool,
}

/// The known state of the files of a workspace.
#[derive(Debug, Default)]
pub(crate) struct Settling {
    /// The files that are being written, with the time of the last write.
    writing: BTreeMap<PathBuf, Instant>,
    /// The files that were put in place whole since the last scan.
    whole: BTreeSet<PathBuf>,
    looks: BTreeMap<String, Look>,
}

impl Settling {
    /// Records a sign.
    pub(crate) fn note(&mut self, sign: &Sign, now: Instant) {
        match sign {
            Sign::Written(path) => {
                self.writing.insert(path.clone(), now);
                self.whole.remove(path);
            }
            Sign::Closed(path) | Sign::Whole(path) => {
                self.writing.remove(path);
                self.whole.insert(path.clone());
            }
            // Whoever writes a file goes on writing it under its new name.
            Sign::Moved(from, to) => {
                if self.writing.remove(from).is_some() {
                    self.note(&Sign::Written(to.clone()), now);
                }
            }
            // It may have been renamed, see above. Whoever wrote when signs were lost may still be
            // writing.
            Sign::Gone(_) | Sign::Other | Sign::Lost => {}
        }
    }

    /// Returns what was put there whole, and forgets it: it counts for one scan.
    pub(crate) fn take_whole(&mut self) -> BTreeSet<PathBuf> {
        std::mem::take(&mut self.whole)
    }

    /// Keeps for another scan what one could not make use of.
    pub(crate) fn put_back(&mut self, whole: BTreeSet<PathBuf>) {
        // Where someone has begun to write in the meantime, the earlier sign is worth nothing.
        let writing = &self.writing;
        self.whole.extend(whole.into_iter().filter(|path| !writing.contains_key(path)));
    }

    /// Returns whether nothing was written there since [`Self::take_whole`].
    pub(crate) fn is_untouched(&self, found: &Found) -> bool {
        !self.writing.contains_key(&found.real) && !self.whole.contains(&found.real)
    }

    /// Decides what to do about a file that was found, or is no longer there.
    pub(crate) fn judge(
        &mut self,
        name: &str,
        seen: Seen<'_>,
        whole: &BTreeSet<PathBuf>,
        patience: Patience,
        now: Instant,
    ) -> Verdict {
        let (found, spot) = match seen {
            Seen::File(found) => (Some(found), Some(Ok((found.stamp.clone(), found.real.clone())))),
            Seen::Unreadable(why) => (None, Some(Err(why))),
            Seen::Nothing => (None, None),
        };
        let look = self.looks.entry(name.to_owned()).or_insert_with(|| Look {
            spot: None,
            since: now,
            read: false,
            led_elsewhere: false,
        });
        if look.spot != spot {
            let real = |spot: &Spot| Some(spot.as_ref()?.as_ref().ok()?.1.clone());
            let (before, after) = (real(&look.spot), real(&spot));
            // A link is swapped in one step, so there is nothing half-written to wait for. It may
            // be seen again before it is read, hence `|=`.
            look.led_elsewhere |= before.is_some() && after.is_some() && after != before;
            *look = Look { spot, since: now, read: false, led_elsewhere: look.led_elsewhere };
        }
        let is_whole = found
            .is_some_and(|found| is_within(whole, &found.real) || is_within(whole, &found.place));
        if is_whole {
            // The same stamp may be that of another text, within a tick of the clock.
            look.read = false;
        }
        if look.read {
            return Verdict::Known;
        }
        // Saves begin by emptying the file, which shows before there is a sign of it.
        let is_empty = found.is_some_and(|found| found.stamp.is_empty());
        let mut is_whole = (is_whole || look.led_elsewhere) && !is_empty;
        let mut due = look.since + if is_empty { patience.empty } else { patience.quiet };
        // A link that was put in place whole may lead to a file that someone is still writing.
        if let Some(last) = found.and_then(|found| self.writing.get(&found.real)) {
            due = due.max(*last + patience.writing);
            is_whole = false;
        }
        if is_whole || due <= now { Verdict::Read } else { Verdict::Wait(due) }
    }

    /// Records that a file was read as it was last seen.
    pub(crate) fn was_read(&mut self, name: &str) {
        if let Some(look) = self.looks.get_mut(name) {
            (look.read, look.led_elsewhere) = (true, false);
        }
    }

    /// Marks every file as unread, so that it is read again.
    pub(crate) fn doubt_all(&mut self) {
        for look in self.looks.values_mut() {
            look.read = false;
        }
    }

    /// Returns the names that were ever seen and not forgotten.
    pub(crate) fn names(&self) -> Vec<String> {
        self.looks.keys().cloned().collect()
    }

    /// Forgets a file that was deleted for good.
    pub(crate) fn forget(&mut self, name: &str) {
        self.looks.remove(name);
    }

    /// Forgets writers whose last write is too long ago to count.
    pub(crate) fn forget_writers(&mut self, patience: Patience, now: Instant) {
        self.writing.retain(|_, last| *last + patience.writing > now);
    }
}

fn is_within(whole: &BTreeSet<PathBuf>, path: &Path) -> bool {
    // A folder that is moved in makes one event, and none for the files in it.
    path.ancestors().any(|folder| whole.contains(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        quiet: Duration::from_millis(100),
        empty: Duration::from_secs(2),
        writing: Duration::from_secs(30),
    };
    const FILE: &str = "skills/a.rhai";

    /// A file, and what is known of it.
    struct Bench {
        settling: Settling,
        start: Instant,
    }

    impl Bench {
        fn new() -> Self {
            Self { settling: Settling::default(), start: Instant::now() }
        }

        fn path() -> PathBuf {
            PathBuf::from("/w/scripts/skills/a.rhai")
        }

        fn at(&self, ms: u64) -> Instant {
            self.start + Duration::from_millis(ms)
        }

        fn sign(&mut self, ms: u64, sign: &Sign) {
            let now = self.at(ms);
            self.settling.note(sign, now);
        }

        fn look(&mut self, ms: u64, text: Option<&str>) -> Verdict {
            let path = Self::path();
            let found = text.map(|text| {
                let stamp = Stamp::of_len(text.len());
                Found { path: path.clone(), place: path.clone(), real: path.clone(), stamp }
            });
            let (whole, now) = (self.settling.take_whole(), self.at(ms));
            let seen = found.as_ref().map_or(Seen::Nothing, Seen::File);
            let verdict = self.settling.judge(FILE, seen, &whole, PATIENCE, now);
            if verdict == Verdict::Read {
                self.settling.was_read(FILE);
            }
            verdict
        }
    }

    #[test]
    fn a_file_that_was_closed_is_read_at_once() {
        let mut bench = Bench::new();
        bench.sign(0, &Sign::Written(Bench::path()));
        assert_eq!(bench.look(1, Some("ab")), Verdict::Wait(bench.at(30_000)));
        bench.sign(2, &Sign::Whole(Bench::path()));
        assert_eq!(bench.look(2, Some("ab")), Verdict::Read);
        assert_eq!(bench.look(3, Some("ab")), Verdict::Known);
        // The same length at the same time may be another text.
        bench.sign(4, &Sign::Whole(Bench::path()));
        assert_eq!(bench.look(4, Some("ac")), Verdict::Read);
    }

    #[test]
    fn an_empty_file_may_be_the_beginning_of_one() {
        let mut bench = Bench::new();
        bench.sign(0, &Sign::Closed(Bench::path()));
        assert_eq!(bench.look(0, Some("")), Verdict::Wait(bench.at(2000)));
        assert_eq!(bench.look(2000, Some("")), Verdict::Read);
    }

    #[test]
    fn a_file_that_is_written_again_is_left_alone() {
        let mut bench = Bench::new();
        bench.sign(0, &Sign::Whole(Bench::path()));
        bench.sign(0, &Sign::Written(Bench::path()));
        assert_eq!(bench.look(0, Some("a")), Verdict::Wait(bench.at(30_000)));
        bench.sign(29_999, &Sign::Written(Bench::path()));
        assert_eq!(bench.look(30_000, Some("ab")), Verdict::Wait(bench.at(59_999)));
        // Someone who never closes it does not keep it for ever.
        assert_eq!(bench.look(59_999, Some("ab")), Verdict::Read);
    }

    #[test]
    fn without_a_sign_it_must_look_the_same_for_a_while() {
        let mut bench = Bench::new();
        assert_eq!(bench.look(0, Some("a")), Verdict::Wait(bench.at(100)));
        assert_eq!(bench.look(99, Some("ab")), Verdict::Wait(bench.at(199)));
        assert_eq!(bench.look(199, Some("ab")), Verdict::Read);
    }

    #[test]
    fn a_file_that_is_gone_for_a_moment_is_not_gone() {
        let mut bench = Bench::new();
        bench.sign(0, &Sign::Whole(Bench::path()));
        assert_eq!(bench.look(0, Some("a")), Verdict::Read);
        bench.sign(10, &Sign::Gone(Bench::path()));
        assert_eq!(bench.look(10, None), Verdict::Wait(bench.at(110)));
        bench.sign(20, &Sign::Whole(Bench::path()));
        assert_eq!(bench.look(20, Some("ab")), Verdict::Read);
        assert_eq!(bench.look(30, None), Verdict::Wait(bench.at(130)));
        assert_eq!(bench.look(130, None), Verdict::Read);
    }

    #[test]
    fn what_is_renamed_while_it_is_written_is_not_whole() {
        let mut bench = Bench::new();
        let from = PathBuf::from("/w/scripts/skills/new");
        bench.sign(0, &Sign::Written(from.clone()));
        bench.sign(1, &Sign::Whole(Bench::path()));
        bench.sign(1, &Sign::Moved(from, Bench::path()));
        assert_eq!(bench.look(1, Some("a")), Verdict::Wait(bench.at(30_001)));
    }

    #[test]
    fn a_folder_that_is_put_in_place_is_whole_with_all_that_is_in_it() {
        let mut bench = Bench::new();
        bench.sign(0, &Sign::Whole(PathBuf::from("/w/scripts")));
        assert_eq!(bench.look(0, Some("a")), Verdict::Read);
    }
}
