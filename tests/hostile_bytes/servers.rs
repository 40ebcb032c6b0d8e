//! Servers that answer what no server should. A case is the answers of a server, one for each message that it gets,
//! with [`BREAK`] between them; when there is none left, it hangs up.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use outpost::model::config::Config;
use outpost::store::postgres::PostgresStore;
use outpost::store::redis::RedisStore;
use outpost::store::{Observe, Store, StoreError};

use crate::campaign::Target;

/// What stands between two answers of a case.
pub const BREAK: &[u8] = b"\n--8<--\n";
/// What a case says for the port of its own server.
const OWN_PORT: &[u8] = b"61616";
/// What a case says for the name that the markers of a message to Postgres have, new in every message.
pub const NONCE: &[u8] = b"ffffffffffffffffffffffffffffffff";
/// No case takes longer, however busy the machine is: a reader that waits for ever is found.
const LIMIT: Duration = Duration::from_secs(90);

#[derive(Clone, Copy)]
pub enum Protocol {
    Postgres,
    Redis,
}

/// How long the server waits for a message before it hangs up: the client may wait for the rest of an answer that
/// was broken off. A machine that is too busy to ask in time loses nothing but the rest of that case.
pub const IMPATIENT: Duration = Duration::from_millis(200);

/// What a server has still to say.
#[derive(Default)]
struct Script {
    answers: VecDeque<Vec<u8>>,
    patience: Option<Duration>,
}

/// A server that gives the answers that are left, to whoever asks.
pub struct Fake {
    pub port: u16,
    script: Arc<Mutex<Script>>,
    /// Held by the test whose case it is.
    pub turn: Mutex<()>,
}

static POSTGRES: LazyLock<Fake> = LazyLock::new(|| Fake::start(Protocol::Postgres));
static REDIS: LazyLock<Fake> = LazyLock::new(|| Fake::start(Protocol::Redis));

impl Fake {
    pub fn start(protocol: Protocol) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let script: Arc<Mutex<Script>> = Arc::default();
        let given = Arc::clone(&script);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let script = Arc::clone(&given);
                thread::spawn(move || serve(protocol, stream, port, &script));
            }
        });
        Self {
            port,
            script,
            turn: Mutex::default(),
        }
    }

    pub fn give(&self, case: &[u8], patience: Option<Duration>) {
        let mut answers = VecDeque::new();
        let mut rest = case;
        while let Some(at) = find(rest, BREAK) {
            answers.push_back(rest[..at].to_vec());
            rest = &rest[at + BREAK.len()..];
        }
        answers.push_back(rest.to_vec());
        *self.script.lock().expect("no panic") = Script { answers, patience };
    }
}

pub fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|there| there == part)
}

/// With another text of the same length in its place, since lengths are said before what they are of.
pub fn replaced(mut bytes: Vec<u8>, old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len(), "{new:?}");
    let mut from = 0;
    while let Some(at) = find(&bytes[from..], old) {
        from += at;
        bytes[from..from + new.len()].copy_from_slice(new);
    }
    bytes
}

/// The name of a message's markers.
pub fn nonce(message: &[u8]) -> Option<&[u8]> {
    const BEFORE: &[u8] = b"select '";
    const BEHIND: &[u8] = b":0';";
    let at = find(message, BEHIND)?;
    let name = &message[at.checked_sub(NONCE.len())?..at];
    message[..at - NONCE.len()]
        .ends_with(BEFORE)
        .then_some(name)
}

/// Answers each message until there is nothing left to say.
fn serve(
    protocol: Protocol,
    mut stream: TcpStream,
    port: u16,
    script: &Mutex<Script>,
) -> Option<()> {
    let patience = script.lock().ok()?.patience;
    stream.set_read_timeout(patience).ok()?;
    let mut begun = false;
    loop {
        let message = message(protocol, &mut stream, begun)?;
        begun = true;
        let mut answer = script.lock().ok()?.answers.pop_front()?;
        match (protocol, nonce(&message)) {
            (Protocol::Postgres, Some(name)) => answer = replaced(answer, NONCE, name),
            (Protocol::Postgres, None) => {}
            // A port beyond 9999, as all are that a system gives.
            (Protocol::Redis, _) => {
                answer = replaced(answer, OWN_PORT, format!("{port:05}").as_bytes());
            }
        }
        stream.write_all(&answer).ok()?;
    }
}

/// One message of a client that keeps to the protocol; nothing once it leaves.
pub fn message(protocol: Protocol, stream: &mut TcpStream, begun: bool) -> Option<Vec<u8>> {
    let mut read = Vec::new();
    match protocol {
        Protocol::Postgres => {
            if begun {
                take(stream, 1, &mut read)?;
                if read == b"X" {
                    return None;
                }
            }
            let length = take(stream, 4, &mut read)?.try_into().ok()?;
            let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
            take(stream, length.checked_sub(4)?, &mut read)?;
        }
        Protocol::Redis => {
            for _ in 0..number(stream, b'*', &mut read)? {
                let length = number(stream, b'$', &mut read)?;
                take(stream, length + 2, &mut read)?;
            }
        }
    }
    Some(read)
}

/// Reads so many bytes, and puts them behind those that were read before.
pub fn take(stream: &mut TcpStream, bytes: usize, read: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut more = vec![0; bytes];
    stream.read_exact(&mut more).ok()?;
    read.extend_from_slice(&more);
    Some(more)
}

/// Reads a line.
pub fn line(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.extend(take(stream, 1, read)?);
    }
    String::from_utf8(line).ok()
}

fn number(stream: &mut TcpStream, mark: u8, read: &mut Vec<u8>) -> Option<usize> {
    let text = line(stream, read)?;
    text.trim().strip_prefix(char::from(mark))?.parse().ok()
}

/// Carries something out on a runtime of its own, and panics where it does not come to its end. Where it is to be
/// hurried, its clock runs fifty times as fast: pauses before another try, and limits of time, are gone through without
/// being waited for, while whatever the server says arrives as ever.
pub fn to_its_end<T>(hurried: bool, work: impl Future<Output = T>) -> T {
    const TICK: Duration = Duration::from_millis(2);
    const FASTER: u32 = 50;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(hurried)
        .build()
        .expect("a runtime");
    let clock = async {
        loop {
            // On a thread: as long as there is one at work, a paused clock does not jump ahead by itself.
            let tick = tokio::task::spawn_blocking(|| thread::sleep(TICK));
            tick.await.expect("no panic");
            tokio::time::advance(TICK * FASTER).await;
        }
    };
    let limit = LIMIT * if hurried { FASTER } else { 1 };
    let ended = runtime.block_on(async {
        let work = tokio::time::timeout(limit, work);
        match hurried {
            true => tokio::select! { ended = work => ended, () = clock => unreachable!() },
            false => work.await,
        }
    });
    // A name that a server made up may still be looked up, on a thread that nobody waits for.
    runtime.shutdown_background();
    ended.expect("an end")
}

/// A configuration whose servers are the fake ones.
pub fn config(port: u16, redis: &str) -> Config {
    let text = format!(
        "[schema]\nversion = \"latest\"\n[postgres]\nurl = \"postgres://anna@127.0.0.1:{port}/d?sslmode=disable\"\n\
         [redis]\n{redis}\n[compat]\ngolang_migrate = \"schema_migrations\"\n"
    );
    Config::parse("outpost.toml", &text, &|_| None).expect("a configuration")
}

/// How outpost.toml names a single Redis.
pub fn single(port: u16) -> String {
    format!("url = \"redis://127.0.0.1:{port}/0\"")
}

/// Reads whatever is read of a store, from the answers of a case: the errors.
pub fn read(
    bytes: &[u8],
    patience: Option<Duration>,
    hurried: bool,
    fake: &Fake,
    store: impl FnOnce(u16) -> Box<dyn Store>,
) -> Vec<StoreError> {
    let _turn = fake.turn.lock().unwrap_or_else(PoisonError::into_inner);
    fake.give(bytes, patience);
    let store = store(fake.port);
    let what = Observe {
        markers: Vec::new(),
        schema: true,
    };
    to_its_end(hurried, async {
        let observed = store.observe(&what).await.err();
        let history = store.history().await.err();
        let lease = store.lease().await.err();
        observed.into_iter().chain(history).chain(lease).collect()
    })
}

pub fn postgres_store(config: &Config) -> PostgresStore {
    let postgres = config.postgres.as_ref().expect("a Postgres");
    let golang = config.compat.golang_migrate.clone();
    PostgresStore::new(postgres, golang, Path::new("/")).expect("a store")
}

pub fn redis_store(config: &Config) -> RedisStore {
    let redis = config.redis.as_ref().expect("a Redis");
    RedisStore::new(redis, &config.plan_relevant(), Path::new("/")).expect("a store")
}

fn read_postgres(bytes: &[u8], patience: Option<Duration>) -> Vec<StoreError> {
    read(bytes, patience, false, &POSTGRES, |port| {
        Box::new(postgres_store(&config(port, &single(port))))
    })
}

fn read_redis(bytes: &[u8], patience: Option<Duration>) -> Vec<StoreError> {
    read(bytes, patience, false, &REDIS, |port| {
        Box::new(redis_store(&config(port, &single(port))))
    })
}

/// Whoever shows an error asks for its words and its hint.
pub fn shown(errors: &[StoreError]) {
    for error in errors {
        assert!(!format!("{error}{:?}{error:?}", error.hint()).is_empty());
    }
}

pub const POSTGRES_REPLIES: Target = Target {
    name: "postgres_replies",
    longest: 200_000,
    costs: 5,
    endings: &[],
    words: &[
        "\n--8<--\n",
        "T\0\0\0",
        "D\0\0\0",
        "E\0\0\0",
        "Z\0\0\0\x05I",
        "R\0\0\0\x08\0\0\0\0",
        "\0\0\0\x04",
    ],
    read: |bytes| shown(&read_postgres(bytes, Some(IMPATIENT))),
};

// Broken connections are tried again after a pause.
pub const REDIS_REPLIES: Target = Target {
    name: "redis_replies",
    longest: 200_000,
    costs: 15,
    endings: &[],
    words: &[
        "\n--8<--\n",
        "\r\n",
        "*1\r\n",
        "$3\r\n",
        "%2\r\n",
        "-MOVED 1 127.0.0.1:1\r\n",
        "-LOADING x\r\n",
        "|1\r\n",
        ">1\r\n",
        ",nan\r\n",
        "_\r\n",
    ],
    read: |bytes| shown(&read_redis(bytes, Some(IMPATIENT))),
};

#[test]
fn no_answer_of_a_postgres_breaks_its_reader() {
    let recorded = recorded(&POSTGRES_REPLIES);
    only_the_lease(&read_postgres(&recorded, None));
    crate::run(&POSTGRES_REPLIES, &crate::seeds(&POSTGRES_REPLIES));
}

#[test]
fn no_answer_of_a_redis_breaks_its_reader() {
    let recorded = recorded(&REDIS_REPLIES);
    only_the_lease(&read_redis(&recorded, None));
    let mut seeds = crate::seeds(&REDIS_REPLIES);
    seeds.extend(["nested_arrays", "nested_attributes"].map(much_deeper));
    crate::run(&REDIS_REPLIES, &seeds);
}

/// A case that nests, deeper than any stack is. The corpus has it in a length that can be read.
fn much_deeper(file: &str) -> Vec<u8> {
    let mut case = case(REDIS_REPLIES.name, file);
    let level = case[case.len() - b"*1\r\n".len()..].to_vec();
    case.extend(level.repeat(30_000));
    case
}

/// A case of the corpus.
pub fn case(folder: &str, file: &str) -> Vec<u8> {
    let path = crate::campaign::root().join("tests/corpus").join(folder);
    std::fs::read(path.join(file)).expect("a case")
}

/// The recorded answers fit what is asked, but for the last question, which is asked of nobody any more.
fn only_the_lease(errors: &[StoreError]) {
    assert_eq!(errors.len(), 1, "{errors:?}");
}

/// A server of another kind, or one that breaks the protocol, is an error that says what was wrong.
#[test]
fn a_broken_answer_is_named() {
    type Read = fn(&[u8], Option<Duration>) -> Vec<StoreError>;
    let postgres: (Read, &str) = (read_postgres, "postgres_replies");
    let redis: (Read, &str) = (read_redis, "redis_replies");
    for ((read, folder), file, words) in [
        (postgres, "http", "cannot connect"),
        (postgres, "empty", "cannot connect"),
        (postgres, "row_that_is_no_utf8", "invalid utf-8 sequence"),
        (
            postgres,
            "row_with_fewer_fields",
            "field count does not match",
        ),
        (postgres, "length_of_nothing", "the connection broke"),
        (postgres, "error_with_escapes", "gone (SQLSTATE XX000)"),
        (
            redis,
            "http",
            "cannot connect: the answer is not in Redis's protocol",
        ),
        (redis, "empty", "cannot connect"),
        (redis, "hash_of_odd_length", "the ledger cannot be read"),
        (redis, "nothing_of_utf8", "the ledger cannot be read"),
        (redis, "nested_arrays", "the connection broke"),
        (redis, "error_with_escapes", "gone"),
    ] {
        let errors = read(&case(folder, file), Some(IMPATIENT));
        let said = errors.first().map(ToString::to_string).unwrap_or_default();
        assert!(said.contains(words), "{folder}/{file}: {said}");
    }
}

/// What real servers answered.
fn recorded(target: &Target) -> Vec<u8> {
    case(target.name, "observe_and_history")
}
