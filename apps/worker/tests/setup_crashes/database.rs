//! The way to the database: a proxy of PostgreSQL's protocol that belongs to one process, sees its commits, and ends with
//! it.
//!
//! Messages of the client are held back until the one that asks for their execution (a simple query or `Sync`), so that a
//! commit can be kept from the server whole. Answers to a commit are held back until the server is ready again, so that
//! a process can die without knowing.

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream, UnixStream},
};
use tokio_util::task::TaskTracker;
use url::Url;

use crate::{
    fate::Point,
    life::{Kind, Life},
};

/// How the labels of commits begin that commit nothing.
pub(crate) const READS: &str = "commit of a read";
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Where the server is.
#[derive(Debug, Clone)]
pub(crate) enum Server {
    Socket(PathBuf),
    Tcp(String),
}

impl Server {
    /// That of a connection URL.
    pub(crate) fn of(url: &Url) -> Self {
        let port = url.port().unwrap_or(5432);
        match url.query_pairs().find(|(name, _)| name == "host") {
            Some((_, directory)) => Self::Socket(format!("{directory}/.s.PGSQL.{port}").into()),
            None => Self::Tcp(format!("{}:{port}", url.host_str().unwrap_or("localhost"))),
        }
    }

    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Socket(path) => Box::new(UnixStream::connect(path).await?),
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
        })
    }
}

/// What has been said on one connection and matters for the rest.
#[derive(Default)]
struct Talk {
    /// Whether a transaction will be open once everything sent so far is done.
    in_transaction: bool,
    /// What the transaction wrote last, or else read last.
    wrote: Option<String>,
    read: String,
    prepared: HashMap<Vec<u8>, String>,
    /// What the server has not answered yet, and which of it are commits.
    waiting: VecDeque<Option<Point>>,
}

/// Carries connections of `life` to `server` until it ends; the address to connect to.
pub(crate) async fn open(life: &Arc<Life>, server: Server, tasks: &TaskTracker) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (life, own) = (life.clone(), tasks.clone());
    tasks.spawn(async move {
        let dead = life.dead().clone();
        while let Some(Ok((client, _))) = dead.run_until_cancelled(listener.accept()).await {
            let (life, server) = (life.clone(), server.clone());
            own.spawn(async move {
                let dead = life.dead().clone();
                let _ = dead.run_until_cancelled(carry(client, &life, &server)).await;
            });
        }
    });
    Ok(address)
}

async fn carry(mut client: TcpStream, life: &Life, server: &Server) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut server = server.connect().await?;
    start(&mut client, &mut server).await?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = tokio::io::split(server);
    let talk = Mutex::default();
    tokio::select! {
        done = requests(BufReader::new(from_client), to_server, life, &talk) => done,
        done = answers(BufReader::new(from_server), to_client, life, &talk) => done,
    }
}

/// Up to the client's introduction; encryption is declined.
async fn start(client: &mut TcpStream, server: &mut Box<dyn Stream>) -> io::Result<()> {
    loop {
        let length = client.read_u32().await?;
        let mut rest = vec![0; usize::try_from(length).map_err(io::Error::other)?.saturating_sub(4)];
        client.read_exact(&mut rest).await?;
        let code = rest.first_chunk().map_or(0, |code| u32::from_be_bytes(*code));
        if code == SSL_REQUEST || code == GSS_REQUEST {
            client.write_all(b"N").await?;
            continue;
        }
        server.write_all(&length.to_be_bytes()).await?;
        return server.write_all(&rest).await;
    }
}

/// The next message, appended to `buffer`: its type, and where its content begins.
async fn message(
    from: &mut BufReader<impl AsyncRead + Unpin>,
    buffer: &mut Vec<u8>,
) -> io::Result<(u8, usize)> {
    let kind = from.read_u8().await?;
    let length = from.read_u32().await?;
    buffer.push(kind);
    buffer.extend_from_slice(&length.to_be_bytes());
    let begin = buffer.len();
    buffer.resize(begin + usize::try_from(length).map_err(io::Error::other)?.saturating_sub(4), 0);
    from.read_exact(&mut buffer[begin..]).await?;
    Ok((kind, begin))
}

async fn requests(
    mut from: BufReader<impl AsyncRead + Unpin>,
    mut to: impl AsyncWrite + Unpin,
    life: &Life,
    talk: &Mutex<Talk>,
) -> io::Result<()> {
    let (mut batch, mut executes) = (Vec::new(), false);
    loop {
        let (kind, begin) = message(&mut from, &mut batch).await?;
        let content = &batch[begin..];
        let label = match kind {
            b'P' => {
                lock(talk).parse(content);
                continue;
            }
            b'B' => {
                lock(talk).bind(content);
                continue;
            }
            b'E' => {
                executes = true;
                continue;
            }
            b'D' | b'C' => continue,
            b'Q' => {
                at_rest(life, talk).await;
                lock(talk).simple(&text(content))
            }
            b'S' => {
                at_rest(life, talk).await;
                lock(talk).sync(std::mem::take(&mut executes))
            }
            _ => {
                to.write_all(&batch).await?;
                batch.clear();
                continue;
            }
        };
        let mut point = None;
        if let Some(label) = label {
            let Some((arrived, _)) = life.arrive(Kind::Commit, &label).await else { return Ok(()) };
            point = Some(arrived);
        }
        lock(talk).waiting.push_back(point);
        to.write_all(&batch).await?;
        batch.clear();
    }
}

/// A process that is frozen still ends the transactions it is in: one that does not would stop everybody.
async fn at_rest(life: &Life, talk: &Mutex<Talk>) {
    let in_transaction = lock(talk).in_transaction;
    if !in_transaction {
        life.thawed().await;
    }
}

async fn answers(
    mut from: BufReader<impl AsyncRead + Unpin>,
    mut to: impl AsyncWrite + Unpin,
    life: &Life,
    talk: &Mutex<Talk>,
) -> io::Result<()> {
    let mut held = Vec::new();
    loop {
        let (kind, begin) = message(&mut from, &mut held).await?;
        let mut is_commit = matches!(lock(talk).waiting.front(), Some(Some(_)));
        if kind == b'Z' {
            let in_transaction = held.get(begin).is_some_and(|status| *status != b'I');
            let done = lock(talk).ready(in_transaction);
            if let Some(point) = done
                && !life.leave(&point).await
            {
                return Ok(());
            }
            is_commit = false;
        }
        if !is_commit && from.buffer().is_empty() {
            to.write_all(&held).await?;
            held.clear();
        }
    }
}

impl Talk {
    fn parse(&mut self, content: &[u8]) {
        let mut parts = content.splitn(3, |byte| *byte == 0);
        let (name, sql) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        self.prepared.insert(name.to_owned(), text(sql));
    }

    fn bind(&mut self, content: &[u8]) {
        let name = content.split(|byte| *byte == 0).nth(1).unwrap_or_default();
        let Some(sql) = self.prepared.get(name).cloned() else { return };
        let writes = ["insert", "update", "delete", "merge", "with", "call", "do"];
        let first = sql.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        if writes.contains(&first.as_str()) {
            self.wrote = Some(sql);
        } else {
            self.read = sql;
        }
    }

    /// A simple query: the label if it commits something.
    fn simple(&mut self, sql: &str) -> Option<String> {
        let sql = sql.trim_start();
        let begins = |word: &str| sql.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        if begins("begin") {
            self.in_transaction = true;
            (self.wrote, self.read) = (None, String::new());
            None
        } else if begins("commit") {
            self.in_transaction = false;
            Some(self.label())
        } else {
            if begins("rollback") {
                self.in_transaction = false;
            }
            None
        }
    }

    /// The end of an extended query, which is a transaction of its own outside of others.
    fn sync(&mut self, executes: bool) -> Option<String> {
        if !executes || self.in_transaction {
            return None;
        }
        let label = self.label();
        (self.wrote, self.read) = (None, String::new());
        Some(label)
    }

    fn label(&self) -> String {
        let (kind, sql) = match &self.wrote {
            Some(sql) => ("commit", sql),
            None => (READS, &self.read),
        };
        let words: Vec<&str> = sql.split_whitespace().take(5).collect();
        format!("{kind}: {}", words.join(" "))
    }

    fn ready(&mut self, in_transaction: bool) -> Option<Point> {
        let done = self.waiting.pop_front().flatten();
        if self.waiting.is_empty() {
            self.in_transaction = in_transaction;
        }
        done
    }
}

fn lock(talk: &Mutex<Talk>) -> MutexGuard<'_, Talk> {
    talk.lock().unwrap_or_else(PoisonError::into_inner)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}
