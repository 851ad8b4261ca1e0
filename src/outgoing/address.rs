//! Which addresses may be asked. Names are chosen by others (who writes a database's secret chooses its
//! host), and must not lead to what is meant for this machine only.
use super::OutgoingError;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The metadata service of EC2 over IPv6, which is not link-local.
const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
/// RFC 6052: IPv4 addresses behind a translator.
const TRANSLATED: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

/// The addresses of a host, in the order in which to try them. They are what to connect to: looked up
/// once more, the name could say something else.
pub async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, OutgoingError> {
    let found = tokio::net::lookup_host((host, port)).await?;
    let here = is_loopback(host);
    let good: Vec<SocketAddr> = found.filter(|address| may_be_asked(address.ip(), here)).collect();
    match good.is_empty() {
        true => Err(OutgoingError::Refused("the name has no address that may be asked")),
        false => Ok(good),
    }
}

/// Whether a host says of itself that it is this machine, and does not turn out to be.
pub fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

fn may_be_asked(ip: IpAddr, loopback: bool) -> bool {
    let ip = embedded(ip);
    // Link-local addresses are where clouds keep their metadata service.
    let special = match ip {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast() || v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6 == METADATA,
    };
    let elsewhere = special || ip.is_unspecified() || ip.is_multicast();
    !elsewhere && (loopback || !ip.is_loopback())
}

/// The IPv4 address that an IPv6 one stands for, if it does.
fn embedded(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => match v6.segments() {
            [a, b, c, d, e, f, high, low] if [a, b, c, d, e, f] == TRANSLATED => {
                IpAddr::V4(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)))
            }
            _ => IpAddr::V6(v6),
        },
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ordinary_addresses_may_be_asked() {
        for good in
            ["10.1.2.3", "192.0.2.1", "172.16.0.1", "2001:db8::1", "fd12::1", "::ffff:10.0.0.1"]
        {
            assert!(may_be_asked(good.parse().unwrap(), false), "{good}");
        }
        for bad in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "fd00:ec2::254",
            "fe80::1",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "255.255.255.255",
            "224.0.0.1",
            "ff02::1",
        ] {
            assert!(!may_be_asked(bad.parse().unwrap(), false), "{bad}");
            assert!(!may_be_asked(bad.parse().unwrap(), true), "{bad}");
        }
        for here in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"] {
            assert!(!may_be_asked(here.parse().unwrap(), false), "{here}");
            assert!(may_be_asked(here.parse().unwrap(), true), "{here}");
        }
    }

    #[tokio::test]
    async fn a_host_must_say_itself_that_it_is_this_machine() {
        assert!(resolve("127.0.0.1", 1).await.is_ok());
        assert!(resolve("LOCALHOST", 1).await.is_ok());
        assert!(resolve("169.254.169.254", 80).await.is_err());
        // Other ways to write loopback, which some resolvers take.
        for other in ["0", "0x7f000001", "2130706433", "127.1"] {
            assert!(resolve(other, 1).await.is_err(), "{other}");
        }
    }
}
