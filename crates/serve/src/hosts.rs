//! Which names a request may call this server by.
//!
//! A page from elsewhere can have its own name point to this machine ("DNS rebinding") and then reads answers as its own. Its requests
//! still carry that name, so that names that are not this server's are refused. An address in numbers cannot be pointed elsewhere.

use std::net::{IpAddr, SocketAddr};

/// The hosts, with their ports, that requests may name.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    names: Vec<String>,
    /// Bound to all interfaces: every address in numbers is this server's.
    any_address: bool,
    port: u16,
}

/// The port that a host without one means.
const HTTP: u16 = 80;

impl Hosts {
    /// For a server at `address`: that address; `localhost` where that reaches it; and the allowed names, with this port if they have
    /// none of their own.
    pub(crate) fn new(address: SocketAddr, allowed: &[String]) -> Self {
        let (ip, port) = (address.ip(), address.port());
        let mut names = vec![address.to_string()];
        if ip.is_loopback() || ip.is_unspecified() {
            names.push(format!("localhost:{port}"));
        }
        for name in allowed {
            let has_port = name.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
            names.push(if has_port {
                name.to_ascii_lowercase()
            } else {
                format!("{name}:{port}").to_ascii_lowercase()
            });
        }
        Self { names, any_address: ip.is_unspecified(), port }
    }

    /// Whether a `Host` header names this server.
    pub(crate) fn admit(&self, host: &str) -> bool {
        let address = host.parse::<SocketAddr>().ok();
        let without_port = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        let address = address.or(without_port.map(|ip| SocketAddr::new(ip, HTTP)));
        if self.any_address && address.is_some_and(|address| address.port() == self.port) {
            return true;
        }
        let host = host.to_ascii_lowercase();
        self.names.contains(&host) || self.names.contains(&format!("{host}:{HTTP}"))
    }

    /// Whether an `Origin` header is that of the page that is served under this host.
    pub(crate) fn is_own(origin: &str, host: &str) -> bool {
        origin.strip_prefix("http://").is_some_and(|origin| origin.eq_ignore_ascii_case(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(address: &str, allowed: &[&str]) -> Hosts {
        let allowed: Vec<String> = allowed.iter().map(|&name| name.to_owned()).collect();
        Hosts::new(address.parse().unwrap(), &allowed)
    }

    #[test]
    fn its_own_names_only() {
        let own = hosts("127.0.0.1:7878", &[]);
        for host in ["127.0.0.1:7878", "localhost:7878", "LocalHost:7878"] {
            assert!(own.admit(host), "{host}");
        }
        for host in [
            "",
            "localhost",
            "127.0.0.1",
            "127.0.0.1:80",
            "evil.example:7878",
            "localhost.evil.example:7878",
            "192.168.0.2:7878",
            "[::1]:7878",
        ] {
            assert!(!own.admit(host), "{host}");
        }
        assert!(hosts("[::1]:9", &[]).admit("[::1]:9"));
        let at_80 = hosts("127.0.0.1:80", &[]);
        assert!(at_80.admit("localhost") && at_80.admit("127.0.0.1") && at_80.admit("localhost:80"));
        assert!(!at_80.admit("localhost:8080"));
    }

    #[test]
    fn on_all_interfaces_every_address_but_no_name() {
        let all = hosts("0.0.0.0:7878", &["box.lan", "door.lan:8000"]);
        for host in ["192.168.0.2:7878", "[fe80::1]:7878", "localhost:7878", "box.lan:7878", "Door.lan:8000"]
        {
            assert!(all.admit(host), "{host}");
        }
        for host in ["evil.example:7878", "192.168.0.2", "box.lan", "box.lan:8000", "door.lan:7878"] {
            assert!(!all.admit(host), "{host}");
        }
        let one = hosts("192.168.0.2:7878", &[]);
        assert!(
            one.admit("192.168.0.2:7878") && !one.admit("192.168.0.3:7878") && !one.admit("localhost:7878")
        );
    }

    #[test]
    fn origins() {
        assert!(Hosts::is_own("http://localhost:7878", "localhost:7878"));
        for origin in
            ["null", "https://localhost:7878", "http://localhost", "http://evil.example", "localhost:7878"]
        {
            assert!(!Hosts::is_own(origin, "localhost:7878"), "{origin}");
        }
    }
}
