//! Network ports on loopback.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::Context as _;

/// A port that nothing listens on at this moment.
pub(crate) fn free() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("asking for a free port")?;
    Ok(listener.local_addr()?.port())
}

/// Makes sure that a program can listen on `port`.
///
/// # Errors
/// When something does already.
pub(crate) fn claim(port: u16) -> anyhow::Result<u16> {
    if port == 0 {
        return free();
    }
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).with_context(|| {
        format!("port {port} is in use; stop what listens there, or choose another with --port")
    })?;
    Ok(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_named_together_with_the_way_out() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = claim(port).unwrap_err().to_string();
        assert!(error.contains(&port.to_string()) && error.contains("--port"), "{error}");
    }
}
