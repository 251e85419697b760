//! Tests of the embedded Planner as other users of this machine meet it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::*;
use crate::graph::BaseUrl;
use crate::model::User;
use crate::wire::request;

/// Sends one request past the client; returns the status and the whole response.
fn ask(base: &BaseUrl, path: &str, authorization: &str) -> (u16, String) {
    let host = base.origin().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&host).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    stream.write_all(format!("{head}{authorization}\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

#[test]
fn the_embedded_planner_is_open_to_its_own_process_only() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { state_dir: Some(dir.path().join("state")), ..Settings::default() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let workspace = Workspace::shipped();
    let connection = runtime.block_on(ServiceConnection::open(&settings, &workspace)).unwrap();
    let base = connection.client.base();
    for path in [
        "/v1.0/me",
        "/v1.0/",
        "/control/faults",
        "/control/requests",
        "/common/v2.0/.well-known/openid-configuration",
        "/nowhere",
    ] {
        for authorization in [
            "",
            "Authorization: Bearer emulator:rook@bos.example\r\n",
            "Authorization: Bearer emulator::rook@bos.example\r\n",
            "Authorization: Bearer rook@bos.example\r\n",
            "Authorization: Basic cm9vazo=\r\n",
        ] {
            let (status, answer) = ask(base, path, authorization);
            assert_eq!(status, 401, "{path} {authorization:?}: {answer}");
            assert!(!answer.contains("bos.example"), "{answer}");
        }
    }
    // No body is waited for either.
    let host = base.origin().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&host).unwrap();
    let head =
        format!("POST /v1.0/$batch HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut line = [0; 12];
    stream.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"HTTP/1.1 401");
    let me = runtime.block_on(connection.client.read::<User>(&request::me())).unwrap();
    assert_eq!(me.upn, "rook@bos.example");
}
