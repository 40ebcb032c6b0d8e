//! What a Redis holds, in a form that can be compared: all keys with type, value and time of expiry.
#![allow(dead_code, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use redis::{Connection, Pipeline, RedisResult, Value};

/// Every key, with what does not fit into ASCII escaped.
pub type Keyspace = BTreeMap<String, Entry>;

/// A key's content. Two entries are equal when no client could tell them apart by what it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As TYPE says.
    pub kind: String,
    /// Members without an order of their own are sorted.
    pub value: String,
    /// Milliseconds since 1970, or, of a server before 7.0, whether the key expires at all.
    pub expires: Option<i64>,
}

/// All keys of one server.
pub fn keyspace(url: &str) -> Keyspace {
    let mut connection = redis::Client::open(url)
        .and_then(|client| client.get_connection())
        .expect("a connection");
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS")
        .arg("*")
        .query(&mut connection)
        .expect("keys");
    keys.chunks(500)
        .flat_map(|keys| entries(&mut connection, keys))
        .collect()
}

/// The entries of keys; none of one that expired meanwhile.
fn entries(connection: &mut Connection, keys: &[Vec<u8>]) -> Vec<(String, Entry)> {
    let kinds = asked(connection, keys, |pipe, key| {
        pipe.cmd("TYPE").arg(key);
    });
    let kinds: Vec<String> = kinds
        .into_iter()
        .map(|kind| {
            kind.and_then(|v| Ok(redis::from_redis_value(v)?))
                .expect("a type")
        })
        .collect();
    let times = asked(connection, keys, |pipe, key| {
        pipe.cmd("PEXPIRETIME").arg(key);
    });
    let lives = asked(connection, keys, |pipe, key| {
        pipe.cmd("PTTL").arg(key);
    });
    let mut kind = kinds.iter();
    let values = asked(connection, keys, |pipe, key| {
        match kind.next().map_or("none", String::as_str) {
            "string" => pipe.cmd("GET").arg(key),
            "hash" => pipe.cmd("HGETALL").arg(key),
            "set" => pipe.cmd("SMEMBERS").arg(key),
            "zset" => pipe.cmd("ZRANGE").arg(key).arg(0).arg(-1).arg("WITHSCORES"),
            "list" => pipe.cmd("LRANGE").arg(key).arg(0).arg(-1),
            "stream" => pipe.cmd("XRANGE").arg(key).arg("-").arg("+"),
            _ => pipe.cmd("DUMP").arg(key),
        };
    });
    let mut entries = Vec::new();
    for ((((key, kind), value), time), life) in
        keys.iter().zip(kinds).zip(values).zip(times).zip(lives)
    {
        if kind == "none" {
            continue;
        }
        let number = |value: RedisResult<Value>| -> RedisResult<i64> {
            Ok(redis::from_redis_value(value?)?)
        };
        let expires = number(time)
            .or_else(|_| number(life).map(|ttl| ttl.signum()))
            .expect("a time");
        let entry = Entry {
            value: canonical(
                &kind,
                value.unwrap_or_else(|error| panic!("{kind}: {error}")),
            ),
            kind,
            expires: (expires >= 0).then_some(expires),
        };
        entries.push((key.escape_ascii().to_string(), entry));
    }
    entries
}

/// One answer for each key. ASKING lets a node answer for the keys of a slot that it is importing.
fn asked(
    connection: &mut Connection,
    keys: &[Vec<u8>],
    mut ask: impl FnMut(&mut Pipeline, &[u8]),
) -> Vec<RedisResult<Value>> {
    let mut pipe = redis::pipe();
    pipe.ignore_errors();
    for key in keys {
        pipe.cmd("ASKING");
        ask(&mut pipe, key);
    }
    let answers: Vec<RedisResult<Value>> = pipe.query(connection).expect("answers");
    answers.into_iter().skip(1).step_by(2).collect()
}

fn canonical(kind: &str, value: Value) -> String {
    let bytes = |value: Value| -> Vec<Vec<u8>> {
        redis::from_redis_value(value).expect("a list of strings")
    };
    let shown = |bytes: &Vec<u8>| bytes.escape_ascii().to_string();
    match kind {
        "hash" => {
            let pairs = bytes(value);
            let fields: BTreeMap<String, String> = pairs
                .chunks_exact(2)
                .map(|pair| (shown(&pair[0]), shown(&pair[1])))
                .collect();
            format!("{fields:?}")
        }
        "set" => {
            let members: BTreeSet<String> = bytes(value).iter().map(shown).collect();
            format!("{members:?}")
        }
        "list" | "zset" => {
            let members: Vec<String> = bytes(value).iter().map(shown).collect();
            format!("{members:?}")
        }
        "string" => {
            let text: Vec<u8> = redis::from_redis_value(value).expect("a string");
            shown(&text)
        }
        _ => format!("{value:?}"),
    }
}
