//! The way to the providers: an HTTP proxy that belongs to one process, lets requests go wrong, and ends with it.

use std::{io, net::SocketAddr, sync::Arc};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_util::task::TaskTracker;

use crate::{
    fate::Fault,
    life::{Kind, Life},
};

/// A request or an answer: its head up to the empty line, and its body.
pub(crate) struct Message {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// The next one on a connection; `None` at its end.
    pub(crate) async fn read(from: &mut BufReader<TcpStream>) -> io::Result<Option<Self>> {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let before = head.len();
            if from.read_line(&mut head).await? == 0 {
                return Ok(None);
            }
            let line = head[before..].trim().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            } else if line.starts_with("transfer-encoding:") {
                return Err(io::Error::other("only bodies of a known length pass here"));
            } else if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        from.read_exact(&mut body).await?;
        Ok(Some(Self { head, body }))
    }

    pub(crate) async fn write(&self, to: &mut TcpStream) -> io::Result<()> {
        to.write_all(&[self.head.as_bytes(), &self.body].concat()).await
    }

    fn answer(status: &str, headers: &str, body: &Value) -> Self {
        let body = body.to_string().into_bytes();
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n"
        );
        Self { head, body }
    }

    /// Method and path, with what is different each time left out.
    fn label(&self) -> String {
        let mut words = self.head.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let path = target.split('?').next().unwrap_or_default();
        let segments = path.split('/').map(|segment| {
            let (name, ending) = match segment.strip_suffix(".json") {
                Some(name) => (name, ".json"),
                None => (segment, ""),
            };
            let is_id = name.len() >= 30 && name.bytes().any(|byte| byte.is_ascii_digit());
            if is_id { format!("*{ending}") } else { segment.to_owned() }
        });
        format!("{method} {}", segments.collect::<Vec<_>>().join("/"))
    }
}

/// What a provider refuses for good, in a rehearsal: the label of the request.
pub(crate) type Refuses = fn(&str) -> bool;

/// Carries requests of `life` to `sandbox` until it ends; the address to send them to.
pub(crate) async fn open(
    life: &Arc<Life>,
    sandbox: SocketAddr,
    refuses: Refuses,
    tasks: &TaskTracker,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (life, own) = (life.clone(), tasks.clone());
    tasks.spawn(async move {
        let dead = life.dead().clone();
        while let Some(Ok((client, _))) = dead.run_until_cancelled(listener.accept()).await {
            let life = life.clone();
            own.spawn(async move {
                let dead = life.dead().clone();
                // A client that went away is no news.
                let _ = dead.run_until_cancelled(carry(client, &life, sandbox, refuses)).await;
            });
        }
    });
    Ok(address)
}

async fn carry(client: TcpStream, life: &Life, sandbox: SocketAddr, refuses: Refuses) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut client = BufReader::new(client);
    let mut server = None;
    while let Some(request) = Message::read(&mut client).await? {
        let label = request.label();
        life.thawed().await;
        let Some((point, fault)) = life.arrive(Kind::Request, &label).await else { return cut(&client) };
        let answer = match fault {
            None | Some(Fault::CommitThenDrop) => {
                let answer = if refuses(&label) {
                    refusal(&label)
                } else {
                    ask(&mut server, sandbox, &request).await?
                };
                fault.is_none().then_some(answer)
            }
            Some(Fault::Reset | Fault::Timeout) => None,
            Some(Fault::TooMany) => Some(unavailable(&label, "429 Too Many Requests", 429)),
            Some(Fault::Broken) => Some(unavailable(&label, "500 Internal Server Error", 500)),
        };
        life.thawed().await;
        if !life.leave(&point).await {
            return cut(&client);
        }
        match answer {
            Some(answer) => answer.write(client.get_mut()).await?,
            None if fault == Some(Fault::Timeout) => {
                // Until the client loses its patience.
                let _ = client.read_u8().await;
                return Ok(());
            }
            None => return cut(&client),
        }
    }
    Ok(())
}

/// Closing it from here on sends a reset.
fn cut(client: &BufReader<TcpStream>) -> io::Result<()> {
    client.get_ref().set_zero_linger()
}

async fn ask(
    server: &mut Option<BufReader<TcpStream>>,
    sandbox: SocketAddr,
    request: &Message,
) -> io::Result<Message> {
    if server.is_none() {
        let stream = TcpStream::connect(sandbox).await?;
        stream.set_nodelay(true)?;
        *server = Some(BufReader::new(stream));
    }
    let Some(server) = server else { return Err(io::ErrorKind::NotConnected.into()) };
    request.write(server.get_mut()).await?;
    Message::read(server).await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// A request of the test itself, past every process.
pub(crate) async fn get(sandbox: SocketAddr, path: &str) -> io::Result<Value> {
    let head = format!("GET {path} HTTP/1.1\r\nhost: {sandbox}\r\n\r\n");
    let answer = ask(&mut None, sandbox, &Message { head, body: Vec::new() }).await?;
    serde_json::from_slice(&answer.body).map_err(io::Error::other)
}

fn unavailable(label: &str, status: &str, code: u16) -> Message {
    let body = if label.contains("/twilio/") {
        json!({ "code": if code == 429 { 20429 } else { 20500 }, "message": "not now", "status": code })
    } else {
        json!({ "statusCode": code, "message": "not now", "error": "not now" })
    };
    Message::answer(status, if code == 429 { "retry-after: 1\r\n" } else { "" }, &body)
}

fn refusal(label: &str) -> Message {
    let body = if label.contains("/twilio/") {
        json!({ "code": 21404, "message": "refused", "status": 400 })
    } else {
        json!({ "statusCode": 400, "message": "refused", "error": "Bad Request" })
    };
    Message::answer("400 Bad Request", "", &body)
}
