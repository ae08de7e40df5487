//! `serve` and `train --serve`: what is served, at which address, until when, and what is refused.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::idx::{IdxSet, images, labels, three_classes};
use crate::sandbox::{Sandbox, TRAIN_TINY, finish, signal, weights_sha256};

/// A folder with a data set of 14x14 images in three classes.
fn with_set() -> Sandbox {
    let sandbox = Sandbox::new();
    let part = |samples| [images(&three_classes(samples), 14, 14), labels(&three_classes(samples))];
    let ([a, b], [c, d]) = (part(60), part(20));
    IdxSet { files: [a, b, c, d] }.write(&sandbox.path("set"));
    sandbox
}

/// A running server.
struct Serving {
    child: Child,
    address: String,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Serving {
    /// Starts the program and waits for a line of standard error that begins with `line`.
    fn start(command: &mut Command, line: &str) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut serving = Self { child, address: String::new(), stderr };
        let said = serving.wait_for(line);
        serving.address = said.split_once("http://").unwrap().1.split_once('/').unwrap().0.to_owned();
        serving
    }

    fn wait_for(&mut self, start: &str) -> String {
        let mut said = String::new();
        loop {
            let mut line = String::new();
            assert!(self.stderr.read_line(&mut line).unwrap() > 0, "{start:?} is not in {said}");
            if line.starts_with(start) {
                return line;
            }
            said += &line;
        }
    }

    fn get(&self, line: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let headers =
            format!("Host: {}\r\nConnection: close\r\nContent-Type: application/json", self.address);
        write!(stream, "{line} HTTP/1.1\r\n{headers}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
    }

    /// Interrupts it while a connection is open. Returns its exit code and its standard output.
    fn end(mut self, name: &str) -> (Option<i32>, String) {
        let _open = TcpStream::connect(&self.address).unwrap();
        signal(&self.child, name);
        let mut stdout = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        (self.child.wait().unwrap().code(), stdout)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

fn pixels(count: usize) -> String {
    format!("{{\"pixels\": [{}]}}", vec!["200"; count].join(","))
}

#[test]
fn the_newest_run_is_served_until_ctrl_c() {
    let sandbox = with_set();
    let train = TRAIN_TINY.replace("--out run", "");
    sandbox.succeed(&format!("{train} --out runs/older"));
    sandbox.succeed(&format!("{train} --out runs/newer --seed 1"));
    std::fs::create_dir(sandbox.path("runs/empty")).unwrap();
    let arguments = ["serve", "--port", "0", "--data-dir", "set", "--dataset", "custom"];
    for (name, extra) in [("INT", None), ("TERM", Some("runs/newer/model.safetensors"))] {
        let serving = Serving::start(sandbox.command().args(arguments).args(extra), "Serving runs/newer");
        let (status, about) = serving.get("GET /api/model", "");
        assert_eq!(
            (status, &about["rows"], about["labels"].as_array().unwrap().len()),
            (200, &Value::from(14), 3)
        );
        assert_eq!(about["title"], if extra.is_some() { "model" } else { "newer" });
        assert_eq!(about["examples"].as_array().unwrap().len(), 6);
        let (status, answer) = serving.get("POST /api/predict", &pixels(196));
        assert_eq!((status, answer["probabilities"].as_array().unwrap().len()), (200, 3));
        assert_eq!(serving.end(name), (Some(0), String::new()));
    }
}

#[test]
fn a_model_without_its_data_has_no_examples() {
    let sandbox = with_set();
    sandbox.succeed(TRAIN_TINY);
    std::fs::remove_dir_all(sandbox.path("set")).unwrap();
    let serving = Serving::start(sandbox.command().args(["serve", "run", "--port", "0"]), "Serving run at");
    assert_eq!(serving.get("GET /api/model", "").1["examples"], Value::Array(Vec::new()));
    serving.end("INT");
}

#[test]
fn invalid_models_and_flags_are_refused() {
    let sandbox = Sandbox::with_tiny_set();
    sandbox.refuse("serve", &["runs", "ziffer train"]);
    sandbox.refuse("serve nowhere", &["nowhere"]);
    sandbox.refuse("serve --host nowhere", &["--host", "localhost"]);
    sandbox.refuse("serve --port 70000", &["--port"]);
    for name in ["foo bar", "http://bar", ""] {
        sandbox.refuse_command(
            sandbox.command().args(["serve", "--allow-host", name]),
            &["--allow-host", "box.lan"],
        );
    }
    std::fs::create_dir_all(sandbox.path("runs/broken")).unwrap();
    std::fs::write(sandbox.path("runs/broken/summary.json"), "{}").unwrap();
    sandbox.refuse("serve", &["runs/broken/model.safetensors", "name another"]);
    assert_eq!(sandbox.refuse("train --port 0", &["--serve"]).code, Some(2));
    // Images of 5x4 pixels.
    let outcome = sandbox.refuse(&format!("{TRAIN_TINY} --serve --port 0"), &["set", "[5, 4]", "7x7"]);
    assert_eq!(outcome.code, Some(1));
    let sandbox = with_set();
    sandbox.succeed(TRAIN_TINY);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    sandbox.refuse(&format!("serve run --port {port}"), &[&port, "another program", "--port"]);
    sandbox.refuse("serve run --port 0 --data-dir nowhere", &["nowhere"]);
}

#[test]
fn an_address_beyond_this_machine_gives_a_warning() {
    let sandbox = with_set();
    sandbox.succeed(TRAIN_TINY);
    let mut command = sandbox.command();
    command.args(["serve", "run", "--port", "0", "--host", "0.0.0.0", "--allow-host", "box.lan"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let warning = lines.next().unwrap().unwrap();
    assert!(warning.starts_with("Warning: ") && warning.contains("0.0.0.0"), "{warning}");
    let line = lines.next().unwrap().unwrap();
    assert!(line.starts_with("Serving run at http://localhost:") && line.contains("--allow-host"), "{line}");
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// The page does not change a bit of the result.
#[test]
fn a_training_shows_its_page() {
    let sandbox = with_set();
    let plain = TRAIN_TINY.replace("--out run", "--out plain");
    sandbox.succeed(&plain);
    let arguments = format!("{TRAIN_TINY} --serve --port 0");
    let mut serving =
        Serving::start(sandbox.command().args(arguments.split_whitespace()), "Serving the training at ");
    serving.wait_for("Still serving at http://");
    let (status, state) = serving.get("GET /api/training", "");
    assert_eq!(
        (status, &state["phase"], state["finished"].as_array().unwrap().len()),
        (200, &"ended".into(), 2)
    );
    assert!(state["points"].as_array().unwrap().len() > 2, "{state}");
    assert_eq!(serving.get("POST /api/predict", &pixels(196)).0, 200);
    let (code, stdout) = serving.end("INT");
    assert_eq!(code, Some(0));
    assert!(stdout.starts_with("Test Accuracy: "), "{stdout}");
    assert_eq!(weights_sha256(&sandbox.path("run")), weights_sha256(&sandbox.path("plain")));
}

#[test]
fn the_help_names_every_flag() {
    let sandbox = Sandbox::new();
    let help = finish(sandbox.command().args(["serve", "--help"])).succeeded().stdout;
    for flag in ["--port", "--host", "--allow-host", "127.0.0.1", "7878", "newest run"] {
        assert!(help.contains(flag), "{flag}: {help}");
    }
}
