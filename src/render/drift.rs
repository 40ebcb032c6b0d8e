//! `drift`: one paragraph an object, with the lines of its definition that differ.

use std::io::{self, Write};

use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use crate::model::drift::{Deviation, Drift, Expected, ObjectDrift, SchemaDrift};
use crate::model::verification::Check;
use crate::render::definition::readable;
use crate::render::json;
use crate::render::style::{Style, Tone};
use crate::render::text::{block, line, wrapped};
use crate::render::units::{counted, counted_len};
use crate::render::verify;

/// Columns before the lines of a definition.
const INDENT: usize = 4;

/// Equal lines that are shown around those that differ.
const CONTEXT: usize = 1;

/// Writes what has drifted and one line that sums it up.
///
/// # Errors
/// What `out` says.
pub fn drift(out: &mut dyn Write, style: Style, drift: &Drift) -> io::Result<()> {
    for words in drift.caveats.iter().flat_map(|check| &check.findings) {
        paragraph(out, style, "! ", Tone::Caution, &line(words))?;
    }
    if !drift.caveats.is_empty() {
        let words = "What is begun, edited or unknown to the schema folder may show as drift.";
        paragraph(out, style, "  ", Tone::Caution, words)?;
        writeln!(out)?;
    }
    if let Some(schema) = &drift.schema {
        for words in basis(schema) {
            paragraph(out, style, "", Tone::Faint, &line(&words))?;
        }
        for drifted in &schema.objects {
            writeln!(out)?;
            object(out, style, drifted)?;
        }
        if !schema.objects.is_empty() {
            writeln!(out)?;
        }
    }
    let failed = || drift.redis.iter().flatten().filter(|check| check.failed());
    for check in failed() {
        verify::one(out, style, check)?;
    }
    if failed().next().is_some() {
        writeln!(out)?;
    }
    for text in wrapped(&summary(drift), style.room(0)) {
        writeln!(out, "{}", style.paint(Tone::Strong, &text))?;
    }
    Ok(())
}

/// Writes what to do about drift.
///
/// # Errors
/// What `out` says.
pub fn drift_hint(out: &mut dyn Write, style: Style) -> io::Result<()> {
    super::hint(
        out,
        style,
        "undo by hand what nobody wants, and write a migration for what is to stay",
    )
}

/// What the schema was compared with.
fn basis(schema: &SchemaDrift) -> Vec<String> {
    let by = postgres(schema.expected.server_major());
    let mut words = vec![match &schema.expected {
        Expected::Replayed(_) => {
            format!("Compared with the recorded migrations, replayed on {by}.")
        }
        Expected::Locked { pin, .. } => {
            format!("Compared with outpost.lock after {}, made on {by}.", pin.id)
        }
    }];
    if !schema.objects.is_empty() {
        words.push(match &schema.expected {
            Expected::Replayed(_) => "Lines with - are as recorded, those with + as they are.".to_owned(),
            Expected::Locked { .. } => "Lines with + are as they are; a lock file holds digests, and does not tell what they were. \
                --against replay does, on a machine with Postgres."
                .to_owned(),
        });
    }
    words.extend(other_server(
        schema.server_major,
        schema.expected.server_major(),
    ));
    words.extend(ignored(schema));
    words
}

/// What does not count, and what could not.
fn ignored(schema: &SchemaDrift) -> Vec<String> {
    let mut words = Vec::new();
    if !schema.ignored.is_empty() {
        words.push(format!(
            "Unexpected and ignored by [drift] of outpost.toml: {}.",
            counted_len(schema.ignored.len(), "object")
        ));
    }
    let unused = schema.unused.iter();
    words.extend(
        unused.map(|pattern| {
            format!("Nothing unexpected is there for `{pattern}` in [drift] ignore.")
        }),
    );
    words
}

/// That definitions were worded by different versions; `None` where the database's is unknown or the same.
pub(super) fn other_server(server: Option<u32>, expected: Option<u32>) -> Option<String> {
    (server.is_some() && server != expected).then(|| {
        format!(
            "The database runs on {}, which may word a definition differently without any drift.",
            postgres(server)
        )
    })
}

fn postgres(major: Option<u32>) -> String {
    major.map_or_else(
        || "Postgres".to_owned(),
        |major| format!("Postgres {major}"),
    )
}

fn object(out: &mut dyn Write, style: Style, drifted: &ObjectDrift) -> io::Result<()> {
    let (mark, tone) = match drifted.difference.deviation {
        Deviation::Missing => ("-", Tone::Bad),
        Deviation::Unexpected => ("+", Tone::Good),
        Deviation::Different => ("~", Tone::Caution),
    };
    let words = format!(
        "{}: {}",
        line(&drifted.difference.object),
        drifted.difference.deviation.as_str()
    );
    let mut before = style.paint(tone, mark);
    for text in wrapped(&words, style.room(2)) {
        writeln!(out, "{before} {}", style.paint(Tone::Strong, &text))?;
        " ".clone_into(&mut before);
    }
    let lines = |definition: &Option<String>| {
        let text = definition.as_deref().map(readable).unwrap_or_default();
        block(&text)
    };
    let (recorded, real) = (lines(&drifted.recorded), lines(&drifted.real));
    let diff = TextDiff::from_lines(&recorded, &real);
    for (at, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if at > 0 {
            writeln!(out, "{}…", " ".repeat(INDENT))?;
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let (mark, tone) = match change.tag() {
                ChangeTag::Delete => ("- ", Tone::Bad),
                ChangeTag::Insert => ("+ ", Tone::Good),
                ChangeTag::Equal => ("  ", Tone::Faint),
            };
            definition(out, style, mark, tone, change.value().trim_end())?;
        }
    }
    Ok(())
}

/// One line of a definition. What does not fit goes on below, further in.
fn definition(
    out: &mut dyn Write,
    style: Style,
    mark: &str,
    tone: Tone,
    text: &str,
) -> io::Result<()> {
    let indent = " ".repeat(INDENT);
    let own = text.len() - text.trim_start().len();
    let mut mark = format!("{mark}{}", " ".repeat(own));
    for text in wrapped(text, style.room(INDENT + mark.len())) {
        writeln!(
            out,
            "{indent}{}",
            style.paint(tone, &format!("{mark}{text}"))
        )?;
        mark = " ".repeat(own + 4);
    }
    Ok(())
}

fn paragraph(
    out: &mut dyn Write,
    style: Style,
    mark: &str,
    tone: Tone,
    text: &str,
) -> io::Result<()> {
    let mut mark = mark.to_owned();
    for text in wrapped(text, style.room(mark.len())) {
        writeln!(out, "{}", style.paint(tone, &format!("{mark}{text}")))?;
        mark = " ".repeat(mark.len());
    }
    Ok(())
}

fn summary(drift: &Drift) -> String {
    let mut parts = Vec::new();
    if let Some(schema) = &drift.schema {
        let objects = counted(schema.examined, "object");
        parts.push(match schema.objects.len() {
            0 => format!("Postgres as recorded ({objects})"),
            _ => format!("{} in Postgres", deviations(&schema.objects)),
        });
    }
    if let Some(checks) = &drift.redis {
        let failed = checks.iter().filter(|check| check.failed()).count();
        let all = counted_len(checks.len(), "check");
        parts.push(match failed {
            _ if checks.is_empty() => "no Redis migration applied".to_owned(),
            0 => format!("Redis as recorded ({all})"),
            _ => format!("{failed} of {all} failed in Redis"),
        });
    }
    match (drift.found(), parts.is_empty()) {
        (_, true) => "No drift: nothing is recorded yet.".to_owned(),
        (true, _) => format!("Drift: {}.", parts.join("; ")),
        (false, _) => format!("No drift: {}.", parts.join("; ")),
    }
}

/// How many objects differ in which way: `1 missing, 2 different`.
fn deviations(objects: &[ObjectDrift]) -> String {
    [
        Deviation::Missing,
        Deviation::Unexpected,
        Deviation::Different,
    ]
    .into_iter()
    .filter_map(|deviation| {
        let which = |object: &&ObjectDrift| object.difference.deviation == deviation;
        let number = objects.iter().filter(which).count();
        (number > 0).then(|| format!("{number} {}", deviation.as_str()))
    })
    .collect::<Vec<_>>()
    .join(", ")
}

#[derive(Serialize)]
struct DriftJson<'a> {
    drifted: bool,
    postgres: Option<SchemaJson<'a>>,
    redis: Option<RedisJson<'a>>,
    caveats: &'a [Check],
}

#[derive(Serialize)]
struct SchemaJson<'a> {
    /// `replay` or `lock`.
    against: &'static str,
    expected_server: Option<u32>,
    server: Option<u32>,
    examined: u64,
    objects: Vec<ObjectJson<'a>>,
    ignored: &'a [String],
    /// Entries of `[drift] ignore`.
    unused_ignores: Vec<String>,
}

#[derive(Serialize)]
struct ObjectJson<'a> {
    object: &'a str,
    deviation: Deviation,
    recorded: Option<String>,
    real: Option<String>,
}

#[derive(Serialize)]
struct RedisJson<'a> {
    checks: &'a [Check],
}

/// Writes what has drifted as JSON.
///
/// # Errors
/// What `out` says.
pub fn drift_json(out: &mut dyn Write, drift: &Drift) -> io::Result<()> {
    let postgres = drift.schema.as_ref().map(|schema| SchemaJson {
        against: match schema.expected {
            Expected::Replayed(_) => "replay",
            Expected::Locked { .. } => "lock",
        },
        expected_server: schema.expected.server_major(),
        server: schema.server_major,
        examined: schema.examined,
        objects: schema
            .objects
            .iter()
            .map(|object| ObjectJson {
                object: &object.difference.object,
                deviation: object.difference.deviation,
                recorded: object.recorded.as_deref().map(readable),
                real: object.real.as_deref().map(readable),
            })
            .collect(),
        ignored: &schema.ignored,
        unused_ignores: schema.unused.iter().map(ToString::to_string).collect(),
    });
    json::document(
        out,
        &DriftJson {
            drifted: drift.found(),
            postgres,
            redis: drift.redis.as_deref().map(|checks| RedisJson { checks }),
            caveats: &drift.caveats,
        },
    )
}
