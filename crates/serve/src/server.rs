//! The listening socket, and the connections.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::hosts::Hosts;
use crate::limits::{DECODERS, HEAD_BYTES, Limits, STOP_CHECK_INTERVAL};
use crate::router;
use crate::state::ServerState;
use crate::{ServeError, Site};

/// A bound server, which does not accept connections before [`run`](Self::run).
#[derive(Debug)]
pub struct Server {
    listener: std::net::TcpListener,
    address: SocketAddr,
    allowed: Vec<String>,
    limits: Limits,
}

impl Server {
    /// Binds an address of this machine. Port 0 binds any free port.
    ///
    /// # Errors
    /// If another program has the port, or if the address cannot be bound.
    pub fn bind(host: IpAddr, port: u16) -> Result<Self, ServeError> {
        let address = SocketAddr::new(host, port);
        let listen = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => ServeError::Taken { address },
            _ => ServeError::Listen { address, source },
        };
        let listener = std::net::TcpListener::bind(address).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        Ok(Self { listener, address, allowed: Vec::new(), limits: Limits::default() })
    }

    /// The bound address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds names that a `Host` header may have. A name has a port of its own (`name:8000`) or the server's.
    #[must_use]
    pub fn allow_hosts(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.allowed.extend(names);
        self
    }

    /// Sets the limits of clients.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Serves on this thread until `stop` is set, which it checks 20 times a second. Then it closes all connections.
    ///
    /// # Errors
    /// If the operating system does not give what a server needs.
    pub fn run(self, site: Site, stop: &AtomicBool) -> Result<(), ServeError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(DECODERS + 1)
            .build()
            .map_err(ServeError::Start)?;
        let outcome = runtime.block_on(self.serve(site, stop));
        // Does not wait for a picture that is being decoded.
        runtime.shutdown_background();
        outcome
    }

    async fn serve(self, site: Site, stop: &AtomicBool) -> Result<(), ServeError> {
        let listener = TcpListener::from_std(self.listener).map_err(ServeError::Start)?;
        let mut connections = Connections::default();
        let hosts = Hosts::new(self.address, &self.allowed);
        let state = Arc::new(ServerState::new(site, hosts, self.limits));
        while !stop.load(Ordering::Relaxed) {
            let (stream, client) = match timeout(STOP_CHECK_INTERVAL, listener.accept()).await {
                Err(_) => continue,
                Ok(Ok(accepted)) => accepted,
                Ok(Err(_)) => {
                    // The client is gone, or no file descriptor is free until another connection closes.
                    sleep(STOP_CHECK_INTERVAL).await;
                    continue;
                }
            };
            // Responses are small and written at once. Nagle's algorithm would delay them.
            let _ = stream.set_nodelay(true);
            connections.make_room(self.limits.connections);
            let last_request_us = Arc::new(AtomicU64::new(state.now_us()));
            let task = connection(Arc::clone(&state), stream, client.ip(), Arc::clone(&last_request_us));
            connections.0.push((last_request_us, tokio::spawn(task).abort_handle()));
            // Open connections run before the next one is accepted.
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

/// The open connections: when the last request of each began, and its task.
#[derive(Default)]
struct Connections(Vec<(Arc<AtomicU64>, AbortHandle)>);

impl Connections {
    /// Closes the connections that have been idle for longest, until there are fewer than `most`. So no client locks out others by
    /// holding connections: a request that a client sends at once is answered before its connection can be closed.
    fn make_room(&mut self, most: usize) {
        self.0.retain(|(_, task)| !task.is_finished());
        while self.0.len() >= most.max(1) {
            let last_request_us = |&at: &usize| self.0[at].0.load(Ordering::Relaxed);
            let Some(idlest) = (0..self.0.len()).min_by_key(last_request_us) else { return };
            self.0.remove(idlest).1.abort();
        }
    }
}

/// Answers the requests of a connection until either side closes it, or until no request has begun for too long. `last_request_us` is
/// when the last one began, or when the connection was accepted.
async fn connection(
    state: Arc<ServerState>,
    stream: TcpStream,
    client: IpAddr,
    last_request_us: Arc<AtomicU64>,
) {
    let service = service_fn(|request| {
        last_request_us.store(state.now_us(), Ordering::Relaxed);
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(router::respond(&state, request, client).await) }
    });
    let mut http = http1::Builder::new();
    http.max_buf_size(HEAD_BYTES);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let idle_us = state.limits.idle_time.as_micros() as u64;
    loop {
        let passed_us = state.now_us().saturating_sub(last_request_us.load(Ordering::Relaxed));
        if passed_us >= idle_us {
            return;
        }
        if timeout(Duration::from_micros(idle_us - passed_us), connection.as_mut()).await.is_ok() {
            return;
        }
    }
}
