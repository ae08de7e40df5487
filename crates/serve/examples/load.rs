//! Measures a server's rate of predictions, response times and memory, while one client is slow and another sends an endless body.
//!
//! ```console
//! $ cargo run --release -p ziffer-serve --example load -- 10
//! ```
//!
//! The argument is the number of seconds, at most 60. The server is a process of its own, on core 0 if there is `taskset`.
#![allow(clippy::print_stdout, reason = "the example's own output")]

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ziffer_nn::{Activation, Sequential};
use ziffer_serve::{Server, Site};

/// Predictions per second, and connections.
const RATE: f64 = 2000.0;
const CONNECTIONS: usize = 4;
const MOST_SECONDS: f64 = 60.0;
/// The time before the measurement.
const WARM_UP: Duration = Duration::from_secs(2);

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1).as_deref() {
        Some("server") => serve(),
        seconds => load(seconds.unwrap_or("10").parse::<f64>()?.clamp(1.0, MOST_SECONDS)),
    }
}

/// Serves the tutorial's model until standard input ends.
fn serve() -> Result<(), Box<dyn Error>> {
    let stack = Sequential::new([28, 28]).flatten().dense(128, Activation::Relu).dense(64, Activation::Relu);
    let site = Site::new(stack.dense(10, Activation::Softmax).build(0)?)?;
    let server = Server::bind(Ipv4Addr::LOCALHOST.into(), 0)?;
    println!("{}", server.address());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _ = std::io::stdin().read(&mut [0]);
            stop.store(true, Ordering::Relaxed);
        });
        server.run(site, &stop)
    })?;
    Ok(())
}

/// Kills the server when this program ends.
struct KilledOnDrop(Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn load(seconds: f64) -> Result<(), Box<dyn Error>> {
    let (mut server, is_pinned) = start()?;
    let output = server.0.stdout.take().ok_or("no output of the server")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    let address: SocketAddr = line.trim().parse()?;
    let done = AtomicBool::new(false);
    let (mut times, before, after) = std::thread::scope(|scope| -> Result<_, Box<dyn Error>> {
        scope.spawn(|| endless(address, "POST /api/predict HTTP/1.1\r\nX-Slow: ", b"a", &done));
        let head = format!(
            "POST /api/predict HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        let done = &done;
        scope.spawn(move || endless(address, &head, b"1\r\n \r\n", done));
        run(address, WARM_UP)?;
        let before = memory_kb(server.0.id())?;
        let times = run(address, Duration::from_secs_f64(seconds));
        let after = memory_kb(server.0.id());
        done.store(true, Ordering::Relaxed);
        Ok((times?, before, after?))
    })?;
    times.sort_unstable();
    let quantile = |fraction: f64| times[((times.len() - 1) as f64 * fraction) as usize].as_secs_f64() * 1e3;
    let core = if is_pinned { "core 0" } else { "any core" };
    println!(
        "{:.0} predictions a second for {seconds} s, the server on {core}",
        times.len() as f64 / seconds
    );
    println!(
        "median {:.2} ms, 99th percentile {:.2} ms, longest {:.2} ms",
        quantile(0.5),
        quantile(0.99),
        quantile(1.0)
    );
    println!("resident memory {before} kB before, {after} kB after");
    Ok(())
}

fn start() -> Result<(KilledOnDrop, bool), Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let start =
        |command: &mut Command| command.arg("server").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    match start(Command::new("taskset").args(["-c", "0"]).arg(&program)) {
        Ok(child) => Ok((KilledOnDrop(child), true)),
        Err(_) => Ok((KilledOnDrop(start(&mut Command::new(program))?), false)),
    }
}

/// The response time of each prediction, from its planned start, so that the wait for a connection counts.
fn run(address: SocketAddr, time: Duration) -> Result<Vec<Duration>, Box<dyn Error>> {
    let start = Instant::now();
    let every = Duration::from_secs_f64(CONNECTIONS as f64 / RATE);
    let count = (time.as_secs_f64() / every.as_secs_f64()) as u32;
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|client| {
                scope.spawn(move || -> std::io::Result<Vec<Duration>> {
                    let mut stream = TcpStream::connect(address)?;
                    stream.set_nodelay(true)?;
                    let first = start + every.mul_f64(client as f64 / CONNECTIONS as f64);
                    let mut times = Vec::new();
                    for number in 0..count {
                        let due = first + every * number;
                        std::thread::sleep(due.saturating_duration_since(Instant::now()));
                        predict(&mut stream, address, number)?;
                        times.push(due.elapsed());
                    }
                    Ok(times)
                })
            })
            .collect();
        let mut all = Vec::new();
        for client in clients {
            all.extend(client.join().map_err(|_| "a client has panicked")??);
        }
        Ok(all)
    })
}

/// One prediction for an image with as many nonzero pixels as those of MNIST.
fn predict(stream: &mut TcpStream, address: SocketAddr, number: u32) -> std::io::Result<()> {
    let pixel = |pixel: u32| if (pixel + number).is_multiple_of(5) { (pixel * 7 + number) % 256 } else { 0 };
    let pixels: Vec<String> = (0..784).map(|place| pixel(place).to_string()).collect();
    let body = format!("{{\"pixels\":[{}]}}", pixels.join(","));
    let length = body.len();
    let head = format!(
        "POST /api/predict HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes())?;
    // The response is JSON with a single closing brace.
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer)?;
        answer.extend(&buffer[..read]);
        if read == 0 {
            break;
        }
    }
    if answer.starts_with(b"HTTP/1.1 200 ") {
        return Ok(());
    }
    Err(std::io::Error::other(String::from_utf8_lossy(&answer).into_owned()))
}

/// A client whose request never ends, and which connects again whenever it is disconnected.
fn endless(address: SocketAddr, head: &str, again: &[u8], done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        let Ok(mut stream) = TcpStream::connect(address) else { return };
        let mut outcome = stream.write_all(head.as_bytes());
        while outcome.is_ok() && !done.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
            outcome = stream.write_all(again);
        }
    }
}

/// The resident memory of a process.
fn memory_kb(process: u32) -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
