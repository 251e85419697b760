//! Log lines as data, and spans for a collector.

use serde_json::Value;

use crate::support::{PLAN, Place, Planner};

const TITLE: &str = "Title of a task that is nobody else's business";

#[test]
fn log_lines_are_objects_that_tell_the_run_and_the_request() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let create = ["task", "create", TITLE, "--plan", PLAN, "-vv", "--log-format", "json", "--json"];
    let output = place.run(&create).code(0);
    let report = output.json();
    let lines: Vec<Value> = output
        .stderr
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let written = lines
        .iter()
        .find(|line| line["message"] == "answered" && line["method"] == "POST")
        .unwrap_or_else(|| panic!("no write is logged: {}", output.stderr));
    assert!(written["timestamp"].is_string() && written["level"] == "DEBUG", "{written}");
    let spans = written["spans"].as_array().unwrap();
    let run = spans.iter().find(|span| span["name"] == "run").unwrap();
    assert_eq!(run["run_id"], report["run_id"]);
    assert_eq!(run["skill"], report["skill"]);
    let request = spans.iter().find(|span| span["name"] == "request").unwrap();
    assert_eq!(request["http.request.method"], "POST");
    assert!(!output.stderr.contains(TITLE), "{}", output.stderr);
}

#[cfg(feature = "otlp")]
mod spans {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::{Arc, Mutex};

    use super::{TITLE, Value};
    use crate::support::{PLAN, Place, Planner};

    /// What a collector was sent: the head of each request, and all bodies.
    type Sent = Arc<Mutex<(Vec<String>, Vec<u8>)>>;

    /// A collector that takes what it is sent.
    fn collector() -> (String, Sent) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let sent = Sent::default();
        let to = Arc::clone(&sent);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut reader = BufReader::new(stream.unwrap());
                let (mut head, mut length) = (String::new(), 0);
                while reader.read_line(&mut head).unwrap_or(0) > 2 {
                    let line = head.lines().last().unwrap_or_default().to_lowercase();
                    if let Some(value) = line.strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let mut sent = to.lock().unwrap();
                sent.0.push(head);
                sent.1.extend(body);
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                reader.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        });
        (url, sent)
    }

    fn create(place: &Place, env: &[(&str, &str)]) -> Value {
        let create = ["task", "create", TITLE, "--plan", PLAN, "--json"];
        place.run_with(&create, "", env).code(0).json()
    }

    fn has(bytes: &[u8], text: &str) -> bool {
        bytes.windows(text.len()).any(|part| part == text.as_bytes())
    }

    #[test]
    fn a_collector_is_told_the_run_and_its_requests_and_nothing_of_the_board() {
        let planner = Planner::demo();
        let place = Place::against(&planner);
        let (url, sent) = collector();
        let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str())];
        let report = create(&place, &endpoint);
        let (heads, body) = &*sent.lock().unwrap();
        assert!(heads.iter().all(|head| head.starts_with("POST /v1/traces ")), "{heads:?}");
        let run_id = report["run_id"].as_str().unwrap();
        for told in ["planwright", "run", run_id, "Applied", "request", "/v1.0/planner/tasks"] {
            assert!(has(body, told), "{told} is not in it");
        }
        assert!(!has(body, TITLE) && !has(body, "Bearer"));
    }

    #[test]
    fn nothing_is_sent_to_anybody_else() {
        let planner = Planner::demo();
        let place = Place::against(&planner);
        let (url, sent) = collector();
        for env in [
            &[][..],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), ("OTEL_SDK_DISABLED", "true")],
            // A proxy is not asked either: it would read what is meant for the collector.
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"), ("http_proxy", url.as_str())],
        ] {
            place.run_with(&["plan", "list"], "", env).code(0);
        }
        assert!(sent.lock().unwrap().0.is_empty());
    }
}
