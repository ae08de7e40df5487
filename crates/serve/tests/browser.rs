//! The page in a real browser: drawing with a mouse, a finger and keys, in light and dark mode, in wide and narrow windows.
//!
//! The tests need Debian's `chromium` and `chromium-driver` (`browser.sh` beside this file installs them). Without them, and with
//! `CI=true`, the tests are skipped and print the reason. `ZIFFER_SCREENSHOTS=FOLDER` keeps screenshots.
#![allow(clippy::unwrap_used, reason = "helpers of tests are outside of what clippy.toml allows")]

#[path = "support/strokes.rs"]
mod strokes;
mod support;

use std::future::Future;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use fantoccini::actions::{InputSource, MouseActions, PointerAction, TouchActions};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use support::{Connection, Running};
use ziffer_dataset::catalog::Name;
use ziffer_dataset::{Mirror, Source, TrainTest};
use ziffer_nn::{Activation, Adam, Model, Sequential, SparseCategoricalCrossentropy};
use ziffer_serve::{EpochResult, Example, Limits, Site, TrainingProgress};
use ziffer_trainer::Trainer;

/// Rows of the test set that are drawn: a 7, a 2 and a 0.
const ROWS: [usize; 3] = [0, 1, 3];
/// The time for the page to react, also on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

static DATA: LazyLock<TrainTest> = LazyLock::new(|| {
    let folder = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mirror = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/mnist");
    let source = Source::new(Name::Mnist).data_dir(folder.path()).mirror(Mirror::Folder(mirror));
    // The files stay mapped when the folder is removed.
    TrainTest::open(&source).unwrap()
});

/// The tutorial's model after one epoch.
fn trained() -> Model {
    let stack = Sequential::new([28, 28]).flatten().dense(128, Activation::Relu).dense(64, Activation::Relu);
    let mut model = stack.dense(10, Activation::Softmax).build(0).unwrap();
    let mut trainer = Trainer::new(Adam::default(), SparseCategoricalCrossentropy::default()).epochs(1);
    trainer.fit(&mut model, &DATA.train).unwrap();
    model
}

fn examples() -> Vec<Example> {
    let view = DATA.test.view();
    (0..20).map(|row| Example { label: view.label(row), pixels: view.image(row).to_vec() }).collect()
}

/// A browser of the test's own, and its driver.
struct Browser {
    driver: Child,
    driver_address: std::net::SocketAddr,
    client: Client,
    session: String,
    _profile: tempfile::TempDir,
}

/// Why there is no browser, if there is none.
fn missing() -> Option<&'static str> {
    let is_in_path = |program: &str| {
        std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
    };
    if std::env::var_os("CI").is_some_and(|value| value == "true") {
        return Some("CI=true");
    }
    let is_installed = is_in_path("chromium") && is_in_path("chromedriver");
    (!is_installed)
        .then_some("chromium and chromedriver are not installed; crates/serve/tests/browser.sh does that")
}

impl Browser {
    async fn start() -> Self {
        let mut command = Command::new("chromedriver");
        let mut driver =
            command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let port = BufReader::new(driver.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok)
            // Its first line names port 0.
            .find_map(|line| {
                let port = line.split_once("on port ")?.1.trim_end_matches('.').parse::<u16>().ok();
                port.filter(|port| *port != 0)
            })
            .expect("the driver's port");
        let profile = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let profile_flag = format!("--user-data-dir={}", profile.path().display());
        let flags = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--no-first-run",
            &profile_flag,
        ];
        let capabilities = json!({
            "goog:chromeOptions": { "args": flags },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        });
        let address = format!("http://127.0.0.1:{port}");
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities.as_object().unwrap().clone())
            .connect(&address)
            .await
            .expect("a browser");
        let session = client.session_id().await.unwrap().unwrap();
        Self { driver, driver_address: ([127, 0, 0, 1], port).into(), client, session, _profile: profile }
    }

    /// The driver's answer to a command outside of the WebDriver standard.
    fn command(&self, path: &str, body: &Value) -> Value {
        let line = format!("POST /session/{}/{path}", self.session);
        let headers = [("Content-Type", "application/json")];
        let answer =
            Connection::open(self.driver_address).request(&line, &headers, body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()["value"].clone()
    }

    fn devtools(&self, command: &str, parameters: &Value) {
        self.command("goog/cdp/execute", &json!({ "cmd": command, "params": parameters }));
    }

    fn set_window(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }

    fn set_scheme(&self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    async fn evaluate(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Waits until a script returns what is expected.
    async fn expect(&self, script: &str, expected: &Value) {
        let start = Instant::now();
        loop {
            let found = self.evaluate(script).await;
            if found == *expected {
                return;
            }
            assert!(start.elapsed() < TIMEOUT, "{script}: found {found}, expected {expected}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the page shows this prediction, at the top and in the bars.
    async fn expect_prediction(&self, label: &str) {
        self.expect("return document.querySelector('#class').textContent", &json!(label)).await;
        if !label.is_empty() {
            let best = "return document.querySelector('#bars .best .label').textContent";
            self.expect(best, &json!(label)).await;
        }
    }

    /// Draws a digit's strokes on the canvas.
    async fn draw(&self, row: usize, finger: bool) {
        let script = "const canvas = document.querySelector('#canvas'); canvas.scrollIntoView({block: 'center'}); \
                      const box = canvas.getBoundingClientRect(); return [box.left, box.top, box.width, box.height]";
        let found = self.evaluate(script).await;
        let numbers: Vec<f64> =
            found.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect();
        let mut actions = Vec::new();
        for stroke in strokes::strokes(DATA.test.view().image(row)) {
            for (index, (x, y)) in stroke.into_iter().enumerate() {
                let (x, y) = (numbers[0] + x * numbers[2], numbers[1] + y * numbers[3]);
                actions.push(PointerAction::MoveTo {
                    duration: Some(Duration::from_millis(1)),
                    x: x.round(),
                    y: y.round(),
                });
                if index == 0 {
                    actions.push(PointerAction::Down { button: 0 });
                }
            }
            actions.push(PointerAction::Up { button: 0 });
        }
        let outcome = if finger {
            let all = actions.into_iter().fold(TouchActions::new("finger".to_owned()), InputSource::then);
            self.client.perform_actions(all).await
        } else {
            let all = actions.into_iter().fold(MouseActions::new("mouse".to_owned()), InputSource::then);
            self.client.perform_actions(all).await
        };
        outcome.unwrap();
    }

    async fn keys(&self, keys: &str) {
        self.client.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    async fn click(&self, selector: &str) {
        self.client.find(Locator::Css(selector)).await.unwrap().click().await.unwrap();
    }

    /// Checks that the page is not wider than its window.
    async fn expect_no_horizontal_scrolling(&self, what: &str) {
        let script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(self.evaluate(script).await, json!(0), "{what}");
    }

    /// Keeps a screenshot of the page if `ZIFFER_SCREENSHOTS` is set.
    async fn screenshot(&self, name: &str) {
        if let Some(folder) = std::env::var_os("ZIFFER_SCREENSHOTS") {
            // Transitions end a moment later.
            tokio::time::sleep(Duration::from_millis(400)).await;
            std::fs::create_dir_all(&folder).unwrap();
            let png = self.client.screenshot().await.unwrap();
            std::fs::write(PathBuf::from(folder).join(format!("{name}.png")), png).unwrap();
        }
    }

    /// Checks that the console is empty, and that the page has sent requests to its own server only.
    fn expect_no_errors(&self, server: &Running) {
        let messages = self.command("se/log", &json!({ "type": "browser" }));
        assert_eq!(messages, json!([]), "the console");
        let own = format!("http://{}/", server.address);
        let mut requests = 0;
        for entry in self.command("se/log", &json!({ "type": "performance" })).as_array().unwrap() {
            let message: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            if message["message"]["method"] != "Network.requestWillBeSent" {
                continue;
            }
            let url = message["message"]["params"]["request"]["url"].as_str().unwrap();
            // The browser's own first page.
            if !["chrome://", "chrome-untrusted://"].iter().any(|own_page| url.starts_with(own_page)) {
                assert!(url.starts_with(&own) || url.starts_with("data:"), "{url}");
                requests += 1;
            }
        }
        assert!(requests > 3, "{requests} requests");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The end of the session closes the browser. The driver is a child process.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let line = format!("DELETE /session/{}", self.session);
            Connection::open(self.driver_address).request(&line, &[], b"");
        }));
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Runs a test in a browser, or prints why not.
#[expect(clippy::print_stderr, reason = "the test's own output")]
fn in_browser<F: Future<Output = ()>>(test: impl FnOnce(Browser) -> F) {
    if let Some(reason) = missing() {
        eprintln!("skipped: the page in a browser: {reason}");
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { test(Browser::start().await).await });
}

/// Keys, as the WebDriver standard writes them.
const TAB: &str = "\u{E004}";
const ENTER: &str = "\u{E007}";
const CONTROL: &str = "\u{E009}";
const LEFT: &str = "\u{E012}";
const UP: &str = "\u{E013}";
const RIGHT: &str = "\u{E014}";
const DOWN: &str = "\u{E015}";
const DELETE: &str = "\u{E017}";

fn report() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    let html = "<!DOCTYPE html><meta name=color-scheme content='light dark'><style>p { font: 1rem sans-serif }</style><p style='height: 3000px'>The report of the run";
    std::fs::write(&path, html).unwrap();
    (folder, path)
}

#[test]
fn drawing_with_mouse_and_finger_examples_undo_and_report() {
    in_browser(|browser| async move {
        let (_folder, path) = report();
        let site = Site::new(trained()).unwrap().title("mnist-0").examples(examples()).report(path);
        let server = Running::start(site, Limits::default());
        browser.set_window(1280, 1350);
        browser.client.goto(&format!("http://{}/", server.address)).await.unwrap();
        browser.expect("return document.title", &json!("ziffer: mnist-0")).await;
        browser.expect_prediction("").await;
        for (width, height) in [(1280, 1350), (360, 2300)] {
            browser.set_window(width, height);
            for row in ROWS {
                let label = DATA.test.label(row).to_string();
                browser.draw(row, width == 360).await;
                browser.expect_prediction(&label).await;
                browser.expect("return document.querySelectorAll('#bars li').length", &json!(10)).await;
                // No percentage wraps, so that the list keeps its height.
                let heights = "return new Set([...document.querySelectorAll('#bars li')].map(bar => bar.clientHeight)).size";
                assert_eq!(browser.evaluate(heights).await, json!(1), "lines of the bars at {width}");
                let caption = "return /128 units, [1-9][0-9]* nonzero/.test(document.querySelector('#layers figcaption').textContent)";
                browser.expect(caption, &json!(true)).await;
                if row == ROWS[1] {
                    for scheme in ["light", "dark"] {
                        browser.set_scheme(scheme);
                        browser.screenshot(&format!("draw-{scheme}-{width}")).await;
                    }
                }
                browser.expect_no_horizontal_scrolling(&format!("drawing at {width}")).await;
                browser.click("#clear").await;
                browser.expect_prediction("").await;
            }
            // Undo removes the clearing, then the example, then the strokes one by one.
            browser.click("#undo").await;
            browser.expect_prediction(&DATA.test.label(ROWS[2]).to_string()).await;
            browser.click("#examples button:nth-child(3)").await;
            browser.expect_prediction(&DATA.test.label(2).to_string()).await;
            let pressed = "return [...document.querySelectorAll('#examples button')].map(button => button.ariaPressed).indexOf('true')";
            browser.expect(pressed, &json!(2)).await;
            browser.screenshot(&format!("example-dark-{width}")).await;
            browser.click("#undo").await;
            browser.expect_prediction(&DATA.test.label(ROWS[2]).to_string()).await;
            browser.click("#clear").await;
            browser.expect_prediction("").await;

            browser.click("#tab-report").await;
            browser.expect("return document.querySelector('#draw').hidden", &json!(true)).await;
            let frame = browser.client.find(Locator::Css("#report-frame")).await.unwrap();
            frame.enter_frame().await.unwrap();
            browser
                .expect(
                    "return document.body ? document.body.textContent.trim() : ''",
                    &json!("The report of the run"),
                )
                .await;
            browser.client.enter_parent_frame().await.unwrap();
            // Only the page scrolls, not the frame.
            let is_whole = "return document.querySelector('#report-frame').clientHeight > 3000";
            browser.expect(is_whole, &json!(true)).await;
            browser.expect_no_horizontal_scrolling(&format!("the report at {width}")).await;
            for scheme in ["dark", "light"] {
                browser.set_scheme(scheme);
                browser.screenshot(&format!("report-{scheme}-{width}")).await;
            }
            browser.click("#tab-draw").await;
        }
        browser.expect_no_errors(&server);
    });
}

#[test]
fn everything_works_with_the_keyboard_alone() {
    in_browser(|browser| async move {
        let server = Running::start(Site::new(trained()).unwrap().examples(examples()), Limits::default());
        browser.set_window(1280, 1350);
        browser.client.goto(&format!("http://{}/", server.address)).await.unwrap();
        browser.expect("return document.querySelectorAll('#examples button').length", &json!(20)).await;
        let focus = "return document.activeElement.id || document.activeElement.getAttribute('aria-label')";
        browser.keys(TAB).await;
        browser.expect(focus, &json!("tab-draw")).await;
        browser.keys(RIGHT).await;
        browser.expect("return document.querySelector('#report').hidden", &json!(false)).await;
        browser.keys(LEFT).await;
        browser.expect("return document.querySelector('#draw').hidden", &json!(false)).await;
        browser.keys(TAB).await;
        browser.expect(focus, &json!("canvas")).await;
        // A 1 down the middle.
        browser.keys(&format!("{}{ENTER}{}{ENTER}", UP.repeat(9), DOWN.repeat(18))).await;
        browser.expect_prediction("1").await;
        browser.expect("return document.querySelector('#pen').textContent", &json!("Pen up")).await;
        browser.screenshot("keys").await;
        // A bar on top of it, which Ctrl+Z removes.
        browser.keys(&format!("{}{} {} ", UP.repeat(18), LEFT.repeat(9), RIGHT.repeat(9))).await;
        browser.expect_prediction("7").await;
        browser.keys(&format!("{CONTROL}z\u{E000}")).await;
        browser.expect_prediction("1").await;
        browser.keys(DELETE).await;
        browser.expect_prediction("").await;
        // Clear is disabled, so that the help on keys comes after Undo, and then the first example.
        browser.keys(TAB).await;
        browser.expect(focus, &json!("undo")).await;
        browser.keys(TAB).await;
        browser.expect("return document.activeElement.closest('.keys') !== null", &json!(true)).await;
        browser.keys(TAB).await;
        browser.expect("return document.activeElement.closest('#examples') !== null", &json!(true)).await;
        browser.keys(ENTER).await;
        browser.expect_prediction(&DATA.test.label(0).to_string()).await;
        // For screen readers, once drawing pauses.
        browser
            .expect(
                "return document.querySelector('#spoken').textContent.startsWith('Prediction 7, ')",
                &json!(true),
            )
            .await;
        browser.expect_no_errors(&server);
    });
}

#[test]
fn curves_grow_during_a_training_and_predictions_follow_it() {
    in_browser(|browser| async move {
        let training = Arc::new(TrainingProgress::default());
        let site = Site::of_training(Arc::clone(&training), &[28, 28], 10).unwrap().title("mnist-0");
        let server = Running::start(site.examples(examples()), Limits::default());
        browser.set_window(1280, 900);
        browser.client.goto(&format!("http://{}/", server.address)).await.unwrap();
        browser.expect("return document.querySelector('#training').hidden", &json!(false)).await;
        training.begin(5, 100);
        let train = |epoch: usize, steps: usize| {
            for step in 0..steps {
                let place = epoch as f64 + step as f64 / 100.0;
                training.step(epoch, step, 0.6 / (1.0 + 2.0 * place), 1.0 - 0.2 / (1.0 + 2.0 * place));
            }
        };
        for epoch in 0..3 {
            train(epoch, 100);
            let factor = 1.0 / (1.0 + epoch as f64);
            let (loss, accuracy) = (0.3 * factor, 1.0 - 0.1 * factor);
            training.epoch(EpochResult {
                loss,
                accuracy,
                val_loss: Some(loss * 0.8),
                val_accuracy: Some(accuracy),
            });
        }
        train(3, 50);
        let progress = "return document.querySelector('#progress').textContent.slice(0, 31)";
        browser.expect(progress, &json!("Epoch 4 of 5, step 50 of 100: l")).await;
        browser.expect("return document.querySelectorAll('#loss circle').length", &json!(3)).await;
        browser.expect("return document.querySelectorAll('#epochs tbody tr').length", &json!(3)).await;
        let length = "return document.querySelector('#loss .train').getAttribute('d').length";
        let before = browser.evaluate(length).await.as_u64().unwrap();
        for (width, height) in [(1280, 900), (360, 1100)] {
            browser.set_window(width, height);
            for scheme in ["light", "dark"] {
                browser.set_scheme(scheme);
                browser.screenshot(&format!("training-{scheme}-{width}")).await;
            }
            browser.expect_no_horizontal_scrolling(&format!("training at {width}")).await;
        }
        train(4, 100);
        browser
            .expect(
                "return document.querySelector('#progress').textContent.startsWith('Epoch 5')",
                &json!(true),
            )
            .await;
        assert!(browser.evaluate(length).await.as_u64().unwrap() > before);
        browser.click("#tab-draw").await;
        browser.expect("return document.querySelector('#not-ready').hidden", &json!(false)).await;
        browser.screenshot("not-ready").await;
        training.end(trained(), 0.9612);
        browser.expect("return document.querySelector('#not-ready').hidden", &json!(true)).await;
        browser.draw(ROWS[0], false).await;
        browser.expect_prediction("7").await;
        browser.expect_no_errors(&server);
    });
}
