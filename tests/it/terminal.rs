//! A terminal that the program runs in: what is typed, and what a person would see.
//!
//! The other end of a pseudo terminal feeds an emulator of a screen. Tests wait for what is to
//! be seen, never for a time; the limit only ends a test that would not end.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use vt100::Parser;

use crate::support::Place;

const ROWS: u16 = 250;
const COLUMNS: u16 = 140;
/// When a test is given up.
const LIMIT: Duration = Duration::from_secs(60);

/// What has arrived on the screen, and the news that something did.
type Screen = Arc<(Mutex<(Parser, Vec<u8>, bool)>, Condvar)>;

/// A program in a terminal.
pub(crate) struct Terminal {
    keys: File,
    screen: Screen,
    child: Child,
}

impl Terminal {
    /// Starts the program in a terminal of its own.
    pub(crate) fn start(place: &Place, args: &[&str]) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&ours, size).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap());
        let theirs = theirs.unwrap();
        let program = place.command(args);
        // It makes the terminal the program's own, so that Ctrl-C is a signal.
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait"]).arg(program.get_program()).args(program.get_args());
        command.current_dir(place.path()).env_clear().env("TERM", "xterm-256color");
        for (name, value) in program.get_envs() {
            command.env(name, value.unwrap());
        }
        command.env("PATH", "/usr/bin:/bin");
        let end = || Stdio::from(theirs.try_clone().unwrap());
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        drop(theirs);
        let keys = File::from(ours);
        let mut out = keys.try_clone().unwrap();
        let (rows, columns) = (NonZeroU16::new(ROWS).unwrap(), NonZeroU16::new(COLUMNS).unwrap());
        let parser = Parser::new(rows, columns, 5_000);
        let screen: Screen = Arc::new((Mutex::new((parser, Vec::new(), false)), Condvar::new()));
        let to = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            loop {
                let n = out.read(&mut bytes).unwrap_or(0);
                // A test that fails while it looks ends this, too.
                let Ok(mut state) = to.0.lock() else { return };
                state.0.process(&bytes[..n]);
                state.1.extend(&bytes[..n]);
                state.2 |= n == 0;
                to.1.notify_all();
                if n == 0 {
                    return;
                }
            }
        });
        Self { keys, screen, child }
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) -> &mut Self {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self
    }

    /// Types a line and ends it.
    pub(crate) fn line(&mut self, text: &str) -> &mut Self {
        self.press(text).press("\r")
    }

    /// Returns what is to be seen, without blank ends of lines.
    pub(crate) fn seen(&self) -> String {
        text(&self.screen.0.lock().unwrap().0)
    }

    /// Returns all that the program has sent to the terminal.
    pub(crate) fn sent(&self) -> String {
        String::from_utf8_lossy(&self.screen.0.lock().unwrap().1).into_owned()
    }

    /// Waits until something is to be seen; returns the screen, and how long it took.
    #[track_caller]
    pub(crate) fn until(&self, is_there: impl Fn(&str) -> bool) -> (String, Duration) {
        let began = Instant::now();
        let mut state = self.screen.0.lock().unwrap();
        loop {
            let now = text(&state.0);
            if is_there(&now) {
                return (now, began.elapsed());
            }
            assert!(!state.2 && began.elapsed() < LIMIT, "it is not to be seen:\n{now}");
            state = self.screen.1.wait_timeout(state, Duration::from_secs(1)).unwrap().0;
        }
    }

    /// Waits until a text is to be seen.
    #[track_caller]
    pub(crate) fn sees(&self, what: &str) -> String {
        self.until(|it| it.contains(what)).0
    }

    /// Waits for the prompt below all else.
    #[track_caller]
    pub(crate) fn prompt(&self, prompt: &str) -> String {
        self.until(|it| is_at(it, prompt)).0
    }

    /// Types a line, and waits until it has come to its end and there is a prompt again.
    #[track_caller]
    pub(crate) fn does(&mut self, line: &str, prompt: &str) -> String {
        let prompts = |it: &str| it.matches('›').count();
        let before = prompts(&self.seen());
        self.line(line);
        self.until(|it| prompts(it) > before && is_at(it, prompt)).0
    }

    /// Waits for the end; returns the exit code.
    pub(crate) fn end(mut self) -> i32 {
        self.until_end();
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    /// Returns whether the terminal shows what is typed, also after the program has ended.
    pub(crate) fn shows_keys(&self) -> bool {
        tcgetattr(&self.keys).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    pub(crate) fn until_end(&self) {
        let began = Instant::now();
        let mut state = self.screen.0.lock().unwrap();
        while !state.2 {
            assert!(began.elapsed() < LIMIT, "it does not end:\n{}", text(&state.0));
            state = self.screen.1.wait_timeout(state, Duration::from_secs(1)).unwrap().0;
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A test that failed leaves nothing running.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn is_at(screen: &str, prompt: &str) -> bool {
    screen.lines().last().is_some_and(|it| it.trim_end() == prompt)
}

fn text(parser: &Parser) -> String {
    let rows = parser.screen().rows(0, COLUMNS);
    let rows: Vec<String> = rows.map(|it| it.trim_end().to_owned()).collect();
    rows.join("\n").trim_end().to_owned()
}
