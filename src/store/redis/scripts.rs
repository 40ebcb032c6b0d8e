//! The scripts that write. Each checks the lease first, in the same atomic unit.

use std::sync::{Arc, LazyLock};

use redis::{Pipeline, RedisError, RedisResult, Value};

use super::errors::code;
use super::keys::Keys;
use super::link::Session;
use super::ours::Ours;
use crate::model::lease::Holder;
use crate::store::{Lease, StoreError, StoreErrorKind};

const FENCE: &str = include_str!("lua/fence.lua");
const COUNT_BEFORE: &str = include_str!("lua/count_before.lua");
const COUNT_AFTER: &str = include_str!("lua/count_after.lua");
const SLOT_FENCE: &str = include_str!("lua/slot_fence.lua");
const EQUAL: &str = include_str!("lua/equal.lua");
const SIZE: &str = include_str!("lua/size.lua");
const EXPIRES: &str = include_str!("lua/expires.lua");
const GROWN: &str = include_str!("lua/grown.lua");
const FLAT: &str = include_str!("lua/flat.lua");
const FIELD: &str = include_str!("lua/field.lua");
const AUTHOR: &str = include_str!("lua/author.lua");

/// A script, as it is and so that it says what it changed.
pub(super) struct Script {
    plain: Text,
    counted: Text,
}

/// A script's text, known to the server by its SHA-1.
struct Text {
    text: String,
    sha: String,
}

/// A script that writes the application's keys. On a cluster it works on the keys of one slot, and what
/// it checks first lies there too.
pub(super) struct KeyScript {
    server: LazyLock<Script>,
    slot: LazyLock<Script>,
}

macro_rules! scripts {
    ($($name:ident = [$($part:expr),+];)+) => {
        $(pub(super) static $name: LazyLock<Script> = LazyLock::new(|| Script::new(&[$($part),+]));)+
    };
}

macro_rules! key_scripts {
    ($($name:ident = [$($part:expr),+];)+) => {
        $(pub(super) static $name: KeyScript = KeyScript {
            server: LazyLock::new(|| Script::new(&[FENCE, $($part),+])),
            slot: LazyLock::new(|| Script::new(&[SLOT_FENCE, $($part),+])),
        };)+
    };
}

scripts! {
    ACQUIRE = [include_str!("lua/acquire.lua")];
    LOCK = [include_str!("lua/lock.lua")];
    EXTEND = [include_str!("lua/extend.lua")];
    RENEW = [FENCE, include_str!("lua/renew.lua")];
    RELEASE = [include_str!("lua/release.lua")];
    PEEK = [SIZE, EXPIRES, include_str!("lua/peek.lua")];
    CONTENTS = [SIZE, FLAT, include_str!("lua/contents.lua")];
    RAISE_FENCE = [include_str!("lua/raise_fence.lua")];
    LOWER_FENCE = [include_str!("lua/lower_fence.lua")];
    PUT = [FENCE, include_str!("lua/put.lua")];
    TAKE = [FENCE, include_str!("lua/take.lua")];
    CHECKPOINT = [FENCE, include_str!("lua/checkpoint.lua")];
    RECORD = [FENCE, include_str!("lua/record.lua")];
    BUCKETS = [FENCE, include_str!("lua/buckets.lua")];
    CHECK = [AUTHOR, include_str!("lua/check.lua")];
    COMPILE = [AUTHOR, include_str!("lua/compile.lua")];
}

key_scripts! {
    MARK = [include_str!("lua/mark.lua")];
    DROP = [include_str!("lua/drop.lua")];
    COPY = [SIZE, include_str!("lua/copy.lua")];
    RESTORE = [include_str!("lua/restore.lua")];
    DROP_COPY = [include_str!("lua/drop_copy.lua")];
    WITHDRAW = [include_str!("lua/withdraw.lua")];
    UNLINK_SAME = [include_str!("lua/unlink_same.lua")];
    GROW_PART = [include_str!("lua/grow_part.lua")];
    GROW_TIMES = [include_str!("lua/grow_times.lua")];
    PLACE_PART = [SIZE, GROWN, include_str!("lua/place_part.lua")];
    UNCOPY = [SIZE, FLAT, EQUAL, include_str!("lua/uncopy.lua")];
    CLEAN = [SIZE, FLAT, EQUAL, include_str!("lua/clean.lua")];
    RENAME = [include_str!("lua/rename.lua")];
    MOVE_IN = [EXPIRES, include_str!("lua/move_in.lua")];
    MOVE_PART = [SIZE, GROWN, include_str!("lua/move_part.lua")];
    MOVE_OUT = [EXPIRES, include_str!("lua/move_out.lua")];
    MOVE_BACK = [EXPIRES, include_str!("lua/move_back.lua")];
    CONVERT = [FIELD, include_str!("lua/convert.lua")];
    DIRECT = [FIELD, include_str!("lua/times.lua"), include_str!("lua/direct.lua")];
    SET = [FIELD, include_str!("lua/set.lua")];
    UNSET = [include_str!("lua/unset.lua")];
    FIELDS = [FIELD, include_str!("lua/fields.lua")];
    EXPIRY = [include_str!("lua/expiry.lua")];
    DELETE = [include_str!("lua/delete.lua")];
    COMMAND = [include_str!("lua/command.lua")];
    SCRIPT = [AUTHOR, include_str!("lua/script.lua")];
}

impl Script {
    /// Of texts of the program alone: no name and no value becomes part of what a server runs as Lua.
    fn new(parts: &[&'static str]) -> Self {
        let plain = parts.concat();
        Self {
            counted: Text::new([COUNT_BEFORE, &plain, COUNT_AFTER].concat()),
            plain: Text::new(plain),
        }
    }
}

impl Text {
    fn new(text: String) -> Self {
        let sha = sha1_smol::Sha1::from(&text).digest().to_string();
        Self { text, sha }
    }

    /// The command that the server refused: its error names only a line of the script.
    fn refused_command(&self, reason: &str) -> Option<String> {
        let (_, place) = reason.rsplit_once("user_script:")?;
        let number: usize = place
            .trim_start()
            .split(|c: char| !c.is_ascii_digit())
            .next()?
            .parse()
            .ok()?;
        let line = self.text.lines().nth(number.checked_sub(1)?)?;
        // Of two calls the later one writes; what only reads is granted to everybody who comes this far.
        let (_, call) = line.rsplit_once("call('")?;
        Some(call.split('\'').next()?.to_ascii_lowercase())
    }
}

/// A script with its keys and arguments.
pub(super) struct Call {
    script: &'static LazyLock<Script>,
    /// Where it says what it changed.
    ours: Option<Arc<Ours>>,
    /// The slot whose fence it checks, on a cluster.
    slot: Option<u16>,
    keys: Vec<Vec<u8>>,
    args: Vec<Vec<u8>>,
}

impl Call {
    pub(super) fn new(script: &'static LazyLock<Script>) -> Self {
        Self {
            script,
            ours: None,
            slot: None,
            keys: Vec::new(),
            args: Vec::new(),
        }
    }

    /// A call beside the ledger that writes nothing unless the lease is held: the fence and the locks come
    /// first.
    pub(super) fn fenced(script: &'static LazyLock<Script>, keys: &Keys, lease: &Lease) -> Self {
        let [lock, old_lock] = keys.guards();
        Self::new(script)
            .key(keys.fence())
            .key(lock)
            .key(old_lock)
            .arg(lease.token().to_string())
            .arg(lock_beginning(&lease.id))
    }

    /// A call that writes the application's keys, all of them in this slot on a cluster, unless the lease
    /// is not held. Its own keys follow those of the fence; its own arguments begin at the third.
    pub(super) fn on_keys(
        script: &'static KeyScript,
        keys: &Keys,
        lease: &Lease,
        slot: Option<u16>,
    ) -> Self {
        match slot {
            None => Self::fenced(&script.server, keys, lease),
            Some(number) => Self {
                slot,
                ..Self::new(&script.slot)
            }
            .key(keys.slot_fence(number))
            .arg(lease.token().to_string())
            .arg(""),
        }
    }

    pub(super) fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.keys.push(key.into());
        self
    }

    pub(super) fn arg(mut self, arg: impl Into<Vec<u8>>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Makes it say what it changes, where that is of use.
    pub(super) fn counted(mut self, ours: &Arc<Ours>) -> Self {
        self.ours = ours.counts().then(|| Arc::clone(ours));
        self
    }

    /// The text that is run.
    fn text(&self) -> &Text {
        match self.ours {
            Some(_) => &self.script.counted,
            None => &self.script.plain,
        }
    }

    /// The script's own answer. What it says of its changes is taken in.
    fn answer(&self, answer: Value) -> Value {
        match (&self.ours, answer) {
            (Some(ours), Value::Array(parts)) => {
                let mut parts = parts.into_iter();
                let count = |part| match part {
                    Some(Value::Int(count)) => u64::try_from(count).ok(),
                    _ => None,
                };
                let (before, after) = (count(parts.next()), count(parts.next()));
                if let (Some(before), Some(after)) = (before, after) {
                    ours.add(before..after);
                }
                parts.next().unwrap_or(Value::Nil)
            }
            (_, answer) => answer,
        }
    }

    /// The slot whose fence it checks.
    pub(super) fn slot(&self) -> Option<u16> {
        self.slot
    }

    /// Runs it; a server that does not know the script is sent its text.
    pub(super) async fn run(&self, session: Session<'_>, doing: &str) -> Result<Value, StoreError> {
        let answers = Self::run_all(std::slice::from_ref(self), session, doing).await?;
        match answers.into_iter().next() {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => Err(self.refused(session, doing, &error)),
            None => Err(session.unexpected(doing, &"no answer")),
        }
    }

    /// Runs it, and takes only the number for an answer with which such a script says that it came to its end: what is
    /// not confirmed is not done.
    pub(super) async fn confirmed(
        &self,
        session: Session<'_>,
        doing: &str,
    ) -> Result<(), StoreError> {
        let answer = self.run(session, doing).await?;
        confirm(session, doing, &answer)
    }

    /// An error of the server in words. For a command that the user may not run, the server says only on
    /// which line of the script it stands.
    pub(super) fn refused(
        &self,
        session: Session<'_>,
        doing: &str,
        error: &RedisError,
    ) -> StoreError {
        let mut error = session.refused(doing, error);
        if let StoreErrorKind::Permission { reason, .. } = &mut error.kind
            && let Some(command) = self.text().refused_command(reason)
        {
            *reason = format!(
                "NOPERM this user has no permissions to run the '{command}' command in a script"
            );
        }
        error
    }

    /// Runs several, sent together; each has its own answer or error.
    pub(super) async fn run_all(
        calls: &[Self],
        session: Session<'_>,
        doing: &str,
    ) -> Result<Vec<RedisResult<Value>>, StoreError> {
        let mut pipeline = Pipeline::with_capacity(calls.len());
        for call in calls {
            pipeline.add_command(call.command("EVALSHA", &call.text().sha));
        }
        let mut answers = session.pipeline(doing, &pipeline).await?;
        let unknown: Vec<usize> = answers
            .iter()
            .enumerate()
            .filter(|(_, answer)| {
                matches!(answer, Err(error) if code(error).as_deref() == Some("NOSCRIPT"))
            })
            .map(|(index, _)| index)
            .collect();
        let mut pipeline = Pipeline::with_capacity(unknown.len());
        for call in unknown.iter().filter_map(|index| calls.get(*index)) {
            pipeline.add_command(call.command("EVAL", &call.text().text));
        }
        let again = session.pipeline(doing, &pipeline).await?;
        for (index, answer) in unknown.into_iter().zip(again) {
            if let Some(place) = answers.get_mut(index) {
                *place = answer;
            }
        }
        let own = calls.iter().zip(answers);
        Ok(own
            .map(|(call, answer)| answer.map(|answer| call.answer(answer)))
            .collect())
    }

    /// Runs it without the right to write, where the server can keep to that (Redis 7). The text goes with
    /// every call, so that one right is enough.
    pub(super) async fn run_reading(
        &self,
        session: Session<'_>,
        doing: &str,
    ) -> Result<Value, StoreError> {
        let mut answer = session
            .ask(doing, &self.command("EVAL_RO", &self.script.plain.text))
            .await?;
        if matches!(&answer, Err(error) if error.to_string().contains("unknown command")) {
            answer = session.ask(doing, &self.in_full()).await?;
        }
        answer.map_err(|e| self.refused(session, doing, &e))
    }

    /// One of the keys that it is about: all lie on one node.
    pub(super) fn any_key(&self) -> &[u8] {
        self.keys.last().map_or(b"", Vec::as_slice)
    }

    /// The call with the script's whole text, for where it cannot be asked for twice.
    pub(super) fn in_full(&self) -> redis::Cmd {
        self.command("EVAL", &self.script.plain.text)
    }

    fn command(&self, name: &str, script: &str) -> redis::Cmd {
        let bytes: usize = self.keys.iter().chain(&self.args).map(Vec::len).sum();
        let words = self.keys.len() + self.args.len() + 3;
        let mut command = redis::Cmd::with_capacity(words, bytes + script.len() + 16);
        command.arg(name).arg(script).arg(self.keys.len());
        for part in self.keys.iter().chain(&self.args) {
            command.arg(part.as_slice());
        }
        command
    }
}

/// Whether an answer is that of a script which writes and came to its end: 1, or 0 where it found its work done.
pub(super) fn confirm(session: Session<'_>, doing: &str, answer: &Value) -> Result<(), StoreError> {
    match answer {
        Value::Int(0 | 1) => Ok(()),
        _ => Err(session.unexpected(doing, &"neither 1 nor 0")),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_refused_command_is_found_by_its_line() {
        let text = "local a = 1\nlocal b = redis.call('GET', 'k')\n\
            f(redis.call('GET', 'k') or redis.call('INCR', 'k'))\nredis.pcall(unpack(ARGV))";
        let script = Text::new(text.to_owned());
        for (line, command) in [
            (1, None),
            (2, Some("get")),
            (3, Some("incr")),
            (4, None),
            (9, None),
        ] {
            let reason = format!(
                "ERR The user executing the script can't run this command script: {}, on @user_script:{line}.",
                script.sha
            );
            assert_eq!(
                script.refused_command(&reason).as_deref(),
                command,
                "{line}"
            );
        }
        assert_eq!(script.refused_command("ERR something else"), None);
        assert_eq!(
            script
                .refused_command("on @user_script: 2: -NOPERM")
                .as_deref(),
            Some("get")
        );
    }
}
