//! Imports run one way: `cli -> render, engine -> store -> model`.
//!
//! Every source file is read as tokens, so that comments and strings say nothing, and every path in it is
//! resolved: in `use` trees, in code, and in the arguments of macros.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path as it is written, and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    path: Vec<String>,
    line: usize,
    /// `path!`
    is_macro: bool,
}

/// A file: its module and every path that it names.
struct Source {
    /// Below `src`, for messages.
    file: String,
    /// `["store", "postgres", "lease"]`
    module: Vec<String>,
    names: Vec<Named>,
}

impl Source {
    fn read(file: &str, text: &str) -> Self {
        let module: Vec<String> = file
            .trim_end_matches(".rs")
            .split('/')
            .filter(|part| !matches!(*part, "mod" | "lib" | "main"))
            .map(str::to_owned)
            .collect();
        let tokens: TokenStream = text.parse().unwrap_or_else(|e| panic!("{file}: {e}"));
        let mut names = Vec::new();
        collect(tokens.clone(), &module, &mut names);
        // A path may begin with a module that the file declares, and that has the name of a package.
        let mut declared = BTreeSet::new();
        declared_modules(tokens, &mut declared);
        for named in &mut names {
            if named.path.len() > 1 && declared.contains(&named.path[0]) {
                named.path = [&["crate".to_owned()], module.as_slice(), &named.path].concat();
            }
        }
        Self {
            file: file.to_owned(),
            module,
            names,
        }
    }

    fn layer(&self) -> &str {
        self.module.first().map_or("", String::as_str)
    }
}

/// The names of `mod name;` and `mod name { ... }`.
fn declared_modules(tokens: TokenStream, found: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for pair in tokens.windows(2) {
        if let [TokenTree::Ident(word), TokenTree::Ident(name)] = pair
            && word == "mod"
        {
            found.insert(name.to_string());
        }
    }
}

/// Finds every path of a token stream, with `crate`, `self` and `super` resolved against `module`.
fn collect(tokens: TokenStream, module: &[String], names: &mut Vec<Named>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    let mut test_only = false;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Punct(p) if p.as_char() == '#' => {
                let attribute = tokens.get(at + 1).map(ToString::to_string);
                test_only |= attribute.is_some_and(|a| a.replace(' ', "") == "[cfg(test)]");
                // An attribute names no layer; a documentation comment is one too.
                at += 2;
            }
            TokenTree::Ident(word) if word == "mod" => {
                // `mod name { ... }`: `super` in it is this module.
                if let (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) =
                    (tokens.get(at + 1), tokens.get(at + 2))
                {
                    if !test_only {
                        let inner = [module, &[name.to_string()]].concat();
                        collect(body.stream(), &inner, names);
                    }
                    at += 3;
                } else {
                    at += 2;
                }
                test_only = false;
            }
            TokenTree::Ident(_) => {
                let (next, found) = path_at(&tokens, at, module);
                names.extend(found);
                at = next;
                test_only = false;
            }
            TokenTree::Group(group) => {
                collect(group.stream(), module, names);
                at += 1;
            }
            _ => at += 1,
        }
    }
}

/// The paths that begin at an identifier: one, or, where a tree follows, one for each of its leaves.
fn path_at(tokens: &[TokenTree], start: usize, module: &[String]) -> (usize, Vec<Named>) {
    let mut words = Vec::new();
    let mut at = start;
    let line = tokens[start].span().start().line;
    loop {
        match tokens.get(at) {
            Some(TokenTree::Ident(word)) => words.push(word.to_string()),
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let mut leaves = Vec::new();
                tree(group.stream(), &words, module, &mut leaves);
                return (at + 1, leaves);
            }
            // `Vec::<T>` and `path::*`.
            _ => break,
        }
        at += 1;
        if !is_double_colon(tokens, at) {
            break;
        }
        at += 2;
    }
    let is_macro = matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == '!')
        && matches!(tokens.get(at + 1), Some(TokenTree::Group(_)));
    let named = Named {
        path: resolve(&words, module),
        line,
        is_macro,
    };
    (at, vec![named])
}

fn is_double_colon(tokens: &[TokenTree], at: usize) -> bool {
    let colon =
        |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == ':');
    colon(at) && colon(at + 1)
}

/// The leaves of `{a, b::{c, d as e}, self}` behind a prefix.
fn tree(tokens: TokenStream, prefix: &[String], module: &[String], names: &mut Vec<Named>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for leaf in tokens.split(|t| matches!(t, TokenTree::Punct(p) if p.as_char() == ',')) {
        let Some(first) = leaf.first() else { continue };
        let mut words = prefix.to_vec();
        let mut inner = None;
        for token in leaf {
            match token {
                TokenTree::Ident(word) if word == "as" => break,
                TokenTree::Ident(word) if word == "self" && !words.is_empty() => {}
                TokenTree::Ident(word) => words.push(word.to_string()),
                TokenTree::Group(group) => inner = Some(group.stream()),
                _ => {}
            }
        }
        match inner {
            Some(inner) => tree(inner, &words, module, names),
            None => names.push(Named {
                path: resolve(&words, module),
                line: first.span().start().line,
                is_macro: false,
            }),
        }
    }
}

/// `crate::x`, `self::x` and `super::x` as `crate::...` from the root; anything else as it is.
fn resolve(words: &[String], module: &[String]) -> Vec<String> {
    let root = || vec!["crate".to_owned()];
    match words.first().map(String::as_str) {
        Some("self") => [root(), module.to_vec(), words[1..].to_vec()].concat(),
        Some("super") => {
            let up = words.iter().take_while(|w| *w == "super").count();
            let above = &module[..module.len().saturating_sub(up)];
            [root(), above.to_vec(), words[up..].to_vec()].concat()
        }
        // Within its own package the library is a crate of that name.
        Some("outpost") if words.len() > 1 => [root(), words[1..].to_vec()].concat(),
        _ => words.to_vec(),
    }
}

const LAYERS: [&str; 8] = [
    "cli",
    "render",
    "engine",
    "store",
    "model",
    "sandbox",
    "source",
    "plan_file",
];

/// The layers that a layer may name, beside itself.
fn may_name(layer: &str) -> Option<&'static [&'static str]> {
    Some(match layer {
        "model" => &[],
        "store" | "sandbox" | "source" | "plan_file" => &["model"],
        "engine" => &["store", "model"],
        "render" => &["engine", "store", "source", "plan_file", "sandbox", "model"],
        // The command line and the crate's root may name everything.
        _ => return None,
    })
}

/// Of these layers `render` words errors and results, and drives nothing.
const RENDER_TAKES: [(&str, &[&str]); 4] = [
    ("store", &["StoreError", "StoreErrorKind", "error"]),
    ("source", &["SourceError"]),
    ("plan_file", &["PlanFileError"]),
    ("sandbox", &["SandboxError"]),
];

/// What `model` may not touch: no file system, environment, clock, network or async, and no chance. A
/// thread may lend it a larger stack.
const IMPURE: [&[&str]; 9] = [
    &["std", "fs"],
    &["std", "env"],
    &["std", "net"],
    &["std", "process"],
    &["std", "io"],
    &["std", "time", "Instant"],
    &["std", "time", "SystemTime"],
    &["tokio"],
    &["rand"],
];

/// The modules of `store` below aside, only these layers read and write files: no name out of a plan, a
/// ledger or a server becomes a path anywhere else.
const FILES: [&str; 4] = ["source", "plan_file", "sandbox", "cli"];

/// What `store` reads are certificates and a password file, at paths of the configuration.
const FILES_OF_STORE: [&[&str]; 2] = [
    &["store", "redis", "link", "dialer"],
    &["store", "postgres", "password"],
];

/// Macros that print. `write!` goes where it is told.
const PRINTING: [&str; 5] = ["println", "print", "eprintln", "eprint", "dbg"];

fn findings(sources: &[Source]) -> Vec<String> {
    sources
        .iter()
        .flat_map(|source| {
            source.names.iter().filter_map(|named| {
                let reason = broken_rule(source, named)?;
                let path = named.path.join("::");
                Some(format!(
                    "src/{}:{}: {path}: {reason}",
                    source.file, named.line
                ))
            })
        })
        .collect()
}

fn broken_rule(source: &Source, named: &Named) -> Option<String> {
    let words: Vec<&str> = named.path.iter().map(String::as_str).collect();
    let layer = source.layer();
    if let ["crate", other, rest @ ..] = words.as_slice() {
        let allowed = may_name(layer).is_none_or(|list| list.contains(other));
        if *other != layer && LAYERS.contains(other) && !allowed {
            return Some(format!("{layer} must not name {other}"));
        }
        let taken = RENDER_TAKES.iter().find(|(name, _)| name == other);
        // The bare layer would bring everything of it.
        let fits = |types: &[&str]| rest.first().is_some_and(|first| types.contains(first));
        if layer == "render" && taken.is_some_and(|(_, types)| !fits(types)) {
            return Some(format!("render takes only the error types of {other}"));
        }
    }
    let is_path = words.len() > 1;
    for (package, home) in [("tokio_postgres", "postgres"), ("redis", "redis")] {
        let at_home = layer == "store" && source.module.get(1).is_some_and(|m| m == home);
        // A field or a variable may be called `redis`; only a path names the package.
        if words.first() == Some(&package) && is_path && !at_home {
            return Some(format!("{package} is named only under store/{home}"));
        }
    }
    if layer == "model" {
        let impure = IMPURE.iter().find(|impure| words.starts_with(impure));
        if let Some(impure) = impure.filter(|_| is_path) {
            return Some(format!("model is pure: no {}", impure.join("::")));
        }
        // Alone, it would hide what is used of it.
        if words == ["std", "time"] {
            return Some("model is pure: name what you need of it".to_owned());
        }
    }
    let touches_files = [&["std", "fs"][..], &["tokio", "fs"], &["tempfile"]]
        .iter()
        .any(|package| is_path && words.starts_with(package));
    let may_touch =
        FILES.contains(&layer) || FILES_OF_STORE.iter().any(|module| source.module == *module);
    if touches_files && !may_touch {
        return Some("it has no business with files".to_owned());
    }
    let printing = named.is_macro && words.last().is_some_and(|w| PRINTING.contains(w));
    if printing && !matches!(layer, "cli" | "") {
        return Some("only cli prints".to_owned());
    }
    None
}

fn rust_files(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.insert(path);
        }
    }
}

/// Files that `#[cfg(test)]` alone lets in: `tests.rs`, and what is below a folder `tests`.
fn is_test(file: &str) -> bool {
    file.ends_with("/tests.rs") || file.contains("/tests/")
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeSet::new();
    rust_files(&root, &mut files);
    files
        .iter()
        .map(|path| {
            let file = path.strip_prefix(&root).unwrap().to_str().unwrap();
            (file.to_owned(), fs::read_to_string(path).unwrap())
        })
        .filter(|(file, _)| !is_test(file))
        .map(|(file, text)| Source::read(&file, &text))
        .collect()
}

#[test]
fn imports_run_one_way() {
    let sources = sources();
    let layers: BTreeSet<&str> = sources.iter().map(Source::layer).collect();
    for layer in LAYERS {
        assert!(layers.contains(layer), "no file of {layer} was read");
    }
    let unknown: Vec<&&str> = layers
        .iter()
        .filter(|layer| !layer.is_empty() && !LAYERS.contains(layer))
        .collect();
    assert!(unknown.is_empty(), "no rule says what {unknown:?} may name");
    let findings = findings(&sources);
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn every_layer_that_may_be_named_is_named_by_somebody() {
    let sources = sources();
    for (layer, other) in [
        ("cli", "engine"),
        ("cli", "render"),
        ("engine", "store"),
        ("store", "model"),
        ("render", "model"),
    ] {
        let found = sources.iter().filter(|s| s.layer() == layer).any(|s| {
            s.names
                .iter()
                .any(|n| n.path.starts_with(&["crate".to_owned(), other.to_owned()]))
        });
        assert!(
            found,
            "{layer} -> {other} was not seen: are paths still resolved?"
        );
    }
}

// That the check can fail, and where it must not.

fn check(file: &str, text: &str) -> Vec<String> {
    findings(&[Source::read(file, text)])
}

#[test]
fn breaches_are_found_however_they_are_written() {
    for (file, text) in [
        ("model/state.rs", "use crate::store::Store;"),
        (
            "model/state.rs",
            "use crate::{model::id::MigrationId, engine};",
        ),
        (
            "model/state.rs",
            "use crate::{\n    render::{style as s},\n};",
        ),
        ("model/state.rs", "use crate::render::{self};"),
        (
            "model/state.rs",
            "pub(crate) use super::super::store::Lease;",
        ),
        ("model/plan/mod.rs", "use super::super::engine::Stores;"),
        ("model/state.rs", "fn f() { crate::cli::main(); }"),
        ("model/state.rs", "fn f(x: &dyn crate::store::Store) {}"),
        (
            "model/state.rs",
            "fn f() { format!(\"{}\", crate::engine::f()) }",
        ),
        (
            "model/state.rs",
            "mod inner { use super::super::super::engine::apply; }",
        ),
        ("model/state.rs", "use outpost::store::Store;"),
        ("model/state.rs", "use std::fs;"),
        (
            "model/state.rs",
            "use std::{collections::BTreeMap, fs::File};",
        ),
        ("model/state.rs", "fn f() { std::env::var(\"A\"); }"),
        ("model/state.rs", "use std::time::{Duration, Instant};"),
        ("model/state.rs", "use std::time::SystemTime as Clock;"),
        ("model/state.rs", "use std::time;"),
        ("model/state.rs", "use std::net::TcpStream;"),
        (
            "model/state.rs",
            "async fn f() { tokio::task::yield_now().await }",
        ),
        ("model/state.rs", "fn f() { println!(\"x\"); }"),
        ("model/state.rs", "fn f() { std::eprintln!(\"x\"); }"),
        (
            "engine/apply.rs",
            "fn f() { match x { _ => { dbg!(1); } } }",
        ),
        ("engine/apply.rs", "use crate::render::text;"),
        ("engine/apply.rs", "use crate::sandbox::Sandbox;"),
        ("engine/apply.rs", "use tokio_postgres::Client;"),
        ("engine/apply.rs", "fn f() { std::fs::read(name); }"),
        ("render/list.rs", "use tokio::fs::File;"),
        ("store/postgres/mod.rs", "use std::fs;"),
        ("store/redis/ledger.rs", "fn f() { tempfile::tempdir(); }"),
        ("store/mod.rs", "use crate::engine::Stores;"),
        ("store/mod.rs", "use tokio_postgres::Client;"),
        ("store/redis/mod.rs", "use tokio_postgres::Client;"),
        ("store/postgres/mod.rs", "use redis::Client;"),
        (
            "store/postgres/mod.rs",
            "fn f() -> redis::RedisResult<()> {}",
        ),
        ("sandbox/mod.rs", "use crate::store::Store;"),
        ("sandbox/mod.rs", "fn f() { eprintln!(\"x\"); }"),
        ("source.rs", "use crate::engine::apply;"),
        ("plan_file.rs", "use crate::source::config;"),
        ("render/list.rs", "use crate::cli::Args;"),
        ("render/list.rs", "use crate::store::Store;"),
        (
            "render/list.rs",
            "use crate::store::{StoreError, memory::MemoryStore};",
        ),
        ("render/list.rs", "use crate::store;"),
        ("render/list.rs", "use crate::source::catalog;"),
        ("render/list.rs", "fn f() { print!(\"x\"); }"),
        ("cli/mod.rs", "use tokio_postgres::Client;"),
        ("cli/mod.rs", "use redis::Client; fn f() { mod_(redis) }"),
        (
            "cli/mod.rs",
            "#[cfg(not(test))] mod m { use redis::Client; }",
        ),
    ] {
        let found = check(file, text);
        assert_eq!(found.len(), 1, "{file}: {text}\n{found:?}");
        assert!(found[0].starts_with(&format!("src/{file}:")), "{found:?}");
    }
}

#[test]
fn what_keeps_the_rules_is_left_alone() {
    for (file, text) in [
        (
            "model/state.rs",
            "// use crate::store::Store;\n/* std::fs */",
        ),
        (
            "model/state.rs",
            "/// Kept by [`Store`](crate::store::Store).\nstruct A;",
        ),
        ("model/state.rs", "//! See crate::engine and std::fs.\n"),
        (
            "model/state.rs",
            "const A: &str = \"use crate::store::Store; println!()\";",
        ),
        (
            "model/state.rs",
            "const A: &str = r#\"std::fs \" tokio::spawn\"#;",
        ),
        (
            "model/state.rs",
            "use std::time::Duration;\nuse crate::model::id::StoreKind;",
        ),
        (
            "model/state.rs",
            "use super::id::MigrationId; use self::inner::X;",
        ),
        (
            "model/plan/mod.rs",
            "use super::super::model::id::StoreKind; mod engine {}",
        ),
        (
            "model/state.rs",
            "fn f(s: &S) { let redis = s.redis; let store = s.store(); }",
        ),
        (
            "model/state.rs",
            "fn f() { let lifetime: &'static str = \"a\"; let c = '\\''; }",
        ),
        (
            "model/state.rs",
            "#[cfg(test)]\nmod tests { use std::fs; use crate::store::Store; }",
        ),
        (
            "engine/apply.rs",
            "use crate::{model::id::StoreKind, store::{Lease, Store}};",
        ),
        (
            "engine/apply.rs",
            "use tokio::time::Instant; fn f() { write!(w, \"x\"); }",
        ),
        (
            "store/postgres/lease.rs",
            "use tokio_postgres::{Client, NoTls};",
        ),
        ("store/redis/mod.rs", "fn f() -> redis::RedisResult<()> {}"),
        ("store/postgres/password.rs", "use std::fs;"),
        ("plan_file/mod.rs", "use std::fs; use tempfile::Builder;"),
        (
            "render/list.rs",
            "use crate::store::{StoreError, StoreErrorKind};",
        ),
        (
            "render/list.rs",
            "use crate::engine::Applied; use crate::model::status::Status;",
        ),
        (
            "cli/mod.rs",
            "use crate::{engine, render, store::postgres::PostgresStore};",
        ),
        ("sandbox/mod.rs", "mod redis;\npub use redis::RedisServer;"),
        ("cli/mod.rs", "fn f() { println!(\"x\"); }"),
        ("main.rs", "fn main() { outpost::cli::main(); }"),
    ] {
        assert_eq!(check(file, text), [""; 0], "{file}: {text}");
    }
}

/// Which of the numbered failures of other tools no test names. A test names a number as a word of its name.
fn unnamed(tests: &BTreeSet<String>) -> Vec<String> {
    let numbers = (1..=35)
        .map(|n| format!("u{n:02}"))
        .chain((1..=17).map(|n| format!("c{n:02}")));
    numbers
        // It is about a database that is none of ours.
        .filter(|number| number != "u05")
        .filter(|number| {
            !tests
                .iter()
                .any(|name| name.split('_').any(|word| word == number))
        })
        .collect()
}

/// The names of the functions in a text that a test attribute stands before.
fn tests_in(text: &str) -> impl Iterator<Item = String> + '_ {
    let mut is_test = false;
    text.lines().filter_map(move |line| {
        let line = line.trim();
        is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        let (_, rest) = line.split_once("fn ").filter(|_| is_test)?;
        is_test = false;
        Some(rest.split('(').next().unwrap_or_default().to_owned())
    })
}

#[test]
fn every_known_failure_of_other_tools_is_named_by_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src"), root.join("tests")];
    let mut tests = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                tests.extend(tests_in(&fs::read_to_string(path).unwrap()));
            }
        }
    }
    assert!(tests.len() > 300, "{}", tests.len());
    assert_eq!(unnamed(&tests), Vec::<String>::new());
    // And the search finds what is missing.
    tests.retain(|name| !name.contains("c17"));
    assert_eq!(unnamed(&tests), ["c17"]);
}
