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
const BREAK: &[u8] = b"\n--8<--\n";
/// No case takes longer, however busy the machine is: a reader that waits for ever is found.
const LIMIT: Duration = Duration::from_secs(90);

#[derive(Clone, Copy)]
enum Protocol {
    Postgres,
    Redis,
}

/// How long the server waits for a message before it hangs up: the client may wait for the rest of an answer that
/// was broken off. A machine that is too busy to ask in time loses nothing but the rest of that case.
const IMPATIENT: Duration = Duration::from_millis(200);

/// What a server has still to say.
#[derive(Default)]
struct Script {
    answers: VecDeque<Vec<u8>>,
    patience: Option<Duration>,
}

/// A server that gives the answers that are left, to whoever asks.
struct Fake {
    port: u16,
    script: Arc<Mutex<Script>>,
    /// Held by the test whose case it is.
    turn: Mutex<()>,
}

static POSTGRES: LazyLock<Fake> = LazyLock::new(|| Fake::start(Protocol::Postgres));
static REDIS: LazyLock<Fake> = LazyLock::new(|| Fake::start(Protocol::Redis));

impl Fake {
    fn start(protocol: Protocol) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let script: Arc<Mutex<Script>> = Arc::default();
        let given = Arc::clone(&script);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let script = Arc::clone(&given);
                thread::spawn(move || serve(protocol, stream, &script));
            }
        });
        Self {
            port,
            script,
            turn: Mutex::default(),
        }
    }

    fn give(&self, case: &[u8], patience: Option<Duration>) {
        let mut answers = VecDeque::new();
        let mut rest = case;
        while let Some(at) = rest.windows(BREAK.len()).position(|part| part == BREAK) {
            answers.push_back(rest[..at].to_vec());
            rest = &rest[at + BREAK.len()..];
        }
        answers.push_back(rest.to_vec());
        *self.script.lock().expect("no panic") = Script { answers, patience };
    }
}

/// Answers each message until there is nothing left to say.
fn serve(protocol: Protocol, mut stream: TcpStream, script: &Mutex<Script>) -> Option<()> {
    let patience = script.lock().ok()?.patience;
    stream.set_read_timeout(patience).ok()?;
    let mut begun = false;
    loop {
        match protocol {
            Protocol::Postgres => postgres_message(&mut stream, begun)?,
            Protocol::Redis => redis_message(&mut stream)?,
        }
        begun = true;
        let answer = script.lock().ok()?.answers.pop_front()?;
        stream.write_all(&answer).ok()?;
    }
}

/// One message of a client that keeps to the protocol; nothing once it leaves.
fn postgres_message(stream: &mut TcpStream, begun: bool) -> Option<()> {
    if begun {
        let mut kind = [0];
        stream.read_exact(&mut kind).ok()?;
        if kind == *b"X" {
            return None;
        }
    }
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
    skip(stream, length.checked_sub(4)?)
}

fn redis_message(stream: &mut TcpStream) -> Option<()> {
    for _ in 0..number(stream, b'*')? {
        let length = number(stream, b'$')?;
        skip(stream, length + 2)?;
    }
    Some(())
}

fn skip(stream: &mut TcpStream, bytes: usize) -> Option<()> {
    stream.read_exact(&mut vec![0; bytes]).ok()
}

fn number(stream: &mut TcpStream, mark: u8) -> Option<usize> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") {
        stream.read_exact(&mut byte).ok()?;
        line.push(byte[0]);
    }
    let text = String::from_utf8(line).ok()?;
    text.trim().strip_prefix(char::from(mark))?.parse().ok()
}

/// Reads whatever is read of a store, from the answers of a case: the errors.
fn read(
    bytes: &[u8],
    patience: Option<Duration>,
    fake: &Fake,
    store: impl FnOnce(&Config) -> Box<dyn Store>,
) -> Vec<StoreError> {
    let _turn = fake.turn.lock().unwrap_or_else(PoisonError::into_inner);
    fake.give(bytes, patience);
    let text = format!(
        "[schema]\nversion = \"latest\"\n[postgres]\nurl = \"postgres://anna@127.0.0.1:{port}/d?sslmode=disable\"\n\
         [redis]\nurl = \"redis://127.0.0.1:{port}/0\"\n[compat]\ngolang_migrate = \"schema_migrations\"\n",
        port = fake.port
    );
    let config = Config::parse("outpost.toml", &text, &|_| None).expect("a configuration");
    let store = store(&config);
    let what = Observe {
        markers: Vec::new(),
        schema: true,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime
        .block_on(async {
            let all = async {
                let observed = store.observe(&what).await.err();
                let history = store.history().await.err();
                let lease = store.lease().await.err();
                observed.into_iter().chain(history).chain(lease).collect()
            };
            tokio::time::timeout(LIMIT, all).await
        })
        .expect("an end")
}

fn read_postgres(bytes: &[u8], patience: Option<Duration>) -> Vec<StoreError> {
    read(bytes, patience, &POSTGRES, |config| {
        let postgres = config.postgres.as_ref().expect("a Postgres");
        let golang = config.compat.golang_migrate.clone();
        Box::new(PostgresStore::new(postgres, golang, Path::new("/")).expect("a store"))
    })
}

fn read_redis(bytes: &[u8], patience: Option<Duration>) -> Vec<StoreError> {
    read(bytes, patience, &REDIS, |config| {
        let redis = config.redis.as_ref().expect("a Redis");
        let plan = config.plan_relevant();
        Box::new(RedisStore::new(redis, &plan, Path::new("/")).expect("a store"))
    })
}

/// Whoever shows an error asks for its words and its hint.
fn shown(errors: &[StoreError]) {
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
fn case(folder: &str, file: &str) -> Vec<u8> {
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
