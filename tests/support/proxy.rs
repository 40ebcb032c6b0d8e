//! A TCP proxy of ours between the real binary and a server. It takes what the binary sends apart into
//! messages, counts them, and can do one harmful thing at one of them.
//!
//! Whatever a run does to a server, it does by a message. A kill before each message and after each one
//! therefore covers every point of the protocol, and nothing in the product has to know about it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

/// What the proxy understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Postgres,
    Redis,
}

/// Where the fault strikes: at most once in the life of a wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// The message with this number, from 1.
    Message(usize),
    /// The first message in whose name all of these words stand.
    First(&'static [&'static str]),
    /// This many bytes of the conversation in one direction, all connections together.
    Byte(Direction, usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    ToServer,
    ToClient,
}

/// What happens there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL; the server never sees the message.
    KillBefore,
    /// The server gets the message, and in the same moment the process is killed.
    KillAfter,
    /// The connection ends; the server never sees the message.
    CutBefore,
    /// The server carries the message out; of its answer only so many bytes arrive, and the connection ends.
    CutAnswer(usize),
    /// SIGSTOP; the message arrives when [`Wire::release`] is called.
    Freeze,
    /// Nothing but a pause until [`Wire::release`].
    Stall,
    /// Only the connection ends, wherever it is. For [`At::Byte`].
    Cut,
    /// The bytes before arrive, and those after it a moment later. For [`At::Byte`].
    Split,
}

/// The messages of one run through any number of proxies, and the one fault.
pub struct Wire {
    at: Option<(At, Fault)>,
    pid: OnceLock<u32>,
    state: Mutex<Counted>,
    fired: AtomicBool,
    released: Notify,
}

#[derive(Default)]
struct Counted {
    messages: Vec<String>,
    bytes: [usize; 2],
}

/// All proxies run here.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
});

impl Wire {
    /// A wire that only counts.
    pub fn quiet() -> Arc<Self> {
        Self::new(None)
    }

    pub fn with(at: At, fault: Fault) -> Arc<Self> {
        Self::new(Some((at, fault)))
    }

    fn new(at: Option<(At, Fault)>) -> Arc<Self> {
        Arc::new(Self {
            at,
            pid: OnceLock::new(),
            state: Mutex::default(),
            fired: AtomicBool::new(false),
            released: Notify::new(),
        })
    }

    /// The process that is killed or frozen.
    pub fn watch(&self, pid: u32) {
        self.pid.set(pid).expect("one process a wire");
    }

    /// Whether the fault has struck.
    pub fn fired(&self) -> bool {
        self.fired.load(Ordering::SeqCst)
    }

    /// Lets a held message go.
    pub fn release(&self) {
        self.released.notify_one();
    }

    /// The names of all messages to servers so far, in order.
    pub fn messages(&self) -> Vec<String> {
        self.lock().messages.clone()
    }

    /// Bytes so far.
    pub fn bytes(&self, direction: Direction) -> usize {
        self.lock().bytes[direction as usize]
    }

    /// Puts a proxy on the wire, in front of the server of `url`; the address to use instead.
    pub fn proxy(self: &Arc<Self>, protocol: Protocol, url: &str) -> String {
        let (head, tail) = url.split_once("127.0.0.1:").expect("a local server");
        let (port, path) = tail.split_once('/').expect("a path");
        let server: SocketAddr = (Ipv4Addr::LOCALHOST, port.parse().expect("a port")).into();
        let listener = RUNTIME
            .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .expect("a free port");
        let ours = listener.local_addr().expect("an address").port();
        // The listener goes with the wire, so that thousands of runs leave no port open.
        let wire = Arc::downgrade(self);
        RUNTIME.spawn(async move {
            loop {
                let accepted =
                    tokio::time::timeout(Duration::from_secs(1), listener.accept()).await;
                let Some(wire) = wire.upgrade() else { return };
                let Ok(Ok((client, _))) = accepted else {
                    continue;
                };
                tokio::spawn(async move {
                    // A server that is down refuses; so do we, by hanging up.
                    if let Ok(upstream) = TcpStream::connect(server).await {
                        wire.connect(protocol, client, upstream).await;
                    }
                });
            }
        });
        format!("{head}127.0.0.1:{ours}/{path}")
    }

    /// Carries one connection until either end is gone, or the fault cuts it.
    async fn connect(&self, protocol: Protocol, client: TcpStream, server: TcpStream) {
        for stream in [&client, &server] {
            stream.set_nodelay(true).expect("a socket option");
        }
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        // How much of the next answer may still arrive.
        let answer = Mutex::new(None);
        tokio::select! {
            () = self.requests(protocol, from_client, to_server, &answer) => {}
            () = self.answers(from_server, to_client, &answer) => {}
        }
    }

    async fn requests(
        &self,
        protocol: Protocol,
        mut client: OwnedReadHalf,
        mut server: OwnedWriteHalf,
        answer: &Mutex<Option<usize>>,
    ) {
        let mut framer = Framer::new(protocol);
        let mut buffer = vec![0; 1 << 16];
        loop {
            let Ok(n @ 1..) = client.read(&mut buffer).await else {
                return;
            };
            framer.held.extend_from_slice(&buffer[..n]);
            while let Some((message, name)) = framer.next() {
                let fault = name.and_then(|name| self.count(protocol, name));
                match fault {
                    Some(Fault::KillBefore) => return self.signal(Signal::SIGKILL).await,
                    Some(Fault::CutBefore) => {
                        self.fired.store(true, Ordering::SeqCst);
                        return;
                    }
                    Some(Fault::Freeze) => {
                        self.signal(Signal::SIGSTOP).await;
                        self.released.notified().await;
                    }
                    Some(Fault::Stall) => {
                        self.fired.store(true, Ordering::SeqCst);
                        self.released.notified().await;
                    }
                    Some(Fault::CutAnswer(bytes)) => {
                        *answer.lock().expect("no panic") = Some(bytes);
                    }
                    Some(Fault::KillAfter | Fault::Cut | Fault::Split) | None => {}
                }
                if !self
                    .forward(Direction::ToServer, &mut server, &message)
                    .await
                {
                    return;
                }
                match fault {
                    Some(Fault::KillAfter) => return self.signal(Signal::SIGKILL).await,
                    Some(_) => self.fired.store(true, Ordering::SeqCst),
                    None => {}
                }
            }
        }
    }

    async fn answers(
        &self,
        mut server: OwnedReadHalf,
        mut client: OwnedWriteHalf,
        answer: &Mutex<Option<usize>>,
    ) {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let Ok(n @ 1..) = server.read(&mut buffer).await else {
                return;
            };
            let left = *answer.lock().expect("no panic");
            let passing = left.map_or(n, |left| left.min(n));
            if !self
                .forward(Direction::ToClient, &mut client, &buffer[..passing])
                .await
                || left.is_some()
            {
                return;
            }
        }
    }

    /// Writes, up to the byte at which the connection is to be cut or to pause; false once it is cut.
    async fn forward(&self, direction: Direction, to: &mut OwnedWriteHalf, bytes: &[u8]) -> bool {
        let passing = {
            let mut state = self.lock();
            let so_far = state.bytes[direction as usize];
            state.bytes[direction as usize] += bytes.len();
            match &self.at {
                Some((At::Byte(d, at), _)) if *d == direction && !self.fired() => {
                    at.saturating_sub(so_far).min(bytes.len())
                }
                _ => bytes.len(),
            }
        };
        if to.write_all(&bytes[..passing]).await.is_err() {
            return false;
        }
        if passing == bytes.len() {
            return true;
        }
        self.fired.store(true, Ordering::SeqCst);
        if !matches!(&self.at, Some((_, Fault::Split))) {
            return false;
        }
        // Long enough for the reader to look at what it has.
        tokio::time::sleep(Duration::from_millis(20)).await;
        to.write_all(&bytes[passing..]).await.is_ok()
    }

    /// Counts a message; the fault, if it is due.
    fn count(&self, protocol: Protocol, name: String) -> Option<Fault> {
        let mut state = self.lock();
        state.messages.push(format!("{protocol:?}: {name}"));
        let (at, fault) = self.at.as_ref()?;
        let strikes = match at {
            At::Message(number) => *number == state.messages.len(),
            At::First(words) => {
                let has_all = |name: &String| words.iter().all(|word| name.contains(word));
                let first = state.messages.iter().position(has_all);
                first == Some(state.messages.len() - 1)
            }
            At::Byte(..) => false,
        };
        strikes.then_some(*fault)
    }

    async fn signal(&self, signal: Signal) {
        // The process may send before its parent has told its id.
        while self.pid.get().is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let pid = self.pid.get().copied().unwrap_or_default();
        // It may be gone already, on its own.
        let _ = kill(Pid::from_raw(pid.cast_signed()), signal);
        self.fired.store(true, Ordering::SeqCst);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counted> {
        self.state.lock().expect("no panic while counting")
    }
}

/// Whether a message, by its name, certainly changes nothing on its server.
pub fn only_reads(name: &str) -> bool {
    const READS: [&str; 15] = [
        "Postgres: select ",
        "Postgres: begin isolation level repeatable read read only",
        "Postgres: rollback",
        "Redis: COMMAND ",
        "Redis: EXISTS ",
        "Redis: GET ",
        "Redis: HELLO",
        "Redis: HGETALL ",
        "Redis: HMGET ",
        "Redis: INFO",
        "Redis: MEMORY ",
        "Redis: PING",
        "Redis: SCAN ",
        "Redis: TIME",
        "Redis: TYPE ",
    ];
    READS.iter().any(|read| name.starts_with(read))
}

/// Takes a stream of requests apart.
struct Framer {
    protocol: Protocol,
    held: Vec<u8>,
    /// Postgres: before the start-up message is through, messages have no type.
    started: bool,
}

impl Framer {
    fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            held: Vec::new(),
            started: false,
        }
    }

    /// The next whole message, and its name where it is counted. What only opens or ends a connection is
    /// not: it changes nothing.
    fn next(&mut self) -> Option<(Vec<u8>, Option<String>)> {
        match self.protocol {
            Protocol::Postgres => self.next_postgres(),
            Protocol::Redis => self.next_redis(),
        }
    }

    fn next_postgres(&mut self) -> Option<(Vec<u8>, Option<String>)> {
        const STARTUP: u32 = 3 << 16;
        let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().expect("four bytes"));
        if !self.started {
            let length = number(self.held.get(..4)?) as usize;
            self.held.get(..length)?;
            self.started = number(&self.held[4..8]) == STARTUP;
            return Some((self.held.drain(..length).collect(), None));
        }
        let length = number(self.held.get(1..5)?) as usize + 1;
        self.held.get(..length)?;
        let message: Vec<u8> = self.held.drain(..length).collect();
        let name = match message[0] {
            b'p' | b'X' => None,
            b'Q' => Some(query_name(&String::from_utf8_lossy(
                &message[5..length - 1],
            ))),
            other => Some(char::from(other).to_string()),
        };
        Some((message, name))
    }

    fn next_redis(&mut self) -> Option<(Vec<u8>, Option<String>)> {
        let mut at = 0;
        let line = |at: &mut usize| {
            let end = self.held[*at..].windows(2).position(|w| w == b"\r\n")?;
            let text = String::from_utf8_lossy(&self.held[*at..*at + end]).into_owned();
            *at += end + 2;
            Some(text)
        };
        let count: usize = line(&mut at)?.strip_prefix('*')?.parse().ok()?;
        let mut words = Vec::new();
        for _ in 0..count {
            let length: usize = line(&mut at)?.strip_prefix('$')?.parse().ok()?;
            words.push(String::from_utf8_lossy(self.held.get(at..at + length)?).into_owned());
            at += length + 2;
        }
        self.held.get(..at)?;
        let message = self.held.drain(..at).collect();
        let name = match words[0].as_str() {
            "AUTH" | "CLIENT" | "SELECT" => None,
            _ => Some(command_name(&words)),
        };
        Some((message, name))
    }
}

/// A query in a few words: the migration that it is about, and what stands out.
fn query_name(sql: &str) -> String {
    const RECORD: &str = "insert into outpost.migration";
    let what = [
        (
            "insert into outpost.history",
            "carries its record and commit",
        ),
        (RECORD, "writes a checkpoint"),
        ("insert into outpost.lease", "takes the lease"),
        ("delete from outpost.lease", "releases the lease"),
        (
            "create table if not exists outpost.ledger",
            "creates the ledger",
        ),
    ];
    let what = what.iter().find(|(text, _)| sql.contains(text));
    // Other migrations are named before: golang-migrate's row depends on them all.
    let record = sql.find(RECORD).map_or("", |at| &sql[at..]);
    let about = record.split('\'').find(|part| part.starts_with("sql/"));
    let beginning: Vec<&str> = sql.split_whitespace().collect();
    let beginning: String = beginning.join(" ").chars().take(90).collect();
    match (about, what) {
        (Some(about), Some((_, what))) => format!("{about} {what}"),
        (None, Some((_, what))) => (*what).to_owned(),
        _ => beginning,
    }
}

fn command_name(words: &[String]) -> String {
    let about = words.iter().find(|word| word.starts_with("redis/"));
    let word = |word: &String| word.chars().take(24).collect::<String>();
    let first: Vec<String> = words
        .iter()
        .take(if about.is_some() { 2 } else { 9 })
        .map(word)
        .collect();
    match about {
        Some(about) => format!("{about} {}", first.join(" ")),
        None => first.join(" "),
    }
}
