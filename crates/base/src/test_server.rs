//! A small HTTP server on the loopback interface, for tests: it sends the responses that a test gives it.
//!
//! ```
//! use std::collections::HashMap;
//! use std::io::{Read as _, Write as _};
//! use ziffer_base::test_server::TestServer;
//!
//! let server = TestServer::with_files(HashMap::from([("hello".to_owned(), b"hello, world".to_vec())]));
//! let address = server.url.trim_start_matches("http://").trim_end_matches('/');
//! let mut stream = std::net::TcpStream::connect(address)?;
//! stream.write_all(b"GET /hello HTTP/1.1\r\nAccept: text/plain\r\n\r\n")?;
//! let mut response = String::new();
//! stream.read_to_string(&mut response)?;
//! assert!(response.starts_with("HTTP/1.1 200 OK\r\n") && response.ends_with("hello, world"));
//! assert!(server.requests()[0].has("accept: text/plain"));
//! # Ok::<(), std::io::Error>(())
//! ```

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request that the server received.
#[derive(Clone, Debug)]
pub struct Request {
    /// The path, without its leading slash.
    pub path: String,
    /// The header lines, in lower case.
    pub headers: String,
}

impl Request {
    /// Whether the request has this header line, in lower case.
    pub fn has(&self, line: &str) -> bool {
        self.headers.lines().any(|header| header == line)
    }
}

/// A server that runs until the process ends. It handles one connection after the other, and one request on each.
pub struct TestServer {
    /// The URL of the server, with a slash at the end.
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl TestServer {
    /// A server that calls `respond` for each request, and then closes the connection.
    ///
    /// # Panics
    /// If there is no free port.
    pub fn new(
        mut respond: impl FnMut(&Request, &mut TcpStream) -> io::Result<()> + Send + 'static,
    ) -> TestServer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                // Clients may give up halfway.
                let Ok(request) = receive(&stream) else { continue };
                log.lock().expect("no panic in a lock").push(request.clone());
                let _ = respond(&request, &mut stream);
            }
        });
        TestServer { url, requests }
    }

    /// A server with these files, by their paths. It responds to other requests with 404.
    pub fn with_files(files: HashMap<String, Vec<u8>>) -> TestServer {
        TestServer::new(move |request, stream| {
            stream.write_all(&match files.get(&request.path) {
                Some(body) => response("200 OK", "", body),
                None => response("404 Not Found", "", b""),
            })
        })
    }

    /// All requests so far.
    ///
    /// # Panics
    /// If the server thread panicked.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic in a lock").clone()
    }

    /// The paths of all requests so far.
    ///
    /// # Panics
    /// If the server thread panicked.
    pub fn paths(&self) -> Vec<String> {
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

/// A complete response. Each line of `headers` ends with `\r\n`.
pub fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let len = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {len}\r\nConnection: close\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}
