//! What a server may say to a run that writes: nothing may be called applied that it did not confirm.
//!
//! The answers are those of a real server, recorded when the test begins, so that they fit what is sent today. One of
//! them is changed, and the run that meets it must end, with an error where that answer was to confirm something.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use outpost::model::event::NoEvents;
use outpost::model::lease::Holder;
use outpost::model::plan::Plan;
use outpost::sandbox::{PostgresServer, RedisServer};
use outpost::store::{Run, Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::campaign::Target;
use crate::folder::{Project, State, sealed};
use crate::servers::{
    BREAK, Fake, IMPATIENT, NONCE, Protocol, config, find, line, message, nonce, postgres_store,
    redis_store, replaced, shown, single, take, to_its_end,
};

static POSTGRES: LazyLock<Fake> = LazyLock::new(|| Fake::start(Protocol::Postgres));
static REDIS: LazyLock<Fake> = LazyLock::new(|| Fake::start(Protocol::Redis));

/// A message to a server, and its answer.
#[derive(Clone)]
struct Exchange {
    message: Vec<u8>,
    answer: Vec<u8>,
}

/// Passes messages on to a real server, one at a time, and keeps them with their answers.
struct Recorder {
    port: u16,
    kept: Arc<Mutex<Vec<Exchange>>>,
}

impl Recorder {
    fn before(protocol: Protocol, server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let kept: Arc<Mutex<Vec<Exchange>>> = Arc::default();
        let all = Arc::clone(&kept);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
                let all = Arc::clone(&all);
                thread::spawn(move || pass(protocol, client, server, &all));
            }
        });
        Self { port, kept }
    }

    fn exchanges(&self) -> MutexGuard<'_, Vec<Exchange>> {
        self.kept.lock().unwrap()
    }
}

fn pass(
    protocol: Protocol,
    mut client: TcpStream,
    mut server: TcpStream,
    kept: &Mutex<Vec<Exchange>>,
) -> Option<()> {
    let (mut begun, mut ready) = (false, false);
    loop {
        let message = message(protocol, &mut client, begun)?;
        begun = true;
        server.write_all(&message).ok()?;
        let mut answer = Vec::new();
        match protocol {
            Protocol::Postgres => postgres_answer(&mut server, &mut answer)?,
            Protocol::Redis => redis_answer(&mut server, &mut answer)?,
        }
        client.write_all(&answer).ok()?;
        // Whoever says a password goes on asking for one; the fake server lets everybody in.
        if matches!(protocol, Protocol::Postgres) && !ready {
            ready = answer.ends_with(READY);
            if !ready {
                continue;
            }
            answer = [b"R\0\0\0\x08\0\0\0\0", READY].concat();
        }
        if let Some(name) = nonce(&message).map(<[u8]>::to_vec) {
            answer = replaced(answer, &name, NONCE);
        }
        kept.lock().ok()?.push(Exchange { message, answer });
    }
}

const READY: &[u8] = b"Z\0\0\0\x05I";

/// Up to where the server waits for the client.
fn postgres_answer(server: &mut TcpStream, answer: &mut Vec<u8>) -> Option<()> {
    loop {
        let kind = take(server, 1, answer)?;
        let length = take(server, 4, answer)?.try_into().ok()?;
        let body = take(server, u32::from_be_bytes(length) as usize - 4, answer)?;
        // Of the handshake, those that ask for something.
        let asks = kind == b"R" && [5, 10, 11].contains(body.get(3)?);
        if asks || kind == b"Z" {
            return Some(());
        }
    }
}

fn redis_answer(server: &mut TcpStream, answer: &mut Vec<u8>) -> Option<()> {
    let line = line(server, answer)?;
    let number = || line[1..].trim().parse::<i64>().ok();
    match line.as_bytes()[0] {
        b'$' if number()? >= 0 => drop(take(server, usize::try_from(number()?).ok()? + 2, answer)?),
        b'*' => (0..number()?).try_for_each(|_| redis_answer(server, answer))?,
        _ => {}
    }
    Some(())
}

/// What came of a run with one step.
#[derive(Debug)]
struct Came {
    leased: bool,
    applied: bool,
    errors: Vec<StoreError>,
}

/// Takes the lease, renews it, runs the plan's step, and gives the lease back.
async fn write(store: &dyn Store, plan: &Plan) -> Came {
    let holder = Holder {
        user: "ann".to_owned(),
        host: "box".to_owned(),
        pid: 7,
        plan: plan.digest.hex(),
        signer: None,
    };
    let mut came = Came {
        leased: false,
        applied: false,
        errors: Vec::new(),
    };
    let lease = match store.acquire("run", &holder).await {
        Ok(lease) => lease,
        Err(error) => {
            came.errors.push(error);
            return came;
        }
    };
    came.leased = true;
    came.errors.extend(store.renew(&lease).await.err());
    let step = &plan.decision.steps[0];
    let run = Run {
        lease: &lease,
        plan,
        events: &NoEvents,
        cancel: &CancellationToken::new(),
    };
    match store.run(step, &run).await {
        Ok(_) => came.applied = true,
        Err(error) => {
            came.errors
                .extend(store.record_failure(step, &run, &error).await.err());
            came.errors.push(error);
        }
    }
    came.errors.extend(store.release(&lease).await.err());
    came
}

static POSTGRES_PLAN: LazyLock<Plan> = LazyLock::new(|| {
    let project = Project::new("sql/0001_a");
    sealed(project.plan_latest(&State::empty()).unwrap())
});

/// Its keys are copied, which reads, decides and writes.
static REDIS_PLAN: LazyLock<Plan> = LazyLock::new(|| {
    let project = Project::new("redis/0001_x");
    sealed(project.plan_latest(&State::empty()).unwrap())
});

fn write_postgres(case: &[u8], patience: Option<Duration>) -> Came {
    let _turn = POSTGRES.turn.lock().unwrap_or_else(PoisonError::into_inner);
    POSTGRES.give(case, patience);
    let store = postgres_store(&config(POSTGRES.port, &single(POSTGRES.port)))
        .with_retries(2, Duration::from_millis(1));
    to_its_end(false, write(&store, &POSTGRES_PLAN))
}

fn write_redis(case: &[u8], patience: Option<Duration>) -> Came {
    let _turn = REDIS.turn.lock().unwrap_or_else(PoisonError::into_inner);
    REDIS.give(case, patience);
    let store = redis_store(&config(REDIS.port, &single(REDIS.port)));
    to_its_end(patience.is_some(), write(&store, &REDIS_PLAN))
}

fn case(exchanges: &[Exchange]) -> Vec<u8> {
    let answers: Vec<&[u8]> = exchanges.iter().map(|e| e.answer.as_slice()).collect();
    answers.join(BREAK)
}

/// The first message with these words in it.
fn first(exchanges: &[Exchange], words: &[u8]) -> usize {
    let has = |exchange: &Exchange| find(&exchange.message, words).is_some();
    exchanges.iter().position(has).unwrap()
}

/// With another answer to one of the messages.
fn with(exchanges: &[Exchange], at: usize, answer: &[u8]) -> Vec<u8> {
    let mut changed = exchanges.to_vec();
    changed[at].answer = answer.to_vec();
    case(&changed)
}

fn recorded_postgres() -> Vec<Exchange> {
    let server = PostgresServer::start().unwrap();
    let (login, rest) = server.url().split_once("@127.0.0.1:").unwrap();
    let (port, database) = rest.split_once('/').unwrap();
    let recorder = Recorder::before(Protocol::Postgres, port.parse().unwrap());
    let url = format!(
        "{login}@127.0.0.1:{}/{database}?sslmode=disable",
        recorder.port
    );
    let mut config = config(1, &single(1));
    if let Some(postgres) = &mut config.postgres {
        postgres.endpoint.url = outpost::model::secret::Secret::new(&url);
    }
    let came = to_its_end(false, write(&postgres_store(&config), &POSTGRES_PLAN));
    assert!(came.applied && came.errors.is_empty(), "{came:?}");
    recorder.exchanges().clone()
}

fn recorded_redis() -> Vec<Exchange> {
    let server = RedisServer::builder().no_password().start().unwrap();
    let recorder = Recorder::before(Protocol::Redis, server.port());
    let store = || redis_store(&config(recorder.port, &single(recorder.port)));
    let mut connection = redis::Client::open(server.url())
        .unwrap()
        .get_connection()
        .unwrap();
    // The first time, the server does not know the scripts.
    for _ in 0..2 {
        recorder.exchanges().clear();
        let mut commands = redis::pipe();
        commands.cmd("FLUSHALL");
        for key in ["old1:a", "old1:b"] {
            commands.cmd("HSET").arg(key).arg("f").arg("v");
        }
        commands.exec(&mut connection).unwrap();
        let came = to_its_end(false, write(&store(), &REDIS_PLAN));
        assert!(came.applied && came.errors.is_empty(), "{came:?}");
    }
    recorder.exchanges().clone()
}

/// The parts of an answer: each with its kind, its length and its body.
fn parts(mut answer: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while let Some(length) = answer.get(1..5) {
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize + 1;
        let (part, rest) = answer.split_at(length);
        parts.push(part);
        answer = rest;
    }
    parts
}

const POSTGRES_WRITES: Target = Target {
    name: "postgres_writes",
    longest: 200_000,
    costs: 60,
    endings: &[],
    words: crate::servers::POSTGRES_REPLIES.words,
    read: |bytes| shown(&write_postgres(bytes, Some(IMPATIENT)).errors),
};

const REDIS_WRITES: Target = Target {
    name: "redis_writes",
    longest: 200_000,
    costs: 60,
    endings: &[],
    words: crate::servers::REDIS_REPLIES.words,
    read: |bytes| shown(&write_redis(bytes, Some(IMPATIENT)).errors),
};

#[test]
fn u11_a_postgres_that_does_not_say_that_it_committed_has_not() {
    let exchanges = recorded_postgres();
    let came = write_postgres(&case(&exchanges), None);
    assert!(came.applied && came.errors.is_empty(), "{came:?}");
    let at = first(&exchanges, b"insert into outpost.history");
    let whole = exchanges[at].answer.clone();
    let parts = parts(&whole);
    let is_marker = |part: &[u8]| find(part, NONCE).is_some();
    let last = parts.iter().rposition(|part| is_marker(part)).unwrap();
    let mut confirming = 0;
    for missing in 0..parts.len() {
        // All that says that something is done from the last marker on, and each marker.
        let confirms = is_marker(parts[missing]) || missing > last && parts[missing][0] == b'C';
        if !confirms {
            continue;
        }
        confirming += 1;
        let others = parts.iter().enumerate().filter(|(n, _)| *n != missing);
        let answer: Vec<u8> = others.flat_map(|(_, part)| part.iter().copied()).collect();
        let came = write_postgres(&with(&exchanges, at, &answer), Some(IMPATIENT));
        assert!(
            came.leased && !came.applied,
            "without part {missing}: {came:?}"
        );
        shown(&came.errors);
    }
    // Two markers around a statement, one behind all of them, and the commit itself.
    assert!(confirming > 4, "{confirming}");
    for answer in [
        READY,
        b"",
        b"C\0\0\0\x0bCOMMIT\0Z\0\0\0\x05I",
        b"I\0\0\0\x04Z\0\0\0\x05I",
    ] {
        let came = write_postgres(&with(&exchanges, at, answer), Some(IMPATIENT));
        assert!(came.leased && !came.applied, "{answer:?}: {came:?}");
    }
    crate::run(&POSTGRES_WRITES, &[case(&exchanges)]);
}

#[test]
fn u11_a_redis_that_does_not_say_that_it_recorded_has_not() {
    let exchanges = recorded_redis();
    let came = write_redis(&case(&exchanges), None);
    assert!(came.applied && came.errors.is_empty(), "{came:?}");
    // By the name of a value that only the script for records is given.
    let at = first(&exchanges, b"started_at");
    for answer in [
        &b"+OK\r\n"[..],
        b"$-1\r\n",
        b"*0\r\n",
        b"*1\r\n:1\r\n",
        b":2\r\n",
        b":-1\r\n",
        b"$1\r\n1\r\n",
        b"$0\r\n\r\n",
        b"+QUEUED\r\n",
        b"#t\r\n",
        b"-ERR no\r\n",
        b"-LEASELOST no\r\n",
        b":1\r",
        b"",
    ] {
        let came = write_redis(&with(&exchanges, at, answer), Some(IMPATIENT));
        let answer = String::from_utf8_lossy(answer);
        assert!(came.leased && !came.applied, "{answer:?}: {came:?}");
        shown(&came.errors);
    }
    // Whatever confirms a write before that: a lease without a token, a copy of which nothing is said.
    let before = exchanges[..at].iter().enumerate();
    for (at, _) in before.filter(|(_, e)| find(&e.message, b"EVALSHA").is_some()) {
        for answer in [
            &b"+OK\r\n"[..],
            b"*1\r\n:1\r\n",
            b"*2\r\n$0\r\n\r\n$0\r\n\r\n",
        ] {
            let came = write_redis(&with(&exchanges, at, answer), Some(IMPATIENT));
            let answer = String::from_utf8_lossy(answer);
            assert!(!came.errors.is_empty(), "{at}, {answer:?}: {came:?}");
        }
    }
    crate::run(&REDIS_WRITES, &[case(&exchanges)]);
}
