//! Listening, and the connections.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::answer::answer;
use crate::hosts::Hosts;
use crate::limits::{DECODERS, HEAD_BYTES, LOOK, Limits};
use crate::rate::Rates;
use crate::{ServeError, Site};

/// A server that listens and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: std::net::TcpListener,
    address: SocketAddr,
    allowed: Vec<String>,
    limits: Limits,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) site: Site,
    pub(crate) hosts: Hosts,
    pub(crate) limits: Limits,
    pub(crate) rates: Rates,
    pub(crate) decoders: Arc<Semaphore>,
    since: Instant,
}

impl Server {
    /// Listens at an address of this machine; port 0 takes any that is free.
    ///
    /// # Errors
    /// If another program has the port, or the address can't be listened at.
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

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds names that requests may call this server by, each with a port of its own (`name:8000`) or with the server's.
    #[must_use]
    pub fn allow_hosts(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.allowed.extend(names);
        self
    }

    /// Sets what clients may take.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Serves on this thread until `stop` is set, which is looked at 20 times a second; open connections are closed then.
    ///
    /// # Errors
    /// If the system gives no means to begin with.
    pub fn run(self, site: Site, stop: &AtomicBool) -> Result<(), ServeError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(DECODERS + 1)
            .build()
            .map_err(ServeError::Start)?;
        let outcome = runtime.block_on(self.serve(site, stop));
        // A picture that is being decoded is not waited for.
        runtime.shutdown_background();
        outcome
    }

    async fn serve(self, site: Site, stop: &AtomicBool) -> Result<(), ServeError> {
        let listener = TcpListener::from_std(self.listener).map_err(ServeError::Start)?;
        let mut connections = Connections::default();
        let shared = Arc::new(Shared {
            hosts: Hosts::new(self.address, &self.allowed),
            rates: Rates::new(self.limits.requests_per_second),
            decoders: Arc::new(Semaphore::new(DECODERS)),
            limits: self.limits,
            since: Instant::now(),
            site,
        });
        while !stop.load(Ordering::Relaxed) {
            let (stream, from) = match timeout(LOOK, listener.accept()).await {
                Err(_) => continue,
                Ok(Ok(accepted)) => accepted,
                Ok(Err(_)) => {
                    // The client is gone, or there is no file handle left: others will be closed.
                    sleep(LOOK).await;
                    continue;
                }
            };
            // Answers are small and written at once; without this they may wait for the next one.
            let _ = stream.set_nodelay(true);
            connections.make_room(self.limits.connections);
            let began_us = Arc::new(AtomicU64::new(shared.now_us()));
            let task = connection(Arc::clone(&shared), stream, from.ip(), Arc::clone(&began_us));
            connections.0.push((began_us, tokio::spawn(task).abort_handle()));
            // Whoever is there already has its turn before the next one comes.
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

impl Shared {
    /// Microseconds since the server began.
    fn now_us(&self) -> u64 {
        self.since.elapsed().as_micros() as u64
    }
}

/// The connections that are open: when the last request of each began, and the task that answers it.
#[derive(Default)]
struct Connections(Vec<(Arc<AtomicU64>, AbortHandle)>);

impl Connections {
    /// Ends those on which nothing has begun for longest, until there are fewer than `most`. So nobody keeps others out by holding
    /// connections: a request that comes at once is answered before its own has its turn.
    fn make_room(&mut self, most: usize) {
        self.0.retain(|(_, task)| !task.is_finished());
        while self.0.len() >= most.max(1) {
            let began_us = |&at: &usize| self.0[at].0.load(Ordering::Relaxed);
            let Some(quietest) = (0..self.0.len()).min_by_key(began_us) else { return };
            self.0.remove(quietest).1.abort();
        }
    }
}

/// Answers the requests of a connection until either side closes it, or no request has begun for too long. `began_us` is when the last
/// one began: one that is not there yet counts from the connection's beginning.
async fn connection(shared: Arc<Shared>, stream: TcpStream, from: IpAddr, began_us: Arc<AtomicU64>) {
    let service = service_fn(|request| {
        began_us.store(shared.now_us(), Ordering::Relaxed);
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(&shared, request, from).await) }
    });
    let mut http = http1::Builder::new();
    http.max_buf_size(HEAD_BYTES);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let quiet_us = shared.limits.quiet_time.as_micros() as u64;
    loop {
        let passed_us = shared.now_us().saturating_sub(began_us.load(Ordering::Relaxed));
        if passed_us >= quiet_us {
            return;
        }
        if timeout(Duration::from_micros(quiet_us - passed_us), connection.as_mut()).await.is_ok() {
            return;
        }
    }
}
