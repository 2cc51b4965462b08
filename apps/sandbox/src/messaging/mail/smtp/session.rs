//! One conversation with a client.

use std::io;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::User;
use crate::clock::iso;
use crate::faults::Kind;
use crate::journal::Received;
use crate::messaging::accounts::Account as _;
use crate::messaging::mail::address::{bare, domain};
use crate::messaging::mail::{Arrival, take};
use crate::world::Shared;

/// The largest mail.
const SIZE: usize = 26_214_400;
/// The longest line of a command; no client of ours comes near.
const LINE: usize = 4_096;
/// The most recipients of a mail.
const RECIPIENTS: usize = 100;

/// Why a conversation ended.
enum End {
    /// It is time to encrypt.
    Encrypt,
    /// Everything was said, or the line broke.
    Over,
}

/// Talks until the end.
pub(super) async fn talk(
    world: Shared,
    acceptor: TlsAcceptor,
    stream: TcpStream,
    encrypted: bool,
) -> io::Result<()> {
    let greeting = "220 mail.sandbox.example ESMTP";
    if encrypted {
        let stream = acceptor.accept(stream).await?;
        Session::new(world, BufReader::new(stream), true).run(Some(greeting)).await?;
        return Ok(());
    }
    let mut session = Session::new(world.clone(), BufReader::new(stream), false);
    if let End::Encrypt = session.run(Some(greeting)).await? {
        // What was said before the encryption counts for nothing, also if it is already here.
        let stream = acceptor.accept(session.stream.into_inner()).await?;
        Session::new(world, BufReader::new(stream), true).run(None).await?;
    }
    Ok(())
}

struct Session<S> {
    world: Shared,
    stream: BufReader<S>,
    encrypted: bool,
    user: Option<User>,
    from: Option<String>,
    to: Vec<String>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    fn new(world: Shared, stream: BufReader<S>, encrypted: bool) -> Self {
        Self { world, stream, encrypted, user: None, from: None, to: Vec::new() }
    }

    async fn run(&mut self, greeting: Option<&str>) -> io::Result<End> {
        if let Some(greeting) = greeting {
            self.say(greeting).await?;
        }
        loop {
            let Some(line) = self.hear().await? else { return Ok(End::Over) };
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let verb = verb.to_ascii_uppercase();
            let shown = if verb == "AUTH" { rest.split(' ').next().unwrap_or_default() } else { rest };
            let Some(mut answer) = self.fault(&verb, json!(shown)).await? else { return Ok(End::Over) };
            if answer.is_empty() {
                answer = match verb.as_str() {
                    "DATA" => match self.may_follow() {
                        Ok(()) => {
                            if !self.receive().await? {
                                return Ok(End::Over);
                            }
                            continue;
                        }
                        Err(refusal) => refusal.to_owned(),
                    },
                    "AUTH" => self.sign_in(rest).await?,
                    _ => self.answer(&verb, rest),
                };
            }
            self.say(&answer).await?;
            match verb.as_str() {
                "QUIT" => return Ok(End::Over),
                "STARTTLS" if answer.starts_with("220") => return Ok(End::Encrypt),
                _ => {}
            }
        }
    }

    fn answer(&mut self, verb: &str, rest: &str) -> String {
        match verb {
            "EHLO" | "HELO" if rest.trim().is_empty() => "501 5.5.4 Who are you?".to_owned(),
            "HELO" => "250 mail.sandbox.example".to_owned(),
            "EHLO" => {
                let offered = if self.encrypted { "AUTH PLAIN LOGIN" } else { "STARTTLS" };
                format!(
                    "250-mail.sandbox.example\r\n250-{offered}\r\n250-SIZE {SIZE}\r\n250-8BITMIME\r\n250 SMTPUTF8"
                )
            }
            "STARTTLS" if self.encrypted => "503 5.5.1 TLS is on".to_owned(),
            "STARTTLS" => "220 2.0.0 Go ahead".to_owned(),
            "MAIL" => self.sender(rest),
            "RCPT" => self.recipient(rest),
            "RSET" => {
                self.forget();
                "250 2.0.0 Forgotten".to_owned()
            }
            "NOOP" => "250 2.0.0 Yes".to_owned(),
            "QUIT" => "221 2.0.0 Bye".to_owned(),
            _ => "502 5.5.1 What?".to_owned(),
        }
    }

    fn sender(&mut self, rest: &str) -> String {
        if !self.encrypted {
            return "530 5.7.0 Must issue a STARTTLS command first".to_owned();
        }
        let Some(user) = &self.user else { return "530 5.7.0 Authentication required".to_owned() };
        let Some((address, options)) = path(rest, "FROM:") else {
            return "501 5.5.4 Syntax: MAIL FROM:<address>".to_owned();
        };
        let size = options.split(' ').find_map(|option| option.strip_prefix("SIZE=")?.parse::<usize>().ok());
        if size.is_some_and(|size| size > SIZE) {
            return "552 5.3.4 Message size exceeds fixed limit".to_owned();
        }
        if !user.domains.iter().any(|known| known.eq_ignore_ascii_case(&domain(address))) {
            return "550 5.7.1 Sender address rejected: not owned by user".to_owned();
        }
        let answer = format!("250 2.1.0 <{address}> ok");
        self.forget();
        self.from = Some(address.to_owned());
        answer
    }

    fn recipient(&mut self, rest: &str) -> String {
        let (Some(user), Some(_)) = (&self.user, &self.from) else {
            return "503 5.5.1 Need MAIL first".to_owned();
        };
        let address = path(rest, "TO:").map(|(address, _)| address).filter(|address| bare(address).is_some());
        let Some(address) = address else { return "501 5.1.3 Bad recipient address syntax".to_owned() };
        if let Some(refusal) = user.refuse.get(&address.to_lowercase()) {
            return refusal.clone();
        }
        if self.to.len() == RECIPIENTS {
            return "452 4.5.3 Too many recipients".to_owned();
        }
        // Addresses that say themselves what becomes of mails to them.
        match address.split_once("@fate.example").map(|(fate, _)| fate) {
            Some("unknown") => return "550 5.1.1 User unknown".to_owned(),
            Some("full") => return "552 5.2.2 Mailbox full".to_owned(),
            Some("later") => return "450 4.2.0 Greylisted".to_owned(),
            Some("policy") => return "550 5.7.1 Relaying denied".to_owned(),
            _ => {}
        }
        let answer = format!("250 2.1.5 <{address}> ok");
        self.to.push(address.to_owned());
        answer
    }

    /// PLAIN and LOGIN, and only under encryption.
    async fn sign_in(&mut self, rest: &str) -> io::Result<String> {
        if !self.encrypted {
            return Ok("530 5.7.0 Must issue a STARTTLS command first".to_owned());
        }
        if self.user.is_some() {
            return Ok("503 5.5.1 Already authenticated".to_owned());
        }
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let (name, password) = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => {
                let said = if initial.is_empty() { self.ask("").await? } else { initial.to_owned() };
                let said = decoded(&said);
                let mut parts = said.split('\0').skip(1).map(str::to_owned);
                (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
            }
            "LOGIN" => {
                let name =
                    if initial.is_empty() { self.ask("VXNlcm5hbWU6").await? } else { initial.to_owned() };
                (decoded(&name), decoded(&self.ask("UGFzc3dvcmQ6").await?))
            }
            _ => return Ok("504 5.5.4 Unrecognized authentication type".to_owned()),
        };
        self.user = User::of(&self.world).find(|user| user.username == name && user.password == password);
        let answer = if self.user.is_some() { "235 2.7.0 Accepted" } else { "535 5.7.8 Bad credentials" };
        Ok(answer.to_owned())
    }

    fn may_follow(&self) -> Result<(), &'static str> {
        if self.from.is_none() {
            return Err("503 5.5.1 Need MAIL first");
        }
        if self.to.is_empty() { Err("554 5.5.1 No valid recipients") } else { Ok(()) }
    }

    /// Whether the conversation goes on.
    async fn receive(&mut self) -> io::Result<bool> {
        self.say("354 End data with <CR><LF>.<CR><LF>").await?;
        let Some(raw) = self.content().await? else { return Ok(false) };
        let text = String::from_utf8_lossy(&raw).into_owned();
        let rule = self.world.faults.strike("smtp", "MESSAGE", "/").map(|fault| (fault.id, fault.rule));
        self.note(
            "MESSAGE",
            json!(text),
            rule.as_ref().map(|(id, rule)| format!("{:?} (fault {id})", rule.kind)),
        );
        let refused = match rule.map(|(_, rule)| (rule.kind, rule)) {
            None => None,
            Some((Kind::CommitThenDrop, _)) => {
                self.keep(&text);
                return Ok(false);
            }
            Some((Kind::Slow, rule)) => {
                self.pause(rule.delay_ms).await;
                None
            }
            Some((Kind::Timeout, rule)) => {
                self.pause(rule.delay_ms).await;
                return Ok(false);
            }
            Some((Kind::Reset, _)) => return Ok(false),
            Some((Kind::Malformed, _)) => Some("?!".to_owned()),
            Some((Kind::Status, rule)) => Some(coded(rule.status(), rule.message.as_deref())),
        };
        let too_large = (raw.len() > SIZE).then(|| "552 5.3.4 Message too big".to_owned());
        let answer = refused.or(too_large).unwrap_or_else(|| {
            let queued = self.keep(&text);
            format!("250 2.0.0 Ok: queued as {queued}")
        });
        self.forget();
        self.say(&answer).await?;
        Ok(true)
    }

    /// Until the line that is a dot, without the dots that were put in front of others.
    async fn content(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut raw = Vec::new();
        loop {
            let mut line = Vec::new();
            if self.stream.read_until(b'\n', &mut line).await? == 0 {
                return Ok(None);
            }
            if line == b".\r\n" {
                return Ok(Some(raw));
            }
            if raw.len() <= SIZE {
                raw.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            }
        }
    }

    fn keep(&mut self, text: &str) -> String {
        let queued = self.world.ids.hex(12).to_uppercase();
        let (Some(user), Some(from)) = (&self.user, &self.from) else { return queued };
        let headers = headers(text);
        let header = |name: &str| headers.get(name).and_then(Value::as_str).map(str::to_owned);
        let id = header("message-id").map(|id| id.trim_matches(['<', '>']).to_owned());
        let arrival = Arrival {
            id: id.unwrap_or_else(|| queued.clone()),
            from: from.clone(),
            to: self.to.clone(),
            subject: header("subject").unwrap_or_default(),
            reference: None,
            sent: json!({ "queueId": queued, "headers": headers, "text": text }),
        };
        take(&self.world, user, arrival);
        queued
    }

    fn forget(&mut self) {
        self.from = None;
        self.to.clear();
    }

    /// Notes a command and lets a fault strike: the answer to give instead of the usual one, an empty one for the usual
    /// one, nothing when the conversation is over.
    async fn fault(&mut self, verb: &str, shown: Value) -> io::Result<Option<String>> {
        let fault = self.world.faults.strike("smtp", verb, "/");
        let name = fault.as_ref().map(|fault| format!("{:?} (fault {})", fault.rule.kind, fault.id));
        self.note(verb, shown, name);
        let Some(rule) = fault.map(|fault| fault.rule) else { return Ok(Some(String::new())) };
        Ok(match rule.kind {
            Kind::Status => Some(coded(rule.status(), rule.message.as_deref())),
            Kind::Malformed => Some("?!".to_owned()),
            Kind::Slow => {
                self.pause(rule.delay_ms).await;
                Some(String::new())
            }
            Kind::Timeout => {
                self.pause(rule.delay_ms).await;
                None
            }
            // Before the mail itself there is nothing to be done.
            Kind::Reset | Kind::CommitThenDrop => None,
        })
    }

    async fn pause(&self, delay_ms: Option<u64>) {
        match delay_ms {
            Some(delay) => tokio::time::sleep(Duration::from_millis(delay)).await,
            // The sandbox stops, or the client goes.
            None => std::future::pending().await,
        }
    }

    fn note(&self, verb: &str, body: Value, fault: Option<String>) {
        self.world.journal.receive(Received {
            seq: 0,
            at: iso(self.world.clock.now()),
            provider: "smtp",
            method: verb.to_owned(),
            path: "/".to_owned(),
            query: None,
            headers: Map::new(),
            body,
            status: None,
            answer: None,
            fault,
            latency_ms: None,
        });
    }

    async fn ask(&mut self, challenge: &str) -> io::Result<String> {
        self.say(&format!("334 {challenge}")).await?;
        Ok(self.hear().await?.unwrap_or_default())
    }

    async fn say(&mut self, line: &str) -> io::Result<()> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.stream.flush().await
    }

    async fn hear(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        if self.stream.read_until(b'\n', &mut line).await? == 0 || line.len() > LINE {
            return Ok(None);
        }
        Ok(Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()))
    }
}

fn coded(status: u16, message: Option<&str>) -> String {
    format!("{status} {}", message.unwrap_or("Not this time"))
}

fn decoded(text: &str) -> String {
    STANDARD.decode(text.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}

/// The address between angle brackets behind `prefix`, and what follows it.
fn path<'a>(rest: &'a str, prefix: &str) -> Option<(&'a str, &'a str)> {
    let named = rest.get(..prefix.len()).filter(|named| named.eq_ignore_ascii_case(prefix))?;
    rest[named.len()..].trim_start().strip_prefix('<')?.split_once('>')
}

/// A mail's headers in lower case, folded lines put together.
fn headers(text: &str) -> Map<String, Value> {
    let head = text.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n ", " ").replace("\r\n\t", " ");
    let lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
    lines.map(|(name, value)| (name.to_lowercase(), json!(value.trim()))).collect()
}
