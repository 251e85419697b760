//! The messages between the host and a worker. A frame is its length, four bytes, the lowest
//! first, and JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::sync::mpsc::Receiver;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::change::{ChangeSet, ReadSet};
use crate::host::query::Query;
use crate::host::query::{QueryResult, RemoteDraft};
use crate::host::session::remote::{Case, Start};
use crate::host::{Failure, Start as RunStart};
use crate::policy::Ruling;
use crate::script::budget::Budget;
use crate::script::finding::{Finding, Role};
use crate::script::line_order::{LineOrder, Lined};
use crate::script::source::{Outline, Source};
use crate::script::stage::{Meddling, RunRequest};
use crate::script::worker::confine::Walls;

/// The largest frame: the list of the fullest possible plan takes a tenth of it.
const MAX_FRAME: usize = 16 << 20;

/// A message of the host.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Compile this; it gets the next number, from 0.
    Compile(Source),
    /// Check this, as far as it can be without running it.
    Check(Role, Source),
    /// Run a skill, by its number.
    Run { at: usize, start: Start, params: Value, budget: Budget, covered: bool },
    /// Compile a line with what it may import; the answer is only whether it compiles.
    CompileLine(String, BTreeMap<String, String>),
    /// Run a line of a person's.
    Line { line: LineOrder, start: Start, budget: Budget },
    /// Stop the line that is run.
    Stop,
    /// Judge a change set by these policies: their numbers and names.
    Judge { case: Case, run: RunStart, policies: Vec<(usize, String)>, budget: Budget },
    /// Play a test of a file, by its number.
    Play { at: usize, test: String, start: Start },
    /// The answer to a query.
    QueryResult(QueryResult),
    /// The outcome of a call on the stage of a test.
    Staged(Result<Value, Failure>),
}

/// A message of a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Word {
    /// It is ready, behind these walls.
    Confined(Walls),
    Compiled(Result<Outline, Failure>),
    Checked(Vec<Finding>),
    /// A query: to the board of a segment, from 1, or to the present one, 0.
    Query(usize, Query),
    /// It acts on the stage of a test.
    Stage(Box<Call>),
    /// A line was printed.
    Printed(String),
    /// A skill has ended.
    Done {
        result: Result<Value, Failure>,
        wanted: Box<RemoteDraft>,
        covered: Lines,
    },
    /// A line has ended.
    Lined(Box<Lined>, Box<RemoteDraft>),
    /// A policy has judged.
    Judged(Vec<Ruling>, ReadSet),
    /// A test has ended.
    Played(Result<(), Failure>),
}

/// Lines that were run, by file.
pub(crate) type Lines = BTreeMap<String, BTreeSet<usize>>;

/// A call of a test on its stage.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Call {
    Seed(Map<String, Value>),
    Demo,
    /// The moment, the zone's name if it has one, and its seconds ahead of UTC.
    SetClock(jiff::Timestamp, Option<String>, i32),
    Run(RunRequest),
    Apply(String, ChangeSet),
    Meddle {
        task: crate::model::TaskId,
        details: bool,
        body: Value,
        when: Meddling,
    },
}

/// Returns a value as a frame.
pub(crate) fn frame(value: &impl Serialize) -> io::Result<Vec<u8>> {
    // The length is known only after the value is written; its place is kept here.
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, value)?;
    let length = u32::try_from(frame.len() - 4).ok().filter(|length| *length as usize <= MAX_FRAME);
    let length = length.ok_or(io::ErrorKind::InvalidData)?;
    frame.splice(..4, length.to_le_bytes());
    Ok(frame)
}

/// Writes a frame.
pub(crate) fn send(to: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    to.write_all(&frame(value)?)?;
    // Standard output may keep back what does not end a line, and a frame does not.
    to.flush()
}

/// Reads a frame; `None` at the end.
pub(crate) fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    if let Err(error) = from.read_exact(&mut length) {
        // The other end may die within the four bytes, too; that is its end like any other.
        let is_end = error.kind() == io::ErrorKind::UnexpectedEof;
        return if is_end { Ok(None) } else { Err(error) };
    }
    let length = u32::from_le_bytes(length);
    // The host trusts no worker: it would read up to 4 GiB because four bytes say so.
    if length as usize > MAX_FRAME {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // Grows as bytes arrive: a length alone does not allocate.
    let mut bytes = Vec::new();
    from.take(u64::from(length)).read_to_end(&mut bytes)?;
    Ok(Some(serde_json::from_slice(&bytes)?))
}

/// The worker's ends of both pipes to the host.
pub(crate) struct Pipe {
    pub(crate) orders: Receiver<Order>,
    pub(crate) words: Box<dyn Write + Send>,
}

impl Pipe {
    pub(crate) fn say(&mut self, word: &Word) -> Option<()> {
        send(&mut self.words, word).ok()
    }

    /// Sends a word, and returns the host's next order.
    pub(crate) fn exchange(&mut self, word: &Word) -> Option<Order> {
        self.say(word)?;
        self.orders.recv().ok()
    }
}
