//! The server over real sockets: every status, the headers of every response, refused requests, and the limits of clients.
#![allow(clippy::unwrap_used, reason = "helpers of tests are outside of what clippy.toml allows")]

mod support;

use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ndarray::ArrayView2;
use serde_json::{Value, json};
use support::{Answer, Connection, Running};
use ziffer_nn::{Activation, Model, Sequential};
use ziffer_serve::{EpochResult, Example, Limits, ServeError, Server, Site, TrainingProgress};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const PREDICT: &str = "POST /api/predict";

fn model() -> Model {
    let stack = Sequential::new([28, 28]).flatten().dense(16, Activation::Relu).dense(12, Activation::Tanh);
    stack.dense(10, Activation::Softmax).build(3).unwrap()
}

fn site() -> Site {
    Site::new(model()).unwrap()
}

fn start() -> Running {
    Running::start(site(), Limits::default())
}

/// Pixels that differ for each `number`.
fn pixels(number: usize) -> Vec<u8> {
    (0..784).map(|pixel| if pixel % 7 < 3 { (pixel * (number + 3) * 31 % 256) as u8 } else { 0 }).collect()
}

fn pixels_json(number: usize) -> Vec<u8> {
    json!({ "pixels": pixels(number) }).to_string().into_bytes()
}

/// A BMP of 24 bits a pixel: a vertical stroke on a page of these sides.
fn bmp(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"BM".to_vec();
    for number in [54 + width * height * 3, 0, 54, 40, width, height, 24 << 16 | 1, 0, 0, 0, 0, 0, 0] {
        bytes.extend(number.to_le_bytes());
    }
    for pixel in 0..width * height {
        let is_stroke = (8..40).contains(&(pixel / width)) && (50..54).contains(&(pixel % width));
        bytes.extend([if is_stroke { 0 } else { 255 }; 3]);
    }
    bytes
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|number| number.to_string().parse().unwrap()).collect()
}

/// Checks an error response: its status, one line of JSON with `words`, and the headers of every response.
fn assert_error(answer: &Answer, status: u16, words: &str) {
    assert_eq!(answer.status, status, "{words}: {answer:?}");
    let line = answer.json()["error"].as_str().unwrap().to_owned();
    assert!(line.contains(words) && !line.contains('\n') && !line.ends_with('.'), "{words}: {line}");
    assert_headers(answer);
}

fn assert_headers(answer: &Answer) {
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(!policy.contains('*') && !policy.contains("http"), "{policy}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{answer:?}");
    }
}

#[test]
fn every_path_and_its_headers() {
    let server = start();
    let mut client = Connection::open(server.address);
    for (path, content_type, part) in [
        ("/", "text/html; charset=utf-8", "<!DOCTYPE html>"),
        ("/page.css", "text/css; charset=utf-8", ":root"),
        ("/page.js", "text/javascript; charset=utf-8", "/api/predict"),
        ("/dom.js", "text/javascript; charset=utf-8", "fetch("),
        ("/report", "text/html; charset=utf-8", "file has no report"),
        ("/api/model", "application/json", "\"rows\":28"),
    ] {
        let answer = client.request(&format!("GET {path}"), &[], b"");
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(content_type)), "{path}");
        assert!(String::from_utf8_lossy(&answer.body).contains(part), "{path}");
        assert_headers(&answer);
        let is_script_allowed =
            answer.header("content-security-policy").unwrap().contains("script-src 'self'");
        assert_eq!(is_script_allowed, path != "/report");
        let refusal = client.request(&format!("DELETE {path}"), &[], b"");
        assert_error(&refusal, 405, "expected GET, HEAD");
        assert_eq!(refusal.header("allow"), Some("GET, HEAD"));
    }
    assert_error(&client.request("GET /api/training", &[], b""), 404, "no training runs");
    assert_error(&client.request("GET /nowhere", &[], b""), 404, "/nowhere");
    assert_error(&client.request("GET /page.css/../../secret", &[], b""), 404, "secret");
    let refusal = client.request("GET /api/predict", &[], b"");
    assert_error(&refusal, 405, "expected POST");
    assert_eq!(refusal.header("allow"), Some("POST"));
}

#[test]
fn the_page_refers_to_its_own_server_only() {
    let server = start();
    let mut client = Connection::open(server.address);
    let mut paths = vec!["/".to_owned(), "/page.css".to_owned(), "/page.js".to_owned()];
    let mut next = 0;
    while let Some(path) = paths.get(next).cloned() {
        next += 1;
        let answer = client.request(&format!("GET {path}"), &[], b"");
        assert_eq!(answer.status, 200, "{path}");
        let text = String::from_utf8(answer.body).unwrap().replace("http://www.w3.org/2000/svg", "");
        for line in text.lines().filter(|line| line.starts_with("import ")) {
            let module =
                line.split('"').nth(1).and_then(|name| name.strip_prefix('.')).expect("a module beside it");
            if !paths.iter().any(|path| path == module) {
                paths.push(module.to_owned());
            }
        }
        for foreign in ["http://", "https://", "//cdn", "@import", "style=\"", "onclick="] {
            assert!(!text.contains(foreign), "{path}: {foreign}");
        }
    }
    assert!(paths.len() > 3, "{paths:?}");
}

#[test]
fn each_request_reads_the_report_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    let server = Running::start(site().report(&path), Limits::default());
    let mut client = Connection::open(server.address);
    let mut report = || String::from_utf8(client.request("GET /report", &[], b"").body).unwrap();
    assert!(report().contains("ziffer report"));
    for content in ["<p>the first", "<p>the second"] {
        fs::write(&path, content).unwrap();
        assert_eq!(report(), content);
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(report().contains("ziffer report"));
}

#[test]
fn predictions_have_the_model_s_bits() {
    let server = start();
    let model = model();
    let mut client = Connection::open(server.address);
    for number in 0..20 {
        let pixels = pixels(number);
        let rows = ArrayView2::from_shape((1, 784), &pixels).unwrap();
        let expected = model.predict(rows).into_raw_vec_and_offset().0;
        let answer = client.request(PREDICT, &[JSON], &pixels_json(number));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_headers(&answer);
        let answer = answer.json();
        let keys: Vec<_> = answer.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["digit", "label", "probabilities"]);
        assert_eq!(numbers(&answer["probabilities"]), expected);
        let digit = ziffer_tensor::reduce::argmax(&expected);
        assert_eq!((&answer["digit"], &answer["label"]), (&json!(digit), &json!(digit.to_string())));

        let all = client.request("POST /api/predict?show=all", &[JSON], &pixels_json(number)).json();
        assert_eq!(all["input"], json!(pixels));
        let hidden = model.activations(rows);
        assert_eq!(all["activations"].as_array().unwrap().len(), 2);
        for (layer, (name, outputs)) in all["activations"].as_array().unwrap().iter().zip(hidden) {
            assert_eq!(layer["layer"], name);
            assert_eq!(numbers(&layer["outputs"]), outputs.into_raw_vec_and_offset().0);
        }
    }
}

/// A single sigmoid unit distinguishes two classes.
#[test]
fn one_output_is_the_probability_of_class_1() {
    let model = || {
        let stack = Sequential::new([28, 28]).flatten();
        stack.dense(1, Activation::Sigmoid).build(3).unwrap()
    };
    let site = Site::new(model()).unwrap().labels(["even", "odd"]);
    let server = Running::start(site, Limits::default());
    let mut client = Connection::open(server.address);
    let info = client.request("GET /api/model", &[], b"").json();
    assert_eq!(info["labels"], json!(["even", "odd"]));
    let mut seen = [0, 0];
    for number in 0..40 {
        let pixels = pixels(number);
        let p = model().predict_one(&pixels)[0];
        let class = usize::from(p > 0.5);
        let answer = client.request(PREDICT, &[JSON], &pixels_json(number)).json();
        assert_eq!(numbers(&answer["probabilities"]), [1.0 - p, p]);
        assert_eq!((&answer["digit"], &answer["label"]), (&json!(class), &json!(["even", "odd"][class])));
        seen[class] += 1;
    }
    assert!(seen[0] > 0 && seen[1] > 0, "both classes are predicted: {seen:?}");
}

#[test]
fn pictures_are_prepared_as_in_predict() {
    let server = start();
    let mut client = Connection::open(server.address);
    let picture = bmp(64, 48);
    let prepared = ziffer_picture::prepare(&picture, [28, 28]).unwrap();
    let answer =
        client.request("POST /api/predict?show=input", &[("Content-Type", "image/bmp")], &picture).json();
    assert_eq!(answer["input"], json!(prepared));
    let rows = ArrayView2::from_shape((1, 784), &prepared).unwrap();
    assert_eq!(numbers(&answer["probabilities"]), model().predict(rows).into_raw_vec_and_offset().0);
}

#[test]
fn wrong_bodies_are_refused() {
    let server = start();
    // The header claims 5,000 x 4,000 pixels.
    let mut large = bmp(8, 8);
    large[18..22].copy_from_slice(&5000_u32.to_le_bytes());
    large[22..26].copy_from_slice(&4000_u32.to_le_bytes());
    let many = json!({ "pixels": vec![0; 785] }).to_string().into_bytes();
    let long = vec![b' '; (1 << 20) + 1];
    let image = ("Content-Type", "image/png");
    for (line, headers, body, status, words) in [
        (PREDICT, &[JSON][..], &b""[..], 400, "not JSON"),
        (PREDICT, &[JSON], b"{\"pixels\": [1, 2", 400, "not JSON"),
        (PREDICT, &[JSON], b"[]", 400, "expected {\"pixels\": [784 whole numbers from 0 to 255]}"),
        (PREDICT, &[JSON], b"{\"pixels\": [256]}", 400, "256"),
        (PREDICT, &[JSON], b"{\"pixels\": [-1]}", 400, "-1"),
        (PREDICT, &[JSON], b"{\"pixels\": [0.5]}", 400, "0.5"),
        (PREDICT, &[JSON], b"{\"pixels\": [1, 2]}", 400, "found 2 pixels"),
        (PREDICT, &[JSON], b"{\"pixels\": [], \"more\": 1}", 400, "more"),
        (PREDICT, &[JSON], &many, 400, "found 785 pixels"),
        (PREDICT, &[JSON], &long, 413, "1048576 bytes"),
        (PREDICT, &[image], b"", 400, "empty file"),
        (PREDICT, &[image], b"not a picture", 400, "PNG, JPEG or BMP"),
        (PREDICT, &[image], &bmp(64, 8), 400, "empty page"),
        (PREDICT, &[image], &large, 413, "5000x4000"),
        (PREDICT, &[], b"{}", 415, "expected application/json"),
        (PREDICT, &[("Content-Type", "text/plain")], b"{}", 415, "text/plain"),
        (PREDICT, &[JSON, ("Content-Encoding", "gzip")], b"{}", 415, "gzip"),
        ("POST /api/predict?show=me", &[JSON], b"{}", 400, "?show=me"),
    ] {
        let answer = Connection::open(server.address).request(line, headers, body);
        assert_error(&answer, status, words);
    }
}

#[test]
fn other_hosts_and_origins_are_refused() {
    let server = start();
    let port = server.address.port();
    let own = server.address.to_string();
    let mut client = Connection::open(server.address);
    for host in [own.clone(), format!("localhost:{port}")] {
        let origin = format!("http://{host}");
        for headers in [&[("Host", host.as_str())][..], &[("Host", &host), ("Origin", &origin)]] {
            assert_eq!(client.raw("GET /", headers, b"").status, 200, "{headers:?}");
        }
    }
    let evil = format!("evil.example:{port}");
    for headers in [
        &[("Host", evil.as_str())][..],
        &[("Host", "localhost")],
        &[("Host", "")],
        &[("Host", &own), ("Host", &evil)],
        &[("Accept", "*/*")],
    ] {
        assert_error(&client.raw("GET /", headers, b""), 421, "expected an address of this server");
    }
    assert_error(&client.raw(&format!("GET http://{evil}/"), &[("Host", &own)], b""), 421, "evil.example");
    for origin in ["http://evil.example", "null", "https://evil.example", &format!("http://localhost:{port}")]
    {
        assert_error(&client.request("GET /", &[("Origin", origin)], b""), 403, "origin");
        let body = pixels_json(1);
        assert_error(
            &Connection::open(server.address).request(PREDICT, &[JSON, ("Origin", origin)], &body),
            403,
            "origin",
        );
    }
}

#[test]
fn allowed_hosts_are_served() {
    let server = Server::bind(Ipv4Addr::LOCALHOST.into(), 0).unwrap();
    let address = server.address();
    let server = server.allow_hosts(["Box.lan".to_owned(), "door.lan:99".to_owned()]);
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let thread = std::thread::spawn(move || server.run(site(), &stopped).unwrap());
    let mut client = Connection::open(address);
    for (host, status) in [
        (format!("box.lan:{}", address.port()), 200),
        ("door.lan:99".into(), 200),
        ("box.lan:99".into(), 421),
    ] {
        assert_eq!(client.raw("GET /", &[("Host", &host)], b"").status, status, "{host}");
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    thread.join().unwrap();
}

/// Headers byte by byte, an endless body, a body that is never sent, and a silent client: the server disconnects each of them after its
/// time limit, and responds to another client all the while.
#[test]
fn slow_clients_do_not_block_others() {
    let mut limits = Limits::default();
    (limits.body_time, limits.idle_time) = (Duration::from_millis(1500), Duration::from_secs(3));
    let server = Running::start(site(), limits);
    let own = server.address.to_string();
    let started = Instant::now();
    let mut slow: Vec<Connection> = (0..4).map(|_| Connection::open(server.address)).collect();
    let head = format!("{PREDICT} HTTP/1.1\r\nHost: {own}\r\nContent-Type: application/json\r\n");
    slow[0].stream.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).unwrap();
    slow[1].stream.write_all(format!("{head}Content-Length: 1000\r\n\r\n{{\"pixels").as_bytes()).unwrap();
    let mut client = Connection::open(server.address);
    let (mut answered, mut slowest) = (0, Duration::ZERO);
    while started.elapsed() < Duration::from_secs(1) {
        slow[0].stream.write_all(b"1\r\n \r\n").unwrap();
        slow[2].stream.write_all(b"G").unwrap();
        let sent = Instant::now();
        assert_eq!(client.request(PREDICT, &[JSON], &pixels_json(answered)).status, 200);
        slowest = slowest.max(sent.elapsed());
        answered += 1;
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(slowest < limits.body_time, "{slowest:?} of {answered}");
    for slow in &mut slow[..2] {
        assert_error(&slow.answer().expect("an answer"), 408, "1.5 s");
        assert!(slow.answer().is_none(), "closed after that");
    }
    let ended = started.elapsed();
    assert!(ended >= limits.body_time, "{ended:?}");
    for slow in &mut slow[2..] {
        assert!(slow.answer().is_none(), "closed without an answer");
    }
    let ended = started.elapsed();
    assert!(ended >= limits.idle_time, "{ended:?}");
    assert!(client.answer().is_none(), "idle connections end too");
}

#[test]
fn an_endless_body_is_refused() {
    let server = start();
    let mut client = Connection::open(server.address);
    let head = format!(
        "{PREDICT} HTTP/1.1\r\nHost: {}\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n",
        server.address
    );
    client.stream.write_all(head.as_bytes()).unwrap();
    let chunk = [&b"10000\r\n"[..], &[7; 0x10000], b"\r\n"].concat();
    // The server closes the connection before it has read the whole body.
    let sent = (0..4096).take_while(|_| client.stream.write_all(&chunk).is_ok()).count();
    assert!(sent < 1000, "{sent} chunks of 64 KiB");
    assert_eq!(Connection::open(server.address).request("GET /", &[], b"").status, 200);
}

#[test]
fn connections_and_requests_are_limited() {
    let mut limits = Limits::default();
    limits.connections = 3;
    let server = Running::start(site(), limits);
    let mut held: Vec<Connection> = (0..3).map(|_| Connection::open(server.address)).collect();
    for client in &mut held {
        assert_eq!(client.request("GET /", &[], b"").status, 200);
    }
    // The first connection no longer has the oldest request.
    assert_eq!(held[0].request("GET /", &[], b"").status, 200);
    let mut fourth = Connection::open(server.address);
    assert_eq!(fourth.request("GET /", &[], b"").status, 200);
    assert!(held[1].answer().is_none(), "the one on which nothing has begun for longest gives way");
    for client in [&mut held.remove(0), &mut held.pop().unwrap(), &mut fourth] {
        assert_eq!(client.request("GET /", &[], b"").status, 200);
    }

    limits.requests_per_second = 0.01;
    let server = Running::start(site(), limits);
    let mut client = Connection::open(server.address);
    assert_eq!(client.request("GET /", &[], b"").status, 200);
    let refusal = client.request(PREDICT, &[JSON], &pixels_json(0));
    assert_error(&refusal, 429, "requests a second");
    assert_eq!(refusal.header("retry-after"), Some("1"));
}

#[test]
fn progress_of_a_training_and_then_predictions() {
    let training = Arc::new(TrainingProgress::default());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    fs::write(&path, "<p>of an earlier run").unwrap();
    let site = Site::of_training(Arc::clone(&training), &[28, 28], 10).unwrap().report(&path);
    let server = Running::start(site, Limits::default());
    let mut client = Connection::open(server.address);
    let mut news = |known: &str| client.request(&format!("GET /api/training{known}"), &[], b"").json();
    assert_eq!(news("")["phase"], "starting");
    training.begin(2, 4);
    (0..4).for_each(|step| training.step(0, step, 0.5, 0.75));
    let update = news("");
    assert_eq!((&update["phase"], update["points"].as_array().unwrap().len()), (&json!("training"), 4));
    assert_eq!(update["now"], json!({"epoch": 0, "step": 4, "loss": 0.5, "accuracy": 0.75}));
    training.epoch(EpochResult { loss: 0.5, accuracy: 0.75, val_loss: Some(0.25), val_accuracy: None });
    let update = news("?generation=0&points=4&epochs=0");
    assert_eq!((&update["points"], &update["finished"][0]["val_loss"]), (&json!([]), &json!(0.25)));
    assert_error(&client.request("GET /api/training?points=x", &[], b""), 400, "points=x");

    let refusal = client.request(PREDICT, &[JSON], &pixels_json(0));
    assert_error(&refusal, 503, "still training");
    assert_eq!(client.request("GET /api/model", &[], b"").json()["ready"], json!(false));
    let report = || Connection::open(server.address).request("GET /report", &[], b"").body;
    assert!(String::from_utf8(report()).unwrap().contains("when the training has ended"));
    fs::write(&path, "<p>of this one").unwrap();
    training.end(model(), 0.97);
    assert_eq!(report(), b"<p>of this one");
    let answer = Connection::open(server.address).request(PREDICT, &[JSON], &pixels_json(0));
    assert_eq!(answer.status, 200);
    let update = Connection::open(server.address).request("GET /api/training", &[], b"").json();
    assert_eq!((&update["phase"], &update["test_accuracy"]), (&json!("ended"), &json!(0.97)));
}

#[test]
fn the_server_stops_with_open_connections() {
    let mut server = start();
    let mut client = Connection::open(server.address);
    assert_eq!(client.request("GET /", &[], b"").status, 200);
    let start = Instant::now();
    server.stop();
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(client.answer().is_none());
}

#[test]
fn models_without_an_image_or_weights_are_refused() {
    let server = start();
    let taken = Server::bind(server.address.ip(), server.address.port()).unwrap_err();
    assert!(matches!(taken, ServeError::Taken { address } if address == server.address));
    for shape in [&[784][..], &[28, 28, 3], &[6, 28], &[28, 2000]] {
        let model = Sequential::new(shape).flatten().dense(2, Activation::Softmax).build(0).unwrap();
        let line = Site::new(model).unwrap_err().to_string();
        assert!(line.contains(&format!("{shape:?}")) && line.contains("7x7"), "{line}");
    }
    let examples = [28 * 28, 27].map(|len| Example { label: 1, pixels: vec![0; len] });
    let site = site().labels((0..10).map(|class| format!("class {class}"))).examples(examples);
    let server = Running::start(site.title("mine").labels(["too", "few"]), Limits::default());
    let about = Connection::open(server.address).request("GET /api/model", &[], b"").json();
    assert_eq!((&about["title"], &about["labels"][9]), (&json!("mine"), &json!("class 9")));
    assert_eq!(about["examples"].as_array().unwrap().len(), 1, "one example fits");
}
