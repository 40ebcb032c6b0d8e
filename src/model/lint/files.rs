//! Rules about a migration as a whole: what it lacks, and what its declaration leaves open.

use super::rules::{DATA_LOSS_UNDECLARED, IRREVERSIBLE_STEP, MISSING_VERIFY, SCOPE_NOT_EXHAUSTIVE};
use super::{Raw, Rule, sql};
use crate::model::migration::{Content, Migration, RedisMigration, SqlFile, SqlMigration};
use crate::model::redis::pattern::{Inclusion, Pattern, inclusion};
use crate::model::redis::printable::printable;

/// Everything about one migration; `known` is what the migrations before it leave behind.
pub(super) fn migration(migration: &Migration, known: &mut sql::Known, found: &mut Vec<Raw>) {
    let about = |rule: &'static Rule, file: &str, line, message: String, advice: &str| Raw {
        rule,
        id: Some(migration.id.clone()),
        file: file.to_owned(),
        line,
        statement: None,
        message,
        advice: Some(advice.to_owned()),
    };
    if let Some(reason) = migration.irreversible() {
        let message = format!("there is no way back: {reason}");
        let advice = match &migration.content {
            Content::Sql(_) => "write a .down.sql beside it",
            Content::Redis(_) => "keep what the step removes, or accept it with the reason",
        };
        found.push(about(
            &IRREVERSIBLE_STEP,
            migration.path(),
            None,
            message,
            advice,
        ));
    }
    match &migration.content {
        Content::Sql(files) => {
            if files.verify.is_none() {
                let message = "no .verify.sql proves that it worked".to_owned();
                let advice = "write queries that return no row, or only true, once it is in place";
                found.push(about(
                    &MISSING_VERIFY,
                    &files.up.path,
                    None,
                    message,
                    advice,
                ));
            }
            if let Some(down) = &files.down {
                for (statement, line, message) in undeclared_losses(files, down) {
                    let advice =
                        "say it to the reviewer in the down file: -- outpost: data_loss = \"...\"";
                    let mut raw = about(
                        &DATA_LOSS_UNDECLARED,
                        &down.path,
                        Some(line),
                        message,
                        advice,
                    );
                    raw.statement = Some(statement);
                    found.push(raw);
                }
            }
            sql::file(&migration.id, &files.up, true, known, found);
            for file in [&files.down, &files.verify, &files.cleanup]
                .into_iter()
                .flatten()
            {
                // What an undo or a check does to tables is not what the next migration meets.
                sql::file(&migration.id, file, false, &mut known.clone(), found);
            }
        }
        Content::Redis(redis) => {
            for message in open_scopes(redis) {
                let advice = "add a step or an ignore pattern, or narrow the scope";
                found.push(about(
                    &SCOPE_NOT_EXHAUSTIVE,
                    &redis.path,
                    None,
                    message,
                    advice,
                ));
            }
        }
    }
}

/// What the down file drops of what the up file made, and with it all that was written there since. Only
/// what both files name alike is sure.
fn undeclared_losses(files: &SqlMigration, down: &SqlFile) -> Vec<(usize, usize, String)> {
    if down.script.directives.data_loss.is_some() {
        return Vec::new();
    }
    let made = || files.up.script.statements.iter().map(|s| &s.class);
    let mut losses = Vec::new();
    for (index, statement) in down.script.statements.iter().enumerate() {
        let class = &statement.class;
        let mut lost = |what: String| {
            let message = format!("a revert loses what was written to {what} since");
            losses.push((index, statement.line, message));
        };
        if class.verb == "drop table" {
            for table in &class.tables {
                if made().any(|class| class.creates.contains(table)) {
                    lost(table.to_string());
                }
            }
        }
        for column in &class.shape.dropped_columns {
            if made().any(|class| class.shape.added_columns.contains(column)) {
                lost(format!("column {} of {}", column.1, column.0));
            }
        }
    }
    losses
}

/// An example for each scope that the steps and ignore patterns leave open.
fn open_scopes(redis: &RedisMigration) -> Vec<String> {
    let declaration = &redis.declaration;
    let covering: Vec<&Pattern> = declaration
        .steps
        .iter()
        .filter_map(|step| step.op.pattern())
        .chain(&declaration.ignore)
        .collect();
    declaration
        .scope
        .iter()
        .filter_map(|scope| match inclusion(scope, &covering) {
            Inclusion::Outside(key) => Some(format!(
                "a key such as {} is in scope, and neither a step nor an ignore pattern takes it: a plan that meets one stops",
                printable(&key)
            )),
            Inclusion::Inside | Inclusion::Unknown => None,
        })
        .collect()
}
