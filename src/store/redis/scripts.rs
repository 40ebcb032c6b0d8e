//! The scripts that write. Each checks the lease first, in the same atomic unit.

use std::sync::LazyLock;

use redis::Value;

use super::errors::code;
use super::keys::Keys;
use super::link::Session;
use crate::model::lease::Holder;
use crate::store::{Lease, StoreError};

const FENCE: &str = include_str!("lua/fence.lua");
const EQUAL: &str = include_str!("lua/equal.lua");
const FIELD: &str = include_str!("lua/field.lua");

/// A script, known to the server by the SHA-1 of its text.
pub(super) struct Script {
    text: String,
    sha: String,
}

macro_rules! scripts {
    ($($name:ident = [$($part:expr),+];)+) => {
        $(pub(super) static $name: LazyLock<Script> = LazyLock::new(|| Script::new(&[$($part),+]));)+
    };
}

scripts! {
    ACQUIRE = [include_str!("lua/acquire.lua")];
    RENEW = [FENCE, include_str!("lua/renew.lua")];
    RELEASE = [include_str!("lua/release.lua")];
    PUT = [FENCE, include_str!("lua/put.lua")];
    CHECKPOINT = [FENCE, include_str!("lua/checkpoint.lua")];
    RECORD = [FENCE, include_str!("lua/record.lua")];
    BUCKETS = [FENCE, include_str!("lua/buckets.lua")];
    DROP = [FENCE, include_str!("lua/drop.lua")];
    COPY = [FENCE, include_str!("lua/copy.lua")];
    UNCOPY = [FENCE, EQUAL, include_str!("lua/uncopy.lua")];
    CLEAN = [FENCE, EQUAL, include_str!("lua/clean.lua")];
    CONVERT = [FENCE, FIELD, include_str!("lua/convert.lua")];
    SET = [FENCE, FIELD, include_str!("lua/set.lua")];
    UNSET = [FENCE, include_str!("lua/unset.lua")];
    FIELDS = [FENCE, FIELD, include_str!("lua/fields.lua")];
    EXPIRY = [FENCE, include_str!("lua/expiry.lua")];
    DELETE = [FENCE, include_str!("lua/delete.lua")];
    COMMAND = [FENCE, include_str!("lua/command.lua")];
}

impl Script {
    fn new(parts: &[&str]) -> Self {
        let text = parts.concat();
        let sha = sha1_smol::Sha1::from(&text).digest().to_string();
        Self { text, sha }
    }
}

/// A script with its keys and arguments.
pub(super) struct Call {
    script: &'static LazyLock<Script>,
    keys: Vec<Vec<u8>>,
    args: Vec<Vec<u8>>,
}

impl Call {
    pub(super) fn new(script: &'static LazyLock<Script>) -> Self {
        Self {
            script,
            keys: Vec::new(),
            args: Vec::new(),
        }
    }

    /// A call that writes nothing unless the lease is held: the fence and the locks come first.
    pub(super) fn fenced(script: &'static LazyLock<Script>, keys: &Keys, lease: &Lease) -> Self {
        let [lock, old_lock] = keys.locks();
        Self::new(script)
            .key(keys.fence())
            .key(lock)
            .key(old_lock)
            .arg(lease.token().to_string())
            .arg(lock_beginning(&lease.id))
    }

    pub(super) fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.keys.push(key.into());
        self
    }

    pub(super) fn arg(mut self, arg: impl Into<Vec<u8>>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Runs it; a server that does not know the script is sent its text.
    pub(super) async fn run(&self, session: Session<'_>, doing: &str) -> Result<Value, StoreError> {
        match session
            .ask(doing, &self.command("EVALSHA", &self.script.sha))
            .await?
        {
            Ok(value) => Ok(value),
            Err(error) if code(&error).as_deref() == Some("NOSCRIPT") => {
                session
                    .query(doing, &self.command("EVAL", &self.script.text))
                    .await
            }
            Err(error) => Err(session.refused(doing, &error)),
        }
    }

    fn command(&self, name: &str, script: &str) -> redis::Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len());
        for part in self.keys.iter().chain(&self.args) {
            command.arg(part.as_slice());
        }
        command
    }
}

/// How the value of our lock keys begins: nobody else's does, since the id is new for every run.
pub(super) fn lock_beginning(lease_id: &str) -> String {
    format!("{{\"id\":{},", serde_json::Value::from(lease_id))
}

/// The value of our lock keys. Earlier tools look only at whether there is one.
pub(super) fn lock_value(lease_id: &str, holder: &Holder, since: &str) -> String {
    let holder = serde_json::json!({
        "user": holder.user, "host": holder.host, "pid": holder.pid, "plan": holder.plan,
    });
    format!(
        "{}\"holder\":{holder},\"since\":{}}}",
        lock_beginning(lease_id),
        serde_json::Value::from(since)
    )
}
