//! What a run leaves behind, as lines that can be compared between runs.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value as Json;

use crate::support::{Database, query_rows};

/// Catalog, rows, ledger, history and the lease that lives of a database. Left out: times, and what is computed from
/// them. History entries of branches that ran side by side have no order, so they are sorted.
pub fn postgres(database: &Database) -> Vec<String> {
    const STATE: &str = "
        select 'column ' || attrelid::regclass || '.' || attname || ' ' || format_type(atttypid, atttypmod)
               || case when attnotnull then ' not null' else '' end
               || coalesce(' default ' || pg_get_expr(adbin, adrelid), '') || attgenerated::text || attidentity::text as line
          from pg_attribute a join pg_class c on c.oid = a.attrelid
          left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
         where relnamespace in (select oid from pg_namespace where nspname in ('public', 'outpost'))
           and relkind in ('r', 'p', 'S', 'v', 'm') and attnum > 0 and not attisdropped
        union all
        select 'index ' || pg_get_indexdef(indexrelid) || case when indisvalid and indisready then '' else ' INVALID' end
          from pg_index i join pg_class c on c.oid = i.indexrelid
         where relnamespace in (select oid from pg_namespace where nspname in ('public', 'outpost'))
        union all
        select 'constraint ' || conrelid::regclass || ' ' || pg_get_constraintdef(oid) from pg_constraint
         where connamespace in (select oid from pg_namespace where nspname in ('public', 'outpost'))
        union all
        select relkind::text || ' ' || c.oid::regclass || coalesce(' ' || pg_get_partkeydef(c.oid), '')
               || coalesce(' of ' || inhparent::regclass || ' ' || pg_get_expr(relpartbound, c.oid), '')
               || case when relkind in ('v', 'm') then pg_get_viewdef(c.oid) else '' end
          from pg_class c left join pg_inherits on inhrelid = c.oid
         where relnamespace in (select oid from pg_namespace where nspname in ('public', 'outpost'))
        union all
        select 'trigger ' || pg_get_triggerdef(t.oid) || tgenabled::text from pg_trigger t join pg_class c on c.oid = tgrelid
         where relnamespace in (select oid from pg_namespace where nspname in ('public', 'outpost'))
        union all
        select 'function ' || pg_get_functiondef(oid) from pg_proc
         where pronamespace in (select oid from pg_namespace where nspname in ('public', 'outpost')) and prokind <> 'a'
        union all
        select 'sequence ' || sequencename || coalesce(' ' || last_value::text, '') from pg_sequences where schemaname = 'public'
        union all
        select 'rows ' || c.oid::regclass || ' ' || coalesce(string_agg(row::text, '' order by row::text), '')
          from pg_class c, unnest(xpath('/table/row', query_to_xml(format('select * from %s', c.oid::regclass), true, false, '')))
               as rows(row)
         where relnamespace = 'public'::regnamespace and relkind = 'r' group by c.oid
        union all
        select 'ledger ' || (to_jsonb(m) - 'at')::text from outpost.migration m
        union all
        select 'history ' || (to_jsonb(h) - '{seq,started_at,ended_at,previous,hash}'::text[])::text from outpost.history h
        union all
        select 'broken chain at ' || seq from
               (select seq, previous, coalesce(lag(hash) over (order by seq), '') as before from outpost.history) as h
         where previous <> before
        union all
        select 'lease ' || id from outpost.lease where expires_at > clock_timestamp()
        order by 1";
    query_rows(database, STATE)
        .into_iter()
        .map(|mut row| row.remove(0).unwrap())
        .collect()
}

/// Every key with its type, value and time of expiry.
pub fn redis(connection: &mut redis::Connection) -> Vec<String> {
    let mut keys: Vec<String> = redis::cmd("KEYS").arg("*").query(connection).unwrap();
    // What remembers for a moment that a command ran.
    keys.retain(|key| !key.starts_with("{outpost}:ran:"));
    keys.sort();
    let mut lines = Vec::new();
    for key in keys {
        let kind: String = redis::cmd("TYPE").arg(&key).query(connection).unwrap();
        let expires: i64 = redis::cmd("PEXPIRETIME")
            .arg(&key)
            .query(connection)
            .unwrap();
        let expires = if key.starts_with("session:") && lives_for_a_week(expires) {
            "in a week".to_owned()
        } else {
            expires.to_string()
        };
        let mut ask = |words: &[&str]| -> redis::Value {
            let mut command = redis::Cmd::new();
            command.arg(words).query(connection).unwrap()
        };
        let head = format!("{key} {kind} expires {expires}");
        match kind.as_str() {
            // Each lease takes another one.
            "string" if key == "{outpost}:fence" => lines.push(key),
            "string" => lines.push(format!("{head} {:?}", ask(&["GET", &key]))),
            "set" => {
                let mut members: Vec<String> =
                    redis::from_redis_value(ask(&["SMEMBERS", &key])).unwrap();
                members.sort();
                lines.push(format!("{head} {members:?}"));
            }
            "list" => {
                let elements: Vec<String> =
                    redis::from_redis_value(ask(&["LRANGE", &key, "0", "-1"])).unwrap();
                lines.push(format!("{head} {elements:?}"));
            }
            "zset" => {
                let ask = ask(&["ZRANGE", &key, "0", "-1", "WITHSCORES"]);
                let members: Vec<String> = redis::from_redis_value(ask).unwrap();
                lines.push(format!("{head} {members:?}"));
            }
            "hash" => {
                let fields: BTreeMap<Vec<u8>, Vec<u8>> =
                    redis::from_redis_value(ask(&["HGETALL", &key])).unwrap();
                lines.extend(fields.iter().map(|(field, value)| {
                    let field = field.escape_ascii().to_string();
                    let value = shown(&key, &field, value);
                    format!("{head} {field} {value}")
                }));
            }
            "stream" => lines.extend(history(ask(&["XRANGE", &key, "-", "+"]))),
            other => panic!("{key} is a {other}, of which the project has none"),
        }
    }
    lines
}

/// Whether a moment, in milliseconds, is what `after = "7d"` gave within the last day: it differs between runs.
fn lives_for_a_week(at: i64) -> bool {
    const DAY: i64 = 86_400_000;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let left = at - i64::try_from(now.as_millis()).unwrap();
    (6 * DAY..=7 * DAY).contains(&left)
}

fn shown(key: &str, field: &str, value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value).into_owned();
    if key == "{outpost}:ledger" {
        if field == "uuid" {
            return "one".to_owned();
        }
        if let Ok(Json::Object(mut entry)) = serde_json::from_str(&text) {
            entry.remove("at");
            return Json::Object(entry).to_string();
        }
    }
    if key.starts_with("outpost:migration:") && field == "applied_at" {
        return "some time".to_owned();
    }
    text
}

fn history(entries: redis::Value) -> Vec<String> {
    let entries: Vec<(String, BTreeMap<String, String>)> =
        redis::from_redis_value(entries).unwrap();
    let mut lines = Vec::new();
    let mut before = String::new();
    for (id, mut fields) in entries {
        if fields["previous"] != before {
            lines.push(format!("broken chain at {id}"));
        }
        before = fields["hash"].clone();
        for field in ["started_at", "ended_at", "record", "previous", "hash"] {
            fields.remove(field);
        }
        lines.push(format!("history {fields:?}"));
    }
    lines.sort();
    lines
}

/// Without the entries of failed tries: a run that failed and was resumed has them, and nothing else more.
pub fn without_failures(lines: Vec<String>) -> Vec<String> {
    let failed = |line: &String| {
        line.starts_with("history")
            && (line.contains("\"outcome\": \"failed\"") || line.contains("\"outcome\":\"failed\""))
    };
    lines.into_iter().filter(|line| !failed(line)).collect()
}

/// The lines that only one of the two has.
pub fn difference(expected: &[String], found: &[String]) -> String {
    let count = |lines: &[String]| {
        let mut counts: BTreeMap<String, i64> = BTreeMap::new();
        for line in lines {
            *counts.entry(line.clone()).or_default() += 1;
        }
        counts
    };
    let (expected, found) = (count(expected), count(found));
    let of = |counts: &BTreeMap<String, i64>, line: &String| {
        counts.get(line).copied().unwrap_or_default()
    };
    let mut text = String::new();
    for line in expected
        .keys()
        .chain(found.keys().filter(|line| !expected.contains_key(*line)))
    {
        let more = of(&found, line) - of(&expected, line);
        if more != 0 {
            text.push_str(&format!("  {more:+} {line}\n"));
        }
    }
    text
}
