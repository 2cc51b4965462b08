//! A client that costs next to nothing, so that what is measured on shared cores is the server: requests are bytes
//! already written, answers are read no further than their length says. HTTP/1.1 over one kept-alive connection; no
//! pipelining, no redirects, no TLS.

use std::{
    io::{Error, ErrorKind, Result},
    net::SocketAddr,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A connection that is used again and again.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    unchunked: Vec<u8>,
}

/// An answer, in the connection's memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer<'c> {
    /// The status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: &'c [u8],
}

/// What a head says about the body behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, input: Vec::with_capacity(64 * 1024), unchunked: Vec::new() })
    }

    /// Sends a whole request and reads the whole answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.input.clear();
        let body = self.until(0, b"\r\n\r\n").await? + 4;
        let (status, framing) =
            head(&self.input[..body]).ok_or_else(|| broken("the head of an answer cannot be read"))?;
        match framing {
            Framing::Length(length) => {
                self.at_least(body + length).await?;
                Ok(Answer { status, body: &self.input[body..body + length] })
            }
            Framing::Chunked => {
                self.unchunk(body).await?;
                Ok(Answer { status, body: &self.unchunked })
            }
        }
    }

    async fn unchunk(&mut self, mut at: usize) -> Result<()> {
        self.unchunked.clear();
        loop {
            let line = self.until(at, b"\r\n").await?;
            let size = std::str::from_utf8(&self.input[at..line]).ok();
            let size = size.and_then(|text| usize::from_str_radix(text.split(';').next()?.trim(), 16).ok());
            let size = size.ok_or_else(|| broken("the size of a chunk cannot be read"))?;
            let (from, to) = (line + 2, line + 2 + size);
            self.at_least(to + 2).await?;
            if size == 0 {
                return Ok(());
            }
            self.unchunked.extend_from_slice(&self.input[from..to]);
            at = to + 2;
        }
    }

    /// Reads until `what` has come behind `from`; where it begins.
    async fn until(&mut self, from: usize, what: &[u8]) -> Result<usize> {
        let mut searched = from;
        loop {
            if let Some(found) = self.input[searched..].windows(what.len()).position(|window| window == what)
            {
                return Ok(searched + found);
            }
            searched = self.input.len().saturating_sub(what.len() - 1).max(from);
            self.read().await?;
        }
    }

    async fn at_least(&mut self, length: usize) -> Result<()> {
        while self.input.len() < length {
            self.read().await?;
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<()> {
        match self.stream.read_buf(&mut self.input).await? {
            0 => Err(Error::new(ErrorKind::UnexpectedEof, "the server closed the connection")),
            _ => Ok(()),
        }
    }
}

fn broken(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

/// The status, and how long the body is.
fn head(bytes: &[u8]) -> Option<(u16, Framing)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (status, fields) = text.split_once("\r\n")?;
    let status = status.split(' ').nth(1)?.parse().ok()?;
    let mut framing = Framing::Length(0);
    for (name, value) in fields.lines().filter_map(|field| field.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            framing = Framing::Length(value.trim().parse().ok()?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            framing = Framing::Chunked;
        }
    }
    Some((status, framing))
}

#[cfg(test)]
mod tests {
    use std::{io::Write, net::TcpListener};

    use super::*;

    /// What a server that answers with `pieces`, one write each, is understood to say.
    async fn check(pieces: &'static [&'static str], expected: (u16, &str)) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut connection = Connection::open(listener.local_addr().unwrap()).await.unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            for piece in pieces {
                stream.write_all(piece.as_bytes()).unwrap();
            }
        });
        let answer = connection.exchange(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert_eq!((answer.status, std::str::from_utf8(answer.body).unwrap()), expected, "{pieces:?}");
    }

    #[tokio::test]
    async fn a_body_is_read_however_it_is_framed_and_cut() {
        check(&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"], (200, "hello")).await;
        check(&["HTTP/1.1 404 Not Found\r\nconte", "nt-length: 2\r\n\r", "\nn", "o"], (404, "no")).await;
        let chunked = &[
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
            "lo\r\n3;x=y\r\n, y",
            "\r\n0\r\n\r\n",
        ];
        check(chunked, (200, "hello, y")).await;
        check(&["HTTP/1.1 204 No Content\r\n\r\n"], (204, "")).await;
    }

    #[tokio::test]
    async fn an_answer_cut_short_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut connection = Connection::open(listener.local_addr().unwrap()).await.unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfour").unwrap();
        });
        let error = connection.exchange(b"GET / HTTP/1.1\r\n\r\n").await.unwrap_err();
        assert!([ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset].contains(&error.kind()), "{error}");
    }
}
