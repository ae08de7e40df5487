//! A small HTTP server on this machine, which answers as it is told to.
#![allow(dead_code, reason = "each user has its own part of this")]

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The path, without the slash at its start.
    pub(crate) path: String,
    /// The header lines, in lower case.
    pub(crate) headers: String,
}

impl Request {
    /// Whether it has this header line.
    pub(crate) fn has(&self, line: &str) -> bool {
        self.headers.lines().any(|header| header == line)
    }
}

/// A server that lives as long as the process, and has a connection for each request, one after the other.
pub(crate) struct Server {
    /// Its address, with a slash at the end.
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Has each request answered by `answer`; then the line is cut.
    pub(crate) fn new(
        mut answer: impl FnMut(&Request, &mut TcpStream) -> io::Result<()> + Send + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                // A client that gives up in the middle is part of the tests.
                let Ok(request) = receive(&stream) else { continue };
                log.lock().unwrap().push(request.clone());
                let _ = answer(&request, &mut stream);
            }
        });
        Server { url, requests }
    }

    /// Has the files, by their paths; anything else is answered 404.
    pub(crate) fn with_files(files: HashMap<String, Vec<u8>>) -> Server {
        Server::new(move |request, stream| {
            stream.write_all(&match files.get(&request.path) {
                Some(body) => response("200 OK", "", body),
                None => response("404 Not Found", "", b""),
            })
        })
    }

    /// All requests until now.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The paths of all requests until now.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.path).collect()
    }
}

fn receive(stream: &TcpStream) -> io::Result<Request> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().unwrap_or(Ok(String::new()))?;
    let path = first.split(' ').nth(1).unwrap_or("").trim_start_matches('/').to_owned();
    let headers: Vec<String> = lines.map_while(|line| line.ok().filter(|line| !line.is_empty())).collect();
    Ok(Request { path, headers: headers.join("\n").to_lowercase() })
}

/// A whole answer. `headers` are lines, each with its end.
pub(crate) fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let len = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {len}\r\nConnection: close\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}
