//! The data set: tenants and destinations in the legacy form, the same for the same seed.
//!
//! A tenant has five keys: its own hash, the list of its destinations, and three destinations. The tenant's
//! and the destinations' hashes have 8 fields. One destination in fifty is soft-deleted, with the 7-day TTL
//! that goes with it. About one credential in two is longer than the 64 bytes up to which Redis packs a hash.

use std::ops::Range;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::Outcome;

/// Destinations of a tenant.
pub const DESTINATIONS: u64 = 3;
/// Keys of a tenant.
pub const KEYS_PER_TENANT: u64 = 2 + DESTINATIONS;
/// Those of them that hold timestamps and are given an entity: all but the list.
pub const RECORDS_PER_TENANT: u64 = 1 + DESTINATIONS;

/// Seven days, seconds.
pub const SOFT_DELETED_TTL: u64 = 7 * 24 * 60 * 60;
/// The key that the latency probe asks for. No migration's scope has it.
pub const PROBE_KEY: &str = "probe";

const BATCH: usize = 1_000;

/// Loads `tenants` tenants and the probe's key.
pub fn load(url: &str, tenants: u64, seed: u64) -> Outcome<()> {
    let mut connection = redis::Client::open(url)?.get_connection()?;
    let mut random = StdRng::seed_from_u64(seed);
    let mut pipe = redis::pipe();
    pipe.set(PROBE_KEY, "x").ignore();
    for number in 0..tenants {
        tenant(&mut pipe, &mut random, number);
        if pipe.len() >= BATCH {
            pipe.query::<()>(&mut connection)?;
            pipe.clear();
        }
    }
    pipe.query::<()>(&mut connection)?;
    Ok(())
}

fn tenant(pipe: &mut redis::Pipeline, random: &mut StdRng, number: u64) {
    let id = format!("tn_{number:06}{:06x}", random.random_range(0..0x100_0000));
    let key = format!("tenant:{id}");
    let (created, updated) = (timestamp(random), timestamp(random));
    let name = format!("Tenant {number}");
    let region = pick(random, &["eu-central", "us-east", "ap-south"]);
    let contact = format!("ops+{number}@example.com");
    let fields = [
        ("id", id.as_str()),
        ("name", &name),
        ("plan", pick(random, &["free", "team", "business"])),
        ("region", region),
        ("contact", &contact),
        ("metadata", r#"{"source":"signup"}"#),
        ("created_at", &created),
        ("updated_at", &updated),
    ];
    pipe.hset_multiple(&key, &fields).ignore();

    let mut list = Vec::new();
    for _ in 0..DESTINATIONS {
        let dest = format!("des_{:012x}", random.random_range(0..1_u64 << 48));
        list.push((
            dest.clone(),
            format!(r#"{{"id":"{dest}","type":"webhook","topics":["*"],"disabled":false}}"#),
        ));
        destination(pipe, random, &key, &dest);
    }
    pipe.hset_multiple(format!("{key}:destinations"), &list)
        .ignore();
}

fn destination(pipe: &mut redis::Pipeline, random: &mut StdRng, tenant: &str, id: &str) {
    let key = format!("{tenant}:destination:{id}");
    let config = format!(r#"{{"url":"https://hooks.example.com/{id}"}}"#);
    let length = random.random_range(16..=112);
    let credentials = letters(random, length);
    let (created, updated) = (timestamp(random), timestamp(random));
    let mut fields = vec![
        ("id", id),
        ("type", "webhook"),
        ("topics", pick(random, &["*", "order.created,order.paid"])),
        ("config", &config),
        ("credentials", &credentials),
        ("delivery_metadata", "{}"),
        ("created_at", &created),
        ("updated_at", &updated),
    ];
    let deleted = random.random_range(0..50) == 0;
    if deleted {
        fields.push(("deleted_at", &updated));
    }
    pipe.hset_multiple(&key, &fields).ignore();
    if deleted {
        pipe.expire(&key, SOFT_DELETED_TTL.cast_signed()).ignore();
    }
}

/// RFC 3339 in 2023 or 2024, as applications write it: UTC, half of them with a fraction.
fn timestamp(random: &mut StdRng) -> String {
    let mut number = |range: Range<u32>| random.random_range(range);
    let (year, month, day) = (number(2023..2025), number(1..13), number(1..29));
    let (hour, minute, second) = (number(0..24), number(0..60), number(0..60));
    let fraction = match number(0..2) {
        0 => String::new(),
        _ => format!(".{:06}", number(0..1_000_000)),
    };
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

fn letters(random: &mut StdRng, length: usize) -> String {
    (0..length)
        .map(|_| char::from(random.random_range(b'a'..=b'z')))
        .collect()
}

fn pick<'a>(random: &mut StdRng, from: &[&'a str]) -> &'a str {
    from[random.random_range(0..from.len())]
}
