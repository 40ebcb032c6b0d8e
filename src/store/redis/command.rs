//! Raw commands: run once, where their check fails.

use std::time::Duration;

use redis::Value;

use super::RedisStore;
use super::link::{Session, slot};
use super::scripts::{self, Call};
use super::survey::keys_error;
use crate::model::id::MigrationId;
use crate::model::redis::declaration::{Declaration, Step};
use crate::model::redis::op::{Command, Op};
use crate::model::redis::printable::printable;
use crate::store::{Run, StoreError, StoreErrorKind};

/// How long it is remembered that a command ran: longer than a request is repeated whose answer was lost.
const REMEMBERED: Duration = Duration::from_secs(300);

impl RedisStore {
    /// Whether a command's check passes. An answer that only says "no" is a no; an error that says that we
    /// may not or cannot ask is an error.
    pub(super) async fn checked(
        &self,
        session: Session<'_>,
        command: &Command,
    ) -> Result<bool, StoreError> {
        let doing = "checking a command";
        match session.ask(doing, &assembled(&command.check)).await? {
            Ok(value) => Ok(
                !matches!(&value, Value::Nil | Value::Int(0) | Value::Boolean(false))
                    && !is_empty(&value),
            ),
            Err(error) => {
                let error = session.refused(doing, &error);
                match error.kind {
                    StoreErrorKind::Server { .. } => Ok(false),
                    _ => Err(error),
                }
            }
        }
    }

    /// Runs those commands of a migration that come before (or after) its first step over keys. Answers how
    /// many ran.
    pub(super) async fn commands(
        &self,
        session: Session<'_>,
        id: &MigrationId,
        declaration: &Declaration,
        run: &Run<'_>,
        first: bool,
    ) -> Result<u64, StoreError> {
        if first {
            self.refuse_split(session, id, declaration).await?;
        }
        let mut ran = 0;
        for (step, command) in commands(declaration, first) {
            if self.checked(session, command).await? {
                continue;
            }
            self.raw(session, run, &command.run).await?;
            ran += 1;
            if !self.checked(session, command).await? {
                let finding = format!(
                    "step {} ({}): it ran, and its check still fails",
                    step.number, step.op
                );
                return Err(keys_error(session, id, vec![finding]));
            }
        }
        Ok(ran)
    }

    /// Refuses commands whose keys lie in different slots of a cluster: no server carries those out.
    pub(super) async fn refuse_split(
        &self,
        session: Session<'_>,
        id: &MigrationId,
        declaration: &Declaration,
    ) -> Result<(), StoreError> {
        let mut findings = Vec::new();
        for step in &declaration.steps {
            let Op::Command(command) = &step.op else {
                continue;
            };
            let undo = command.undo.iter();
            for words in [&command.run, &command.check].into_iter().chain(undo) {
                let keys = self.keys_of(session, words).await?;
                let Some(first) = keys.first() else { continue };
                if let Some(other) = keys.iter().find(|key| slot(key) != slot(first)) {
                    findings.push(format!(
                        "step {} ({}): {} and {} lie in different slots of the cluster (CROSSSLOT); give each a \
                         command of its own, or names with one hash tag",
                        step.number,
                        step.op,
                        printable(first),
                        printable(other)
                    ));
                    break;
                }
            }
        }
        match findings.is_empty() {
            true => Ok(()),
            false => Err(keys_error(session, id, findings)),
        }
    }

    /// Undoes the same commands, the last one first.
    pub(super) async fn undo_commands(
        &self,
        session: Session<'_>,
        declaration: &Declaration,
        run: &Run<'_>,
        first: bool,
    ) -> Result<u64, StoreError> {
        let mut ran = 0;
        for (_, command) in commands(declaration, first).into_iter().rev() {
            if let Some(undo) = &command.undo
                && self.checked(session, command).await?
            {
                self.raw(session, run, undo).await?;
                ran += 1;
            }
        }
        Ok(ran)
    }

    async fn raw(
        &self,
        session: Session<'_>,
        run: &Run<'_>,
        words: &[Vec<u8>],
    ) -> Result<(), StoreError> {
        let request = uuid::Uuid::new_v4().to_string();
        let keys = self.keys_of(session, words).await?;
        let slot = self.link.is_cluster().then(|| {
            let beside = self.keys.ledger().into_bytes();
            slot(keys.first().unwrap_or(&beside))
        });
        let call = Call::on_keys(&scripts::COMMAND, &self.keys, run.lease, slot)
            .key(self.keys.ran(&request, slot))
            .arg(REMEMBERED.as_millis().to_string());
        let call = keys.into_iter().fold(call, Call::key);
        let call = words
            .iter()
            .fold(call, |call, word| call.arg(word.as_slice()));
        self.run_calls(session, run.lease, &[call], "running a command")
            .await
            .map(drop)
    }

    /// The keys of a raw command, on a cluster: the server knows best where they stand in it.
    async fn keys_of(
        &self,
        session: Session<'_>,
        words: &[Vec<u8>],
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        if !self.link.is_cluster() {
            return Ok(Vec::new());
        }
        let doing = "asking for the keys of a command";
        let mut command = redis::cmd("COMMAND");
        command.arg("GETKEYS").arg(words);
        match session.ask(doing, &command).await? {
            Ok(value) => redis::from_redis_value(value).map_err(|e| session.unexpected(doing, &e)),
            // One without keys, or of a module that does not say.
            Err(_) => Ok(Vec::new()),
        }
    }
}

fn commands(declaration: &Declaration, first: bool) -> Vec<(&Step, &Command)> {
    let boundary = declaration
        .steps
        .iter()
        .position(|step| step.op.pattern().is_some())
        .unwrap_or(0);
    let of = |(index, step): (usize, &'_ Step)| {
        (index < boundary) == first && matches!(step.op, Op::Command(_))
    };
    declaration
        .steps
        .iter()
        .enumerate()
        .filter(|(index, step)| of((*index, step)))
        .filter_map(|(_, step)| match &step.op {
            Op::Command(command) => Some((step, command)),
            _ => None,
        })
        .collect()
}

fn assembled(words: &[Vec<u8>]) -> redis::Cmd {
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(word.as_slice());
    }
    command
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(values) | Value::Set(values) => values.is_empty(),
        Value::BulkString(bytes) => bytes.is_empty() || bytes == b"0",
        Value::Map(pairs) => pairs.is_empty(),
        _ => false,
    }
}
