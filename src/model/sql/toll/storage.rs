//! Which changes of a column's type leave its stored values as they are.

/// Names that mean one type, the second as `format_type` writes it.
const ALIASES: [(&str, &str); 13] = [
    ("varchar", "character varying"),
    ("char", "character"),
    ("decimal", "numeric"),
    ("dec", "numeric"),
    ("int", "integer"),
    ("int4", "integer"),
    ("int8", "bigint"),
    ("int2", "smallint"),
    ("bool", "boolean"),
    ("varbit", "bit varying"),
    ("timestamptz", "timestamp with time zone"),
    ("timetz", "time with time zone"),
    ("timestamp", "timestamp without time zone"),
];

/// The largest number of fractional digits of seconds, which a type without one has.
const FULL_PRECISION: u32 = 6;

/// Whether a column of type `from`, as `format_type` writes it, can become `to`, as a migration writes it,
/// with its values as they are. Unsure is no.
///
/// These are the conversions that Postgres knows to be without effect (its support functions for
/// `varchar`, `varbit`, `numeric`, times and intervals), and binary-coercible pairs of built-in types.
pub fn stored_alike(from: &str, to: &str) -> bool {
    let (from, to) = (normal(from), normal(to));
    if from == to {
        return true;
    }
    let ((from, from_size), (to, to_size)) = (split(&from), split(&to));
    // `None` is no limit.
    let wider = match (from_size.as_slice(), to_size.as_slice()) {
        (_, []) => true,
        ([from], [to]) => to >= from,
        _ => false,
    };
    let text = |name: &str| matches!(name, "character varying" | "text");
    match (from.as_str(), to.as_str()) {
        (from, "text") if text(from) => true,
        (from, "character varying") if text(from) => {
            if from == "text" {
                to_size.is_empty()
            } else {
                wider
            }
        }
        ("bit varying", "bit varying") => wider,
        ("numeric", "numeric") => match (from_size.as_slice(), to_size.as_slice()) {
            (_, []) => true,
            ([from, scale], [to, same]) => scale == same && to >= from,
            ([from], [to]) => to >= from,
            ([from], [to, 0]) | ([from, 0], [to]) => to >= from,
            _ => false,
        },
        (from, to) if from == to && (from.starts_with("time") || from == "interval") => {
            let precision = |size: &[u32]| size.first().copied().unwrap_or(FULL_PRECISION);
            precision(&to_size) >= precision(&from_size)
        }
        ("cidr", "inet") => true,
        _ => false,
    }
}

/// A type's name in lower case, single spaces, without a schema of the system's, and by its long name.
pub(super) fn normal(text: &str) -> String {
    if text.contains('"') {
        return text.trim().to_owned();
    }
    let lower = text.to_lowercase().replace('(', " (").replace(')', ") ");
    let words: Vec<&str> = lower.split_whitespace().collect();
    let text = words.join(" ").replace(" ,", ",").replace(", ", ",");
    let text = text.replace("( ", "(").replace(" )", ")");
    let text = text.strip_prefix("pg_catalog.").unwrap_or(&text);
    let (name, rest) = match text.split_once(' ') {
        Some((name, rest)) => (name, Some(rest)),
        None => (text, None),
    };
    // `timestamp (3) with time zone` has its size in the middle.
    let (size, tail) = match rest.and_then(|rest| rest.strip_prefix('(')?.split_once(')')) {
        Some((size, tail)) => (format!("({size})"), tail.trim().to_owned()),
        None => (String::new(), rest.unwrap_or_default().to_owned()),
    };
    if tail.is_empty() {
        let long = ALIASES
            .iter()
            .find(|(alias, _)| *alias == name)
            .map_or(name, |(_, long)| *long);
        return format!("{long}{size}");
    }
    // `character varying(20)`.
    match tail.split_once(" (") {
        Some((words, size)) => format!("{name} {words}({size}"),
        None => format!("{name} {tail}{size}"),
    }
}

/// A normal name without its size, and the numbers of the size.
fn split(normal: &str) -> (String, Vec<u32>) {
    match normal.split_once('(') {
        Some((name, size)) => (
            name.trim_end().to_owned(),
            size.trim_end_matches(')')
                .split(',')
                .filter_map(|number| number.trim().parse().ok())
                .collect(),
        ),
        None => (normal.to_owned(), Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_are_stored_alike_are_told_from_those_that_are_not() {
        for (from, to, alike) in [
            ("character varying(20)", "varchar(40)", true),
            ("character varying(20)", "VARCHAR ( 20 )", true),
            ("character varying(20)", "varchar(10)", false),
            ("character varying(20)", "character varying", true),
            ("character varying(20)", "text", true),
            ("character varying", "varchar(40)", false),
            ("text", "varchar", true),
            ("text", "varchar(40)", false),
            ("character(3)", "text", false),
            ("numeric(10,2)", "decimal(12, 2)", true),
            ("numeric(10,2)", "numeric", true),
            ("numeric(10,2)", "numeric(12,3)", false),
            ("numeric(10,0)", "numeric(12)", true),
            ("numeric", "numeric(12,2)", false),
            ("integer", "int4", true),
            ("integer", "bigint", false),
            ("timestamp with time zone", "timestamptz", true),
            ("timestamp(3) without time zone", "timestamp", true),
            ("timestamp(3) with time zone", "timestamptz(6)", true),
            (
                "timestamp with time zone",
                "timestamp(3) with time zone",
                false,
            ),
            ("timestamp without time zone", "timestamptz", false),
            ("bit varying(8)", "varbit(16)", true),
            ("interval", "pg_catalog.interval", true),
            ("cidr", "inet", true),
            ("inet", "cidr", false),
            ("uuid", "text", false),
            ("\"Colour\"", "text", false),
        ] {
            assert_eq!(stored_alike(from, to), alike, "{from} -> {to}");
        }
    }
}
