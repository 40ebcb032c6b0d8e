//! Findings that somebody accepted, and acceptances that mean nothing.

use super::rules::{BAD_ALLOW, UNUSED_ALLOW};
use super::{LintConfig, Raw, Rule, nearest_rule, rule};
use crate::model::allow::Allow;
use crate::model::catalog::Catalog;
use crate::model::document::printable;
use crate::model::id::MigrationId;
use crate::model::migration::{Content, Migration, SqlFile};
use crate::model::sql::AllowComment;

/// What an acceptance covers.
#[derive(Debug)]
enum Covers {
    /// Every finding on a migration.
    Migration,
    /// Every finding on a file.
    File,
    /// The findings on one statement of a file, from 0.
    Statement(usize),
}

/// One acceptance, read and found good.
#[derive(Debug)]
struct Acceptance {
    rule: &'static Rule,
    covers: Covers,
    id: MigrationId,
    file: String,
    line: usize,
    used: bool,
}

/// Where an acceptance is written.
struct Place<'a> {
    id: &'a MigrationId,
    file: &'a str,
    line: usize,
}

impl Place<'_> {
    fn finding(&self, rule: &'static Rule, message: String, advice: &str) -> Raw {
        Raw {
            rule,
            id: Some(self.id.clone()),
            file: self.file.to_owned(),
            line: Some(self.line),
            statement: None,
            message,
            advice: Some(advice.to_owned()),
        }
    }
}

/// Leaves out what is accepted; adds a finding for each acceptance that is malformed or accepts nothing.
pub(super) fn accept(catalog: &Catalog, config: &LintConfig, found: Vec<Raw>) -> Vec<Raw> {
    let mut reader = Reader::default();
    for migration in catalog.iter() {
        reader.migration(migration);
    }
    for (id, allows) in &config.allow {
        for allow in allows {
            reader.allow(id, &config.file, allow, Covers::Migration);
        }
    }
    let Reader { mut good, mut bad } = reader;
    let mut left: Vec<Raw> = found
        .into_iter()
        .filter(|raw| {
            let mut accepted = false;
            for acceptance in good.iter_mut().filter(|a| a.takes(raw)) {
                acceptance.used = true;
                accepted = true;
            }
            !accepted
        })
        .collect();
    left.append(&mut bad);
    left.extend(good.iter().filter(|a| !a.used).map(Acceptance::unused));
    left
}

impl Acceptance {
    fn takes(&self, raw: &Raw) -> bool {
        let here = match self.covers {
            Covers::Migration => true,
            Covers::File => raw.file == self.file,
            Covers::Statement(index) => raw.file == self.file && raw.statement == Some(index),
        };
        here && self.rule == raw.rule && raw.id.as_ref() == Some(&self.id)
    }

    fn unused(&self) -> Raw {
        let place = Place {
            id: &self.id,
            file: &self.file,
            line: self.line,
        };
        let message = format!("this accepts {}, which finds nothing here", self.rule.name);
        place.finding(&UNUSED_ALLOW, message, "remove it")
    }
}

#[derive(Default)]
struct Reader {
    good: Vec<Acceptance>,
    bad: Vec<Raw>,
}

impl Reader {
    fn migration(&mut self, migration: &Migration) {
        match &migration.content {
            Content::Sql(files) => {
                let others = [&files.down, &files.verify, &files.cleanup];
                for file in std::iter::once(&files.up).chain(others.into_iter().flatten()) {
                    self.sql(&migration.id, file);
                }
            }
            Content::Redis(redis) => {
                for allow in &redis.declaration.allow {
                    self.allow(&migration.id, &redis.path, allow, Covers::File);
                }
            }
        }
    }

    fn sql(&mut self, id: &MigrationId, file: &SqlFile) {
        for allow in &file.script.directives.allow {
            self.allow(id, &file.path, allow, Covers::File);
        }
        for comment in &file.script.allows {
            self.comment(id, &file.path, comment);
        }
    }

    /// `: rule: reason`, before or in a statement.
    fn comment(&mut self, id: &MigrationId, file: &str, comment: &AllowComment) {
        let line = comment.line;
        let place = Place { id, file, line };
        let parts = comment
            .text
            .trim_start()
            .strip_prefix(':')
            .and_then(|text| text.split_once(':'));
        let Some((rule, reason)) = parts else {
            let message = "this accepts nothing: it names no rule and reason".to_owned();
            let advice = "write `-- outpost-allow: rule: reason`";
            self.bad.push(place.finding(&BAD_ALLOW, message, advice));
            return;
        };
        let Some(statement) = comment.statement else {
            let message = "no statement is accepted by this: it stands behind one".to_owned();
            let advice = "write it on a line of its own, before the statement";
            self.bad.push(place.finding(&BAD_ALLOW, message, advice));
            return;
        };
        let allow = Allow {
            rule: rule.trim().to_owned(),
            reason: reason.to_owned(),
            line,
        };
        self.allow(id, file, &allow, Covers::Statement(statement));
    }

    fn allow(&mut self, id: &MigrationId, file: &str, allow: &Allow, covers: Covers) {
        let line = allow.line;
        let place = Place { id, file, line };
        let Some(rule) = rule(&allow.rule) else {
            let message = format!("there is no rule `{}`", printable(&allow.rule));
            let advice = match nearest_rule(&allow.rule) {
                Some(name) => format!("did you mean `{name}`?"),
                None => "docs/lint.md lists the rules".to_owned(),
            };
            self.bad.push(place.finding(&BAD_ALLOW, message, &advice));
            return;
        };
        if !rule.inline && !matches!(covers, Covers::Migration) {
            let message = format!("a file cannot accept {} for itself", rule.name);
            let advice = "accept it under [lint.allow] in outpost.toml";
            self.bad.push(place.finding(&BAD_ALLOW, message, advice));
            return;
        }
        if allow.reason.trim().is_empty() {
            let message = format!("{} is accepted without a reason", rule.name);
            let advice = "say why, for the next one who reads it";
            self.bad.push(place.finding(&BAD_ALLOW, message, advice));
            return;
        }
        self.good.push(Acceptance {
            rule,
            covers,
            id: id.clone(),
            file: file.to_owned(),
            line,
            used: false,
        });
    }
}
