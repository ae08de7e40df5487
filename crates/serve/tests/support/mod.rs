//! A server for tests, and a client that controls every byte of its requests.
#![allow(dead_code, reason = "each test uses its part")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use ziffer_serve::{Limits, Server, Site};

/// A server on its own thread, which stops when it is dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn start(site: Site, limits: Limits) -> Self {
        let server = Server::bind(Ipv4Addr::LOCALHOST.into(), 0).unwrap().limits(limits);
        let (address, stop) = (server.address(), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || server.run(site, &stopped).unwrap());
        Self { address, stop, thread: Some(thread) }
    }

    /// Stops the server and waits for its thread.
    pub(crate) fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A connection with keep-alive.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    address: SocketAddr,
    rest: Vec<u8>,
}

/// A response. The names of headers are lower-case.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, address, rest: Vec::new() }
    }

    /// Sends a request with a body, and with these headers besides `Host` and `Content-Length`.
    pub(crate) fn request(&mut self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let host = self.address.to_string();
        let length = body.len().to_string();
        let mut all = vec![("Host", host.as_str()), ("Content-Length", length.as_str())];
        all.extend(headers);
        self.raw(line, &all, body)
    }

    /// Sends a request with these headers only.
    pub(crate) fn raw(&mut self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut bytes = format!("{line} HTTP/1.1\r\n").into_bytes();
        for (name, value) in headers {
            bytes.extend(format!("{name}: {value}\r\n").into_bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(body);
        self.stream.write_all(&bytes).unwrap();
        self.answer().expect("an answer")
    }

    /// The next response; `None` if the server closes the connection.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        let end = loop {
            if let Some(end) = self.rest.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end;
            }
            self.more()?;
        };
        let head = String::from_utf8(self.rest.drain(..end + 4).collect()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut answer = Answer { status, headers, body: Vec::new() };
        let length: usize = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        while self.rest.len() < length {
            self.more()?;
        }
        answer.body = self.rest.drain(..length).collect();
        Some(answer)
    }

    fn more(&mut self) -> Option<()> {
        let mut buffer = [0; 1 << 16];
        match self.stream.read(&mut buffer) {
            Ok(read @ 1..) => {
                self.rest.extend(&buffer[..read]);
                Some(())
            }
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
            {
                panic!("no answer in a minute")
            }
            Ok(0) | Err(_) => None,
        }
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
