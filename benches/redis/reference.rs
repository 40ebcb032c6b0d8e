//! The pattern of the existing migrator, as figures are compared with: read everything, collect all updates
//! in memory, then write them one pipeline after the other, without a compare.
//!
//! Where the pattern leaves a choice, the faster one is taken: one SCAN instead of KEYS or a SCAN for each
//! pattern, and only keys that the migration is about, where loose patterns would match legacy keys, too.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use redis::{Connection, Pipeline};

use super::Outcome;
use super::dataset::SOFT_DELETED_TTL;
use super::job::Job;

const COUNT: usize = 100;
const PIPELINE: usize = 100;

type Fields = Vec<(&'static str, String)>;

/// Does a job, and says how many keys it wrote.
pub fn run(url: &str, job: Job) -> Outcome<u64> {
    let mut connection = redis::Client::open(url)?.get_connection()?;
    match job {
        Job::Copy => copy(&mut connection),
        Job::Convert => update(&mut connection, &["created_at", "updated_at"], converted),
        Job::Set => update(&mut connection, &["entity"], entity),
        Job::Together => [Job::Copy, Job::Convert, Job::Set]
            .iter()
            .map(|job| run(url, *job))
            .sum(),
    }
}

/// HGETALL key by key, then a transaction for each tenant.
fn copy(connection: &mut Connection) -> Outcome<u64> {
    let mut tenants: BTreeMap<String, Vec<String>> = BTreeMap::new();
    scan(connection, |_, page| {
        for key in page.into_iter().filter(|key| !key.contains('{')) {
            if let Some(id) = key.split(':').nth(1) {
                tenants.entry(id.to_owned()).or_default().push(key);
            }
        }
        Ok(())
    })?;

    let mut written = 0;
    for (id, keys) in &tenants {
        let mut transaction = redis::pipe();
        transaction.atomic();
        for key in keys {
            let fields: HashMap<String, String> = redis::Cmd::hgetall(key).query(connection)?;
            let fields: Vec<(String, String)> = fields.into_iter().collect();
            let target = tagged(id, key);
            transaction.del(&target).ignore();
            transaction.cmd("HSET").arg(&target).arg(&fields).ignore();
            if fields.iter().any(|(name, _)| name == "deleted_at") {
                transaction
                    .expire(&target, SOFT_DELETED_TTL.cast_signed())
                    .ignore();
            }
            written += 1;
        }
        transaction.query::<()>(connection)?;
    }
    Ok(written)
}

fn tagged(id: &str, key: &str) -> String {
    match key.splitn(3, ':').nth(2) {
        None => format!("tenant:{{{id}}}:tenant"),
        Some(rest) => format!("tenant:{{{id}}}:{rest}"),
    }
}

/// HMGET of a page's records in a pipeline, all updates kept; then HSET in pipelines of 100.
fn update(
    connection: &mut Connection,
    names: &[&'static str],
    change: fn(&str, &[Option<String>]) -> Outcome<Fields>,
) -> Outcome<u64> {
    let mut updates: Vec<(String, Fields)> = Vec::new();
    scan(connection, |connection, page| {
        let records: Vec<String> = page.into_iter().filter(|key| is_record(key)).collect();
        let mut pipe = redis::pipe();
        for key in &records {
            pipe.cmd("HMGET").arg(key).arg(names);
        }
        let rows: Vec<Vec<Option<String>>> = match pipe.is_empty() {
            true => Vec::new(),
            false => pipe.query(connection)?,
        };
        for (key, row) in records.into_iter().zip(&rows) {
            let fields = change(&key, row)?;
            if !fields.is_empty() {
                updates.push((key, fields));
            }
        }
        Ok(())
    })?;

    for some in updates.chunks(PIPELINE) {
        let mut pipe = Pipeline::new();
        for (key, fields) in some {
            pipe.cmd("HSET").arg(key).arg(fields).ignore();
        }
        pipe.query::<()>(connection)?;
    }
    Ok(u64::try_from(updates.len())?)
}

fn is_record(key: &str) -> bool {
    key.starts_with("tenant:{") && !key.ends_with("}:destinations")
}

fn converted(_: &str, row: &[Option<String>]) -> Outcome<Fields> {
    let mut fields = Fields::new();
    for (name, value) in ["created_at", "updated_at"].into_iter().zip(row) {
        // What is a number already was converted before.
        if let Some(value) = value.as_ref().filter(|value| value.contains('T')) {
            let moment: Timestamp = value.parse()?;
            fields.push((name, moment.as_millisecond().to_string()));
        }
    }
    Ok(fields)
}

fn entity(key: &str, row: &[Option<String>]) -> Outcome<Fields> {
    let entity = match key.ends_with("}:tenant") {
        true => "tenant",
        false => "destination",
    };
    Ok(match row {
        [None] => vec![("entity", entity.to_owned())],
        _ => Fields::new(),
    })
}

/// Every key under `tenant:`, page by page.
fn scan(
    connection: &mut Connection,
    mut page: impl FnMut(&mut Connection, Vec<String>) -> Outcome<()>,
) -> Outcome<()> {
    let mut cursor = 0_u64;
    loop {
        let mut command = redis::cmd("SCAN");
        command.arg(cursor).arg("MATCH").arg("tenant:*");
        command.arg("COUNT").arg(COUNT);
        let (next, keys): (u64, Vec<String>) = command.query(connection)?;
        page(connection, keys)?;
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}
