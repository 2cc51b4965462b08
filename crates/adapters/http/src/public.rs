//! Hosts that an organization names: which addresses behind them may be spoken to.
//!
//! A name is resolved once, its addresses are judged, and the connection is made to an address that was judged: what
//! the name says a moment later cannot matter. [`Http::within`](crate::Http::within) does that for HTTP; whoever makes
//! connections of another kind asks [`Reach::addresses`] and connects to what it gives.

use std::{
    error::Error,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};
use voxanne_kernel::ProviderError;

/// Who may be spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Only hosts on the public internet, by TLS: for hosts that somebody else chose.
    Public,
    /// Anybody: for hosts that we chose, and for development.
    Anywhere,
}

/// The host is not on the public internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host is not on the public internet")]
pub struct NotPublic;

impl NotPublic {
    /// Whether this is why a request was not made.
    pub fn is_why(error: &ProviderError) -> bool {
        matches!(error, ProviderError::Refused(source) if source.is::<Self>())
    }
}

/// A host has no address that may be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// It has addresses, and none is public.
    #[error(transparent)]
    NotPublic(#[from] NotPublic),
    /// There is no such host, which asking again does not change.
    #[error("there is no such host")]
    NotFound(#[source] io::Error),
    /// Nobody could say now.
    #[error("the host cannot be resolved")]
    Unknown(#[source] io::Error),
}

impl LookupError {
    /// The system's resolver tells one failure from another only in words: those of glibc, musl and Apple's for the
    /// one that passes.
    fn of(error: io::Error) -> Self {
        let said = error.to_string().to_ascii_lowercase();
        let passes = ["temporary failure", "try again", "system error"];
        if passes.iter().any(|words| said.contains(words)) {
            Self::Unknown(error)
        } else {
            Self::NotFound(error)
        }
    }
}

impl Reach {
    /// What an operator's switch for development means.
    pub fn allowing_private(allowed: bool) -> Self {
        if allowed { Self::Anywhere } else { Self::Public }
    }

    /// The addresses of `host` that may be spoken to, best first. `host` is a name or an address, in brackets or not.
    ///
    /// # Errors
    /// [`LookupError`] when there is none.
    pub async fn addresses(self, host: &str, port: u16) -> Result<Vec<SocketAddr>, LookupError> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let found = tokio::net::lookup_host((host, port)).await.map_err(LookupError::of)?;
        Ok(self.keep(found)?)
    }

    /// Whether `url` may be asked for as far as that can be seen without resolving its host.
    ///
    /// # Errors
    /// [`NotPublic`] when its host is an address that is not public or a name of this machine, or it is no `https` URL.
    pub fn admits(self, url: &Url) -> Result<(), NotPublic> {
        if self == Self::Anywhere {
            return Ok(());
        }
        let host = url.host_str().ok_or(NotPublic)?;
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse();
        let is_private = literal.map_or_else(|_| is_localhost(host), |address: IpAddr| !is_public(address));
        if url.scheme() != "https" || is_private { Err(NotPublic) } else { Ok(()) }
    }

    fn keep(self, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, NotPublic> {
        // A host with addresses of both kinds is reached by its public ones.
        let kept: Vec<_> =
            found.filter(|address| self == Self::Anywhere || is_public(address.ip())).collect();
        if kept.is_empty() { Err(NotPublic) } else { Ok(kept) }
    }
}

/// Whether a name is this machine's wherever it is looked up (RFC 6761).
fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// Gives an HTTP client only addresses within a [`Reach`]. It is not asked about hosts that are addresses.
#[derive(Debug)]
pub(crate) struct Resolver(pub(crate) Reach);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let addresses = reach.addresses(name.as_str(), 0).await?;
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

/// Whether a connection was not made because of [`NotPublic`].
pub(crate) fn was_refused(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<NotPublic>() || matches!(error.downcast_ref(), Some(LookupError::NotPublic(_))) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Whether an address belongs to a host on the public internet: none of the special-purpose ranges that IANA lists,
/// and no address behind which a cloud serves its secrets. Addresses that carry another one in them (mapped,
/// translated, tunnelled) are not public whatever they carry: nobody's DNS has reason to give them.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// What IPv4 keeps for itself, with the length of each prefix.
const SPECIAL_V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::UNSPECIFIED, 8),            // this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),       // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),    // shared by carriers; also a cloud's metadata
    (Ipv4Addr::new(127, 0, 0, 0), 8),      // loopback
    (Ipv4Addr::new(168, 63, 129, 16), 32), // a cloud's own services, on a public address
    (Ipv4Addr::new(169, 254, 0, 0), 16),   // link-local; also most clouds' metadata
    (Ipv4Addr::new(172, 16, 0, 0), 12),    // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),     // protocol assignments; also a cloud's metadata
    (Ipv4Addr::new(192, 0, 2, 0), 24),     // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),   // relays to 6to4
    (Ipv4Addr::new(192, 168, 0, 0), 16),   // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),    // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24),  // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),   // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),      // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),      // reserved, broadcast
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    !SPECIAL_V4
        .iter()
        .any(|(network, length)| (address.to_bits() ^ network.to_bits()).leading_zeros() >= *length)
}

/// What is special within global unicast, with the length of each prefix.
const SPECIAL_V6: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments: Teredo, ORCHID, benchmarks
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// Global unicast, outside of which nothing public is assigned: not loopback, mapped and translated IPv4, unique
/// local, link-local, site-local and multicast addresses.
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

fn is_public_v6(address: Ipv6Addr) -> bool {
    let within = |(network, length): &(Ipv6Addr, u32)| {
        (address.to_bits() ^ network.to_bits()).leading_zeros() >= *length
    };
    within(&GLOBAL_V6) && !SPECIAL_V6.iter().any(within)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judged(address: &str) -> bool {
        is_public(address.parse().unwrap())
    }

    #[test]
    fn hosts_of_the_internet_are_public() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "168.63.129.17",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.88.98.255",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2001:db7:ffff::",
            "2001:db9::",
            "2003::1",
            "2606:4700::1111",
            "2a00:1450::1",
            "3ffe::1",
        ] {
            assert!(judged(address), "{address}");
        }
    }

    #[test]
    fn everything_else_is_not() {
        for address in [
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "168.63.129.16",
            "169.254.0.0",
            "169.254.169.254",
            "169.254.170.2",
            "169.254.255.255",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.0",
            "192.168.255.255",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:1ff:ffff::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::1",
            "3fff::1",
            "3fff:fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!judged(address), "{address}");
        }
    }

    proptest! {
        #[test]
        fn an_ipv4_address_is_never_public_inside_an_ipv6_one(bits: u32) {
            let v4 = u128::from(bits);
            for high in [0, 0xffff << 32, 0xffff_u128 << 48, 0x64_ff9b_u128 << 96] {
                prop_assert!(!is_public(Ipv6Addr::from_bits(high | v4).into()));
            }
            prop_assert!(!is_public(Ipv6Addr::from_bits(0x2002_u128 << 112 | v4 << 80).into()));
        }

        #[test]
        fn what_the_standard_library_calls_special_is_not_public(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let special = address.is_private() || address.is_loopback() || address.is_link_local()
                || address.is_multicast() || address.is_broadcast() || address.is_documentation()
                || address.is_unspecified();
            prop_assert!(!(special && is_public(address.into())));
        }

        #[test]
        fn only_global_unicast_is_public(bits: u128) {
            prop_assert!(bits >> 125 == 1 || !is_public(Ipv6Addr::from_bits(bits).into()));
        }
    }

    #[tokio::test]
    async fn every_spelling_of_a_private_address_is_refused() {
        for host in ["127.0.0.1", "[::1]", "::ffff:10.0.0.1", "localhost", "169.254.169.254"] {
            let refused = Reach::Public.addresses(host, 25).await.unwrap_err();
            assert!(matches!(refused, LookupError::NotPublic(_)), "{host}: {refused:?}");
        }
        // What resolvers take for an address: a number, octal and hexadecimal digits, fewer parts, a zone behind it.
        for host in [
            "2130706433",
            "0x7f000001",
            "017700000001",
            "127.1",
            "0177.0.0.1",
            "0x7f.0.0.1",
            "0xa9fea9fe",
            "169.254.43518",
            "0",
            "::ffff:7f00:1",
            "[::ffff:169.254.169.254]",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "fe80::1%1",
            "[fe80::1%1]",
            "::1%1",
            "localhost.",
            "LOCALHOST",
        ] {
            let refused = Reach::Public.addresses(host, 25).await;
            assert!(refused.is_err(), "{host}: {refused:?}");
        }
        let allowed = Reach::Anywhere.addresses("127.0.0.1", 25).await.unwrap();
        assert_eq!(allowed, ["127.0.0.1:25".parse().unwrap()]);
        assert_eq!(Reach::Public.addresses("[2606:4700::1111]", 587).await.unwrap().len(), 1);
    }

    #[test]
    fn a_name_that_does_not_exist_is_told_from_one_that_cannot_be_asked_for() {
        let check = |said: &str, passes: bool| {
            let found =
                LookupError::of(io::Error::other(format!("failed to lookup address information: {said}")));
            assert_eq!(matches!(found, LookupError::Unknown(_)), passes, "{said}");
        };
        check("Name or service not known", false);
        check("No address associated with hostname", false);
        check("nodename nor servname provided, or not known", false);
        check("Name does not resolve", false);
        check("Temporary failure in name resolution", true);
        check("Try again", true);
        check("System error", true);
    }

    #[test]
    fn a_host_with_both_kinds_of_address_is_reached_by_its_public_ones() {
        let both = ["10.0.0.1:1".parse().unwrap(), "8.8.8.8:1".parse().unwrap()];
        assert_eq!(Reach::Public.keep(both.into_iter()), Ok(vec![both[1]]));
        assert_eq!(Reach::Public.keep(both[..1].iter().copied()), Err(NotPublic));
    }

    #[test]
    fn a_url_cannot_name_a_zone() {
        assert!("https://[fe80::1%25eth0]/".parse::<Url>().is_err());
        assert!("https://[fe80::1%eth0]/".parse::<Url>().is_err());
    }

    #[tokio::test]
    async fn a_name_is_judged_each_time_that_it_is_resolved() {
        // Whatever it resolved to before, what a connection is about to be made to is what is judged.
        let refused = Resolver(Reach::Public).resolve("localhost".parse().unwrap()).await;
        assert!(was_refused(&*refused.err().unwrap()));
        assert!(Resolver(Reach::Anywhere).resolve("localhost".parse().unwrap()).await.is_ok());
    }

    #[test]
    fn a_url_is_judged_by_what_it_shows() {
        let check = |url: &str, admitted| {
            assert_eq!(Reach::Public.admits(&url.parse().unwrap()).is_ok(), admitted, "{url}");
            assert!(Reach::Anywhere.admits(&url.parse().unwrap()).is_ok());
        };
        check("https://api.example.com/x", true);
        check("https://8.8.8.8", true);
        check("http://api.example.com", false);
        check("https://localhost", false);
        check("https://LocalHost.:8443/x", false);
        check("https://any.localhost", false);
        check("https://localhost.example.com", true);
        check("https://127.0.0.1", false);
        check("https://0x7f.1", false);
        check("https://2130706433", false);
        check("https://0177.0.0.1", false);
        check("https://127.1", false);
        check("https://0xa9fea9fe/latest", false);
        check("https://127.0.0.1.", false);
        check("https://１２７.０.０.１", false);
        check("https://[64:ff9b::7f00:1]", false);
        check("https://[2002:7f00:1::]", false);
        check("https://[fd00:ec2::254]", false);
        check("https://user@10.0.0.1:443", false);
        check("ftp://8.8.8.8", false);
        check("https://[::ffff:7f00:1]:8443", false);
        check("https://169.254.169.254/latest", false);
    }
}
