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
}

/// What passes on a connection in answer to the last message.
#[derive(Default)]
struct Answer {
    /// So many bytes of what comes next, and the connection ends.
    passing: Option<usize>,
    /// The same where an answer that is shorter passes whole.
    cut: Option<usize>,
    /// Of the message.
    name: Option<String>,
    so_far: usize,
}

/// What becomes of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The server gets so many bytes of it.
    Request(usize),
    /// The server carries it out; so many bytes of the answer arrive, if it has as many and more.
    Answer(usize),
    /// The process is killed; the server never gets the message.
    KillBefore,
    /// The server gets the message, and the process is killed.
    KillAfter,
}

/// Does harm again and again, to any number of wires.
pub trait Harm: Send + Sync {
    /// What becomes of a message with this many bytes. What only opens or ends a connection has no name.
    fn decide(&self, protocol: Protocol, name: Option<&str>, length: usize) -> Option<Cut>;

    /// So much of the answer to such a message has passed.
    fn answered(&self, _protocol: Protocol, _name: Option<&str>, _length: usize) {}

    /// The answer to such a message was cut after so many bytes.
    fn cut_answer(&self, _protocol: Protocol, _name: Option<&str>, _bytes: usize) {}

    /// It was to be cut there, and was shorter or never came.
    fn give_back(&self, _protocol: Protocol, _name: Option<&str>, _bytes: usize) {}
}

/// The messages of one run through any number of proxies, and the one fault, or many cuts.
pub struct Wire {
    at: Option<(At, Fault)>,
    harm: Option<Arc<dyn Harm>>,
    /// Every byte arrives alone.
    drips: bool,
    pid: OnceLock<u32>,
    messages: Mutex<Vec<String>>,
    fired: AtomicBool,
    released: Notify,
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
        Arc::new(Self::new(None))
    }

    pub fn with(at: At, fault: Fault) -> Arc<Self> {
        Arc::new(Self::new(Some((at, fault))))
    }

    /// A wire to which harm is done again and again.
    pub fn harmed(harm: Arc<dyn Harm>) -> Arc<Self> {
        Arc::new(Self {
            harm: Some(harm),
            ..Self::new(None)
        })
    }

    /// A wire on which every byte, of every message and answer, arrives alone.
    pub fn dripping() -> Arc<Self> {
        Arc::new(Self {
            drips: true,
            ..Self::new(None)
        })
    }

    fn new(at: Option<(At, Fault)>) -> Self {
        Self {
            at,
            harm: None,
            drips: false,
            pid: OnceLock::new(),
            messages: Mutex::default(),
            fired: AtomicBool::new(false),
            released: Notify::new(),
        }
    }

    /// The process that is killed or frozen.
    pub fn watch(&self, pid: u32) {
        self.pid.set(pid).expect("one process a wire");
    }

    /// Whether the fault has struck, or the first of many cuts.
    pub fn fired(&self) -> bool {
        self.fired.load(Ordering::SeqCst)
    }

    /// Lets a held message go.
    pub fn release(&self) {
        self.released.notify_one();
    }

    /// The names of all messages to servers so far, in order.
    pub fn messages(&self) -> Vec<String> {
        self.lock().clone()
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
        let answer = Mutex::new(Answer::default());
        tokio::select! {
            () = self.requests(protocol, from_client, to_server, &answer) => {}
            () = self.answers(protocol, from_server, to_client, &answer) => {}
        }
        self.end_answer(protocol, &answer);
    }

    async fn requests(
        &self,
        protocol: Protocol,
        mut client: OwnedReadHalf,
        mut server: OwnedWriteHalf,
        answer: &Mutex<Answer>,
    ) {
        let mut framer = Framer::new(protocol);
        let mut buffer = vec![0; 1 << 16];
        loop {
            let Ok(n @ 1..) = client.read(&mut buffer).await else {
                return;
            };
            framer.held.extend_from_slice(&buffer[..n]);
            while let Some((message, name)) = framer.next() {
                let cut = self.next_cut(protocol, name.as_deref(), message.len(), answer);
                if !matches!(cut, Some(Cut::Answer(_)) | None) {
                    self.fired.store(true, Ordering::SeqCst);
                }
                match cut {
                    Some(Cut::Request(bytes)) => {
                        // Whether they arrive or not, the connection ends.
                        let _ = self.forward(&mut server, &message[..bytes]).await;
                        return;
                    }
                    Some(Cut::KillBefore) => return self.signal(Signal::SIGKILL).await,
                    Some(Cut::KillAfter) => {
                        let _ = self.forward(&mut server, &message).await;
                        return self.signal(Signal::SIGKILL).await;
                    }
                    Some(Cut::Answer(_)) | None => {}
                }
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
                        answer.lock().expect("no panic").passing = Some(bytes);
                    }
                    Some(Fault::KillAfter) | None => {}
                }
                if !self.forward(&mut server, &message).await {
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
        protocol: Protocol,
        mut server: OwnedReadHalf,
        mut client: OwnedWriteHalf,
        answer: &Mutex<Answer>,
    ) {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let Ok(n @ 1..) = server.read(&mut buffer).await else {
                return;
            };
            let (passing, ends) = self.passing(protocol, answer, n);
            if !self.forward(&mut client, &buffer[..passing]).await || ends {
                return;
            }
        }
    }

    /// The harm that is done at a message of this length; what becomes of the answer is noted.
    fn next_cut(
        &self,
        protocol: Protocol,
        name: Option<&str>,
        length: usize,
        answer: &Mutex<Answer>,
    ) -> Option<Cut> {
        let harm = self.harm.as_ref()?;
        self.end_answer(protocol, answer);
        let cut = harm.decide(protocol, name, length);
        *answer.lock().expect("no panic") = Answer {
            name: name.map(str::to_owned),
            cut: match cut {
                Some(Cut::Answer(bytes)) => Some(bytes),
                _ => None,
            },
            ..Answer::default()
        };
        cut
    }

    /// No more of it comes; the cut that was to be in it is another's.
    fn end_answer(&self, protocol: Protocol, answer: &Mutex<Answer>) {
        let mut answer = answer.lock().expect("no panic");
        if let (Some(harm), Some(bytes)) = (&self.harm, answer.cut.take()) {
            harm.give_back(protocol, answer.name.as_deref(), bytes);
        }
    }

    /// How many of the next bytes of an answer may pass, and whether the connection ends after them.
    fn passing(&self, protocol: Protocol, answer: &Mutex<Answer>, arrived: usize) -> (usize, bool) {
        let mut answer = answer.lock().expect("no panic");
        if let Some(passing) = answer.passing {
            return (passing.min(arrived), true);
        }
        let Some(harm) = &self.harm else {
            return (arrived, false);
        };
        let before = answer.so_far;
        answer.so_far += arrived;
        let name = answer.name.clone();
        harm.answered(protocol, name.as_deref(), answer.so_far);
        match answer.cut {
            Some(at) if at < answer.so_far => {
                harm.cut_answer(protocol, name.as_deref(), at);
                answer.cut = None;
                self.fired.store(true, Ordering::SeqCst);
                (at.saturating_sub(before), true)
            }
            _ => (arrived, false),
        }
    }

    /// Writes, in one piece or byte by byte; false when nobody is there.
    async fn forward(&self, to: &mut OwnedWriteHalf, bytes: &[u8]) -> bool {
        if !self.drips {
            return to.write_all(bytes).await.is_ok();
        }
        for byte in bytes {
            // Without a delay on the socket each byte is a packet of its own.
            if to.write_all(&[*byte]).await.is_err() {
                return false;
            }
            tokio::task::yield_now().await;
        }
        true
    }

    /// Counts a message; the fault, if it is due.
    fn count(&self, protocol: Protocol, name: String) -> Option<Fault> {
        let mut messages = self.lock();
        let name = format!("{protocol:?}: {name}");
        messages.push(name);
        let (at, fault) = self.at.as_ref()?;
        let strikes = match at {
            At::Message(number) => *number == messages.len(),
            At::First(words) => {
                let has_all = |name: &String| words.iter().all(|word| name.contains(word));
                let first = messages.iter().position(has_all);
                first == Some(messages.len() - 1)
            }
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

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.messages.lock().expect("no panic while counting")
    }
}

/// Whether a message, by its name, certainly changes nothing on its server.
pub fn only_reads(name: &str) -> bool {
    const READS: [&str; 17] = [
        "Postgres: select ",
        "Postgres: begin isolation level repeatable read read only",
        // The query of the schema, in a transaction that only reads.
        "Postgres: set local search_path = pg_catalog",
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
        "Redis: PTTL ",
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
    let word = |word: &String| match word.starts_with("--") {
        true => script_name(word),
        false => word.chars().take(24).collect::<String>(),
    };
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

/// Many scripts begin alike: a name of letters that is its text's own.
fn script_name(text: &str) -> String {
    let digest = sha1_smol::Sha1::from(text).digest().bytes();
    let letters = digest[..6].iter().map(|byte| char::from(b'a' + byte % 26));
    format!("script-{}", letters.collect::<String>())
}
