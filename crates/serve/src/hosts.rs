//! The names that a `Host` header may have.
//!
//! An attacker's page can make its own domain resolve to this machine ("DNS rebinding") and then read responses as its own. Its requests
//! still have that domain in the `Host` header, so the server refuses every name that is not its own. An IP address cannot be rebound.

use std::net::{IpAddr, SocketAddr};

/// The allowed hosts with their ports.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    names: Vec<String>,
    /// Whether the server is bound to all interfaces, so that every IP address may be its own.
    any_address: bool,
    port: u16,
}

/// The port of a host without one.
const HTTP: u16 = 80;

impl Hosts {
    /// The hosts of a server at `address`: that address, `localhost` if it reaches the server, and the allowed names, with the server's
    /// port if they have none.
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
    pub(crate) fn is_allowed(&self, host: &str) -> bool {
        let address = host.parse::<SocketAddr>().ok();
        let without_port = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        let address = address.or(without_port.map(|ip| SocketAddr::new(ip, HTTP)));
        if self.any_address && address.is_some_and(|address| address.port() == self.port) {
            return true;
        }
        let host = host.to_ascii_lowercase();
        self.names.contains(&host) || self.names.contains(&format!("{host}:{HTTP}"))
    }

    /// Whether an `Origin` header is that of the page on this host.
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
    fn only_the_server_s_own_names_are_allowed() {
        let own = hosts("127.0.0.1:7878", &[]);
        for host in ["127.0.0.1:7878", "localhost:7878", "LocalHost:7878"] {
            assert!(own.is_allowed(host), "{host}");
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
            assert!(!own.is_allowed(host), "{host}");
        }
        assert!(hosts("[::1]:9", &[]).is_allowed("[::1]:9"));
        let at_80 = hosts("127.0.0.1:80", &[]);
        assert!(
            at_80.is_allowed("localhost")
                && at_80.is_allowed("127.0.0.1")
                && at_80.is_allowed("localhost:80")
        );
        assert!(!at_80.is_allowed("localhost:8080"));
    }

    #[test]
    fn on_all_interfaces_every_address_is_allowed_but_no_other_name() {
        let all = hosts("0.0.0.0:7878", &["box.lan", "door.lan:8000"]);
        for host in ["192.168.0.2:7878", "[fe80::1]:7878", "localhost:7878", "box.lan:7878", "Door.lan:8000"]
        {
            assert!(all.is_allowed(host), "{host}");
        }
        for host in ["evil.example:7878", "192.168.0.2", "box.lan", "box.lan:8000", "door.lan:7878"] {
            assert!(!all.is_allowed(host), "{host}");
        }
        let one = hosts("192.168.0.2:7878", &[]);
        assert!(
            one.is_allowed("192.168.0.2:7878")
                && !one.is_allowed("192.168.0.3:7878")
                && !one.is_allowed("localhost:7878")
        );
    }

    #[test]
    fn only_the_page_s_own_origin_is_allowed() {
        assert!(Hosts::is_own("http://localhost:7878", "localhost:7878"));
        for origin in
            ["null", "https://localhost:7878", "http://localhost", "http://evil.example", "localhost:7878"]
        {
            assert!(!Hosts::is_own(origin, "localhost:7878"), "{origin}");
        }
    }
}
