//! Where requests come in at a listener: which endpoint it is, and the proxies before it, whose word
//! about their clients' addresses is taken.
//!
//! ```text
//! client 198.51.100.7 ──▶ proxy 10.0.0.9 ──▶ proxy 10.0.0.1 ──▶ listener
//!                     X-Forwarded-For: 203.0.113.1, 198.51.100.7, 10.0.0.9
//!                                      what the client  ▲          ◀── read from here,
//!                                      says of itself   the client     while proxies are trusted
//! ```
use crate::call::Endpoint;
use crate::policy::Network;
use http::HeaderMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

const HEADER: &str = "x-forwarded-for";

/// What a listener makes of the requests that come in over it.
#[derive(Clone, Debug, Default)]
pub struct Entrance {
    /// The VPC endpoint that it is, if it is one.
    pub endpoint: Option<Arc<Endpoint>>,
    /// The proxies before it.
    pub proxies: Proxies,
}

/// The addresses of the proxies that are trusted; of none, unless configured.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Vec<Network>);

/// What a trusted proxy says cannot be read. Taking its own address for its client's would open what
/// is open to the proxy only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The X-Forwarded-For header is malformed.")]
pub struct Malformed;

impl Proxies {
    pub fn new(trusted: Vec<Network>) -> Self {
        Self(trusted)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Where a request comes from that `peer` sent: the peer itself, unless it is trusted and names
    /// somebody else. What stands left of the first address that is not trusted was written by it,
    /// and is not read.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Result<IpAddr, Malformed> {
        // Several headers of the name are one list, in their order (RFC 9110, section 5.3).
        let lines = headers.get_all(HEADER).iter().rev();
        let mut entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        let mut client = peer;
        while self.trust(client) {
            let Some(entry) = entries.next() else { break };
            let entry = std::str::from_utf8(entry).map_err(|_| Malformed)?;
            client = address(entry.trim_matches([' ', '\t'])).ok_or(Malformed)?;
        }
        Ok(client)
    }
}

/// An address, with the port that some proxies add or without.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = match bare {
        Some(six) => IpAddr::V6(six.parse().ok()?),
        None => {
            text.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip())).ok()?
        }
    };
    // No client is nowhere; inside the server that address stands for calls of its own.
    Some(address.to_canonical()).filter(|address| !address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(trusted: &[&str]) -> Proxies {
        Proxies::new(trusted.iter().map(|text| Network::parse(text).unwrap()).collect())
    }

    fn client(trusted: &[&str], peer: &str, headers: &[&str]) -> Result<String, Malformed> {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(HEADER, header.parse().unwrap());
        }
        let peer = peer.parse::<IpAddr>().unwrap().to_canonical();
        proxies(trusted).client(peer, &map).map(|address| address.to_string())
    }

    #[test]
    fn the_first_address_from_the_right_that_is_not_trusted() {
        let ten = &["10.0.0.0/8", "2001:db8:a::/48"][..];
        for (peer, headers, expected) in [
            // Nobody is spoken for, or nobody is trusted.
            ("10.0.0.1", &[][..], "10.0.0.1"),
            ("192.0.2.1", &["198.51.100.7"], "192.0.2.1"),
            ("192.0.2.1", &["10.0.0.1", "nonsense"], "192.0.2.1"),
            ("11.0.0.1", &["198.51.100.7"], "11.0.0.1"),
            // One proxy, two, and what the client itself wrote before them.
            ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["198.51.100.7, 10.0.0.9"], "198.51.100.7"),
            ("10.0.0.1", &["203.0.113.1, 198.51.100.7, 10.0.0.9"], "198.51.100.7"),
            ("10.0.0.1", &["10.9.9.9, 198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["nonsense,, unknown, 198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["203.0.113.1", "198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["198.51.100.7", "10.0.0.9,10.0.0.8"], "198.51.100.7"),
            // All of them are proxies: the first of them asks for itself.
            ("10.0.0.1", &["10.0.0.8 ,\t10.0.0.9"], "10.0.0.8"),
            // Forms of addresses.
            ("10.0.0.1", &["198.51.100.7:4711"], "198.51.100.7"),
            ("10.0.0.1", &["2001:db8::7"], "2001:db8::7"),
            ("10.0.0.1", &["[2001:db8::7]"], "2001:db8::7"),
            ("10.0.0.1", &["[2001:db8::7]:443"], "2001:db8::7"),
            ("2001:db8:a::1", &["2001:db8:b::1"], "2001:db8:b::1"),
            ("2001:db8:b::1", &["2001:db8:a::1"], "2001:db8:b::1"),
            ("::ffff:10.0.0.1", &["::ffff:198.51.100.7, ::ffff:10.0.0.9"], "198.51.100.7"),
            ("::ffff:192.0.2.1", &["198.51.100.7"], "192.0.2.1"),
        ] {
            assert_eq!(client(ten, peer, headers).as_deref(), Ok(expected), "{peer} {headers:?}");
        }
        assert_eq!(client(&[], "127.0.0.1", &["198.51.100.7"]).as_deref(), Ok("127.0.0.1"));
    }

    #[test]
    fn what_a_proxy_says_is_read_whole_or_refused() {
        for header in [
            "",
            " ",
            ",",
            "198.51.100.7,",
            "198.51.100.7, ,10.0.0.9",
            "unknown",
            "_hidden",
            "198.51.100",
            "198.51.100.256",
            "0.0.0.0",
            "::ffff:0.0.0.0",
            "[::]:443",
            "0198.51.100.7",
            "198.51.100.7/32",
            "198.51.100.7 10.0.0.9",
            "198.51.100.7;10.0.0.9",
            "198.51.100.7:",
            "198.51.100.7:99999",
            "[198.51.100.7]",
            "[2001:db8::7",
            "2001:db8::7]",
            "fe80::1%eth0",
            "for=198.51.100.7",
            "\"198.51.100.7\"",
            "localhost",
        ] {
            let refused = client(&["10.0.0.0/8"], "10.0.0.1", &[header]);
            assert_eq!(refused, Err(Malformed), "{header:?}");
        }
        // The one that was read last decides, though another would be good.
        let two = client(&["10.0.0.0/8"], "10.0.0.1", &["198.51.100.7", ""]);
        assert_eq!(two, Err(Malformed));
    }
}
