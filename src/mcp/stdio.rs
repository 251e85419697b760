//! The protocol on standard input and output: one message a line, and nothing else on stdout.
//!
//! The library drops a line that it cannot read, and ends when the first message is not a request;
//! so lines are looked at here before it gets them.

use std::io::{self, BufRead as _, Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use rmcp::ServiceExt as _;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};
use tokio::sync::mpsc;

use crate::app::error::AppError;
use crate::mcp::desk::Desk;
use crate::mcp::server::Server;

/// The most bytes of a line.
const MAX_LINE: u64 = 4 << 20;
/// The longest wait for what the server has said already.
const LAST: Duration = Duration::from_secs(5);
/// The bytes that wait between the library and the streams.
const BUFFER: usize = 64 << 10;

/// Serves the client at the other end of the streams until it leaves.
///
/// # Errors
/// The client speaks something else, or the streams fail.
pub(crate) async fn serve(desk: &Arc<Desk>) -> Result<(), AppError> {
    let (lines, incoming) = mpsc::channel(16);
    let (out, outgoing) = mpsc::channel(64);
    // On threads of their own: a read that waits for input cannot be ended, and must not keep the
    // program from ending.
    std::thread::Builder::new().name("planwright-stdin".into()).spawn(move || read(&lines))?;
    let writer = std::thread::Builder::new()
        .name("planwright-stdout".into())
        .spawn(move || write(outgoing))?;
    let (input, to_server) = tokio::io::duplex(BUFFER);
    let (from_server, output) = tokio::io::duplex(BUFFER);
    let refused = out.clone();
    let feeding = tokio::spawn(feed(incoming, to_server, refused));
    let draining = tokio::spawn(drain(output, out));
    let ended = async {
        let server = Server::new(Arc::clone(desk));
        match server.serve((input, from_server)).await {
            Ok(running) => {
                let _why = running.waiting().await;
                Ok(())
            }
            // A client that leaves before it has said anything is no error.
            Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => Ok(()),
            Err(error) => {
                Err(AppError::new("service", "the client does not speak MCP").caused_by(&error))
            }
        }
    };
    let served = tokio::select! {
        ended = ended => ended,
        _signal = tokio::signal::ctrl_c() => Ok(()),
    };
    feeding.abort();
    // What the server has said already is still written.
    let _drained = tokio::time::timeout(LAST, draining).await;
    // The writer ends when nobody can send to it any more; a client that does not read keeps it.
    let written = tokio::task::spawn_blocking(move || writer.join());
    let _written = tokio::time::timeout(LAST, written).await;
    served
}

/// Reads lines until the input ends. `None` stands for a line that is too long.
fn read(lines: &mpsc::Sender<Option<Vec<u8>>>) {
    let mut input = io::stdin().lock();
    loop {
        let mut line = Vec::new();
        // One byte more than allowed shows that there is too much.
        match (&mut input).take(MAX_LINE + 1).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let fits = line.len() as u64 <= MAX_LINE;
        if !fits && !line.ends_with(b"\n") && skip(&mut input).is_err() {
            return;
        }
        if lines.blocking_send(fits.then_some(line)).is_err() {
            return;
        }
    }
}

/// Skips the rest of a line.
fn skip(input: &mut impl io::BufRead) -> io::Result<()> {
    loop {
        let part = input.fill_buf()?;
        let (n, is_end) = match part.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (part.len(), part.is_empty()),
        };
        input.consume(n);
        if is_end {
            return Ok(());
        }
    }
}

/// Writes lines to stdout.
fn write(mut lines: mpsc::Receiver<Vec<u8>>) {
    let mut output = io::stdout().lock();
    while let Some(line) = lines.blocking_recv() {
        if output.write_all(&line).and_then(|()| output.flush()).is_err() {
            return;
        }
    }
}

/// Hands lines that are messages to the server, and answers the others.
async fn feed(
    mut lines: mpsc::Receiver<Option<Vec<u8>>>,
    mut server: DuplexStream,
    out: mpsc::Sender<Vec<u8>>,
) {
    let mut has_begun = false;
    while let Some(line) = lines.recv().await {
        let checked = match &line {
            None => Err((-32700, format!("the line is longer than {MAX_LINE} bytes"))),
            Some(line) if line.iter().all(u8::is_ascii_whitespace) => continue,
            Some(line) => check(line),
        };
        let sent = match (checked, line) {
            (Ok(is_request), Some(mut line)) => {
                // Before the first request there is nobody to take anything else.
                if !has_begun && !is_request {
                    continue;
                }
                has_begun = true;
                if !line.ends_with(b"\n") {
                    line.push(b'\n');
                }
                server.write_all(&line).await.is_ok()
            }
            (Err((code, message)), _) => out.send(refusal(code, &message)).await.is_ok(),
            (Ok(_), None) => true,
        };
        if !sent {
            return;
        }
    }
}

/// Checks that a line is a message; returns whether it is a request.
fn check(line: &[u8]) -> Result<bool, (i32, String)> {
    let message: Value = serde_json::from_slice(line)
        .map_err(|error| (-32700, format!("the line is not JSON: {error}")))?;
    let is_message = message.is_object() && message["jsonrpc"] == "2.0";
    if !is_message {
        return Err((-32600, "the line is no JSON-RPC 2.0 message".to_owned()));
    }
    Ok(message.get("id").is_some() && message["method"].is_string())
}

/// Makes the answer to a line that is no message. It has no id: there is none to answer to.
fn refusal(code: i32, message: &str) -> Vec<u8> {
    let error = json!({
        "jsonrpc": "2.0", "id": null, "error": { "code": code, "message": message },
    });
    format!("{error}\n").into_bytes()
}

/// Passes on what the server says, line by line.
async fn drain(output: DuplexStream, out: mpsc::Sender<Vec<u8>>) {
    let mut output = BufReader::new(output);
    loop {
        let mut line = Vec::new();
        match output.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if out.send(line).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_message_is_refused() {
        assert_eq!(check(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n"), Ok(true));
        assert_eq!(check(b"{\"jsonrpc\":\"2.0\",\"method\":\"x\"}"), Ok(false));
        assert_eq!(check(b"hello\n").unwrap_err().0, -32700);
        assert_eq!(check(b"\xff\xfe\n").unwrap_err().0, -32700);
        assert_eq!(check(b"[]").unwrap_err().0, -32600);
    }

    #[test]
    fn a_long_line_is_skipped_to_its_end() {
        let mut input = io::Cursor::new(b"rest of it\nnext".to_vec());
        skip(&mut input).unwrap();
        let mut next = String::new();
        std::io::BufRead::read_line(&mut input, &mut next).unwrap();
        assert_eq!(next, "next");
    }
}
