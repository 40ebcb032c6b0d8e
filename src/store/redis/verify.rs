//! Whether a migration is in place: every key, by the same decision as apply, with reading commands alone.

use std::collections::BTreeMap;

use redis::{Pipeline, Value};

use super::RedisStore;
use super::link::Session;
use super::read::parsed;
use super::survey::Survey;
use crate::model::event::{Event, Events};
use crate::model::id::MigrationId;
use crate::model::redis::declaration::Declaration;
use crate::model::redis::op::{Decision, Item, KeyType, KeyView, Op, Problem, Work};
use crate::model::redis::printable::printable;
use crate::model::verification::{Check, CheckOutcome, SAMPLES, Verification};
use crate::store::StoreError;

const DOING: &str = "comparing copies";
/// Elements of a value that are compared in one go; larger values are told apart from equal ones.
const LARGEST: u64 = 10_000;
/// Keys between two reports of progress.
const PROGRESS_EVERY: u64 = 20_000;

/// The checks of one migration, by the number of their step.
struct Checks {
    steps: BTreeMap<usize, Check>,
    copies: BTreeMap<usize, Check>,
    verification: Verification,
}

impl RedisStore {
    pub(super) async fn verify_declaration(
        &self,
        id: &MigrationId,
        declaration: &Declaration,
        events: &dyn Events,
    ) -> Result<Verification, StoreError> {
        let session = self.link.session_of(events, id);
        let mut checks = Checks::new(id, declaration);
        let mut survey = Survey::default();
        if !declaration.scope.is_empty() {
            self.check_keys(session, id, declaration, events, &mut survey, &mut checks)
                .await?;
        }
        for step in &declaration.steps {
            if let (Op::Command(command), Some(check)) =
                (&step.op, checks.steps.get_mut(&step.number))
            {
                check.examined = 1;
                check.unit = "checks";
                if !self.checked(session, command).await? {
                    check.fail("missing: its check fails");
                }
            }
        }
        let exceptions = self.exceptions(session, id).await?;
        Ok(checks.finish(id, declaration, &survey, exceptions))
    }

    async fn check_keys(
        &self,
        session: Session<'_>,
        id: &MigrationId,
        declaration: &Declaration,
        events: &dyn Events,
        survey: &mut Survey,
        checks: &mut Checks,
    ) -> Result<(), StoreError> {
        let buckets = self.bucket_count(session, id).await?;
        let total: u64 = session
            .query("counting keys", &redis::cmd("DBSIZE"))
            .await?;
        let glob = declaration.scan_glob();
        let (mut examined, mut told) = (0, 0);
        let mut page = self.page(session, 0, &glob).await?;
        loop {
            let work = async {
                let sorted = self.sort(session, declaration, &page.keys, survey)?;
                for items in sorted.values() {
                    let views = self.views(session, id, buckets, items).await?;
                    for (item, view) in items.iter().zip(&views) {
                        checks.judge(item, view);
                    }
                    self.compare(session, items, &views, checks).await?;
                }
                Ok(())
            };
            let (next, ()) = self.page_after(session, page.cursor, &glob, work).await?;
            examined += u64::try_from(page.keys.len()).unwrap_or_default();
            if examined - told >= PROGRESS_EVERY {
                told = examined;
                events.emit(Event::Progress {
                    id: id.clone(),
                    done: examined,
                    total: total.max(examined),
                    changed: 0,
                    pass: 1,
                });
            }
            match next {
                Some(next) => page = next,
                None => return Ok(()),
            }
        }
    }

    /// Compares targets with their sources. A difference is no failure: once the application writes the
    /// new form, targets are newer. It is counted and said, since nothing here can tell newer from damaged.
    async fn compare(
        &self,
        session: Session<'_>,
        items: &[Item<'_>],
        views: &[KeyView],
        checks: &mut Checks,
    ) -> Result<(), StoreError> {
        let pairs: Vec<(&Item<'_>, &[u8], KeyType)> = items
            .iter()
            .zip(views)
            .filter(|(_, view)| view.target)
            .filter_map(|(item, view)| Some((item, item.target.as_deref()?, view.kind?)))
            .collect();
        let mut sizes = Pipeline::new();
        for (item, target, kind) in &pairs {
            let size = size_command(*kind);
            sizes.cmd(size).arg(&item.key).cmd(size).arg(*target);
        }
        let mut sizes = session.pipeline(DOING, &sizes).await?.into_iter();
        let mut contents = Pipeline::new();
        let mut compared = Vec::new();
        for (item, target, kind) in pairs {
            let Some(check) = checks.copies.get_mut(&item.step.number) else {
                continue;
            };
            check.examined += 1;
            let (Some(left), Some(right)) = (sizes.next(), sizes.next()) else {
                continue;
            };
            let left: u64 = parsed(session, left).unwrap_or_default();
            let right: Option<u64> = parsed(session, right).ok();
            if right != Some(left) {
                note(
                    check,
                    &item.key,
                    "its target differs, being newer or damaged",
                );
            } else if left > LARGEST && kind != KeyType::String {
                note(check, &item.key, "too large to compare");
            } else if !content_command(&mut contents, kind, &item.key, target) {
                note(check, &item.key, "of a type that is not compared");
            } else {
                compared.push((item, kind));
            }
        }
        let mut contents = session.pipeline(DOING, &contents).await?.into_iter();
        for (item, kind) in compared {
            let (Some(left), Some(right)) = (contents.next(), contents.next()) else {
                continue;
            };
            let Some(check) = checks.copies.get_mut(&item.step.number) else {
                continue;
            };
            let equal = match (left, right) {
                (Ok(left), Ok(right)) => canonical(kind, left) == canonical(kind, right),
                _ => false,
            };
            if !equal {
                note(
                    check,
                    &item.key,
                    "its target differs, being newer or damaged",
                );
            }
        }
        Ok(())
    }

    /// The values that apply left as they are, by key and field.
    async fn exceptions(
        &self,
        session: Session<'_>,
        id: &MigrationId,
    ) -> Result<Check, StoreError> {
        let mut check = Check::new(Some(id.clone()), "values left as they are", "values");
        let mut cursor = 0;
        loop {
            let mut command = redis::cmd("HSCAN");
            command
                .arg(self.keys.exceptions(id))
                .arg(cursor)
                .arg("COUNT")
                .arg(200);
            let (next, values): (u64, Vec<(Vec<u8>, String)>) =
                session.query("reading exceptions", &command).await?;
            for (name, reason) in values {
                check.examined += 1;
                let mut parts = name.rsplitn(2, |byte| *byte == 0);
                let field = parts.next().unwrap_or_default();
                let key = parts.next().unwrap_or_default();
                note(&mut check, key, &format!("{}: {reason}", printable(field)));
            }
            if next == 0 {
                return Ok(check);
            }
            cursor = next;
        }
    }
}

impl Checks {
    fn new(id: &MigrationId, declaration: &Declaration) -> Self {
        let mut checks = Self {
            steps: BTreeMap::new(),
            copies: BTreeMap::new(),
            verification: Verification::default(),
        };
        for step in &declaration.steps {
            checks.steps.insert(
                step.number,
                Check::new(Some(id.clone()), step.op.to_string(), "keys"),
            );
            if matches!(step.op, Op::Copy(_)) {
                let name = format!("targets equal sources: {}", step.op);
                checks
                    .copies
                    .insert(step.number, Check::new(Some(id.clone()), name, "copies"));
            }
        }
        checks
    }

    fn judge(&mut self, item: &Item<'_>, view: &KeyView) {
        let Some(check) = self.steps.get_mut(&item.step.number) else {
            return;
        };
        check.examined += 1;
        let key = printable(&item.key);
        match item.decide(view) {
            Decision::Gone | Decision::Done | Decision::Excepted(_) => {}
            Decision::Refused(problem) => check.fail(match &problem {
                // A copy's target that is there is what a verification looks for.
                Problem::Conflict if matches!(item.step.op, Op::Copy(_)) => return,
                Problem::Guard { found: None, .. } => format!("missing: {key}: {problem}"),
                Problem::WrongType { .. } | Problem::Unreadable { .. } => {
                    format!("unreadable: {key}: {problem}")
                }
                Problem::Guard { .. }
                | Problem::Ambiguous { .. }
                | Problem::Conflict
                | Problem::OneWay { .. }
                | Problem::BothFields { .. } => format!("wrong: {key}: {problem}"),
            }),
            Decision::Work(Work::Copy) if view.target => {}
            Decision::Work(Work::Copy) => {
                self.verification.sources_left += 1;
                if self.verification.samples.len() < SAMPLES
                    && !self.verification.samples.contains(&key)
                {
                    self.verification.samples.push(key);
                }
            }
            Decision::Work(work) => check.fail(finding(item, view, &key, &work)),
        }
    }

    fn finish(
        self,
        id: &MigrationId,
        declaration: &Declaration,
        survey: &Survey,
        exceptions: Check,
    ) -> Verification {
        let Self {
            mut steps,
            mut copies,
            mut verification,
        } = self;
        if !declaration.scope.is_empty() {
            let mut scope = Check::new(
                Some(id.clone()),
                "every key in scope is accounted for",
                "keys",
            );
            scope.examined = survey.in_scope;
            for sentence in survey.findings.sentences() {
                scope.fail(sentence);
            }
            verification.checks.push(scope);
        }
        for step in &declaration.steps {
            verification.checks.extend(steps.remove(&step.number));
            verification.checks.extend(copies.remove(&step.number));
        }
        if exceptions.examined > 0 {
            verification.checks.push(exceptions);
        }
        verification
    }
}

/// What is wrong with a key that still needs work: missing and wrong are two things.
fn finding(item: &Item<'_>, view: &KeyView, key: &str, work: &Work) -> String {
    let fields = item.step.op.fields();
    let named = |index: usize| printable(fields.get(index).copied().unwrap_or_default().as_bytes());
    match work {
        Work::Convert { changes, .. } => {
            let old: Vec<String> = changes
                .iter()
                .filter(|change| change.old.is_some() && change.old != change.new)
                .map(|change| named(change.field))
                .collect();
            format!("wrong: {key}: {} in the old form", old.join(", "))
        }
        Work::Set => {
            let absent: Vec<String> = view
                .fields
                .iter()
                .enumerate()
                .filter(|(_, value)| value.is_none())
                .map(|(index, _)| named(index))
                .collect();
            if absent.is_empty() {
                format!("wrong: {key}: another value than declared")
            } else {
                format!("missing: {key}: {}", absent.join(", "))
            }
        }
        Work::RenameField | Work::RemoveField => {
            format!("wrong: {key}: {} is still there", named(0))
        }
        Work::Expiry => format!("wrong: {key}: another time to live than declared"),
        Work::Rename => format!("wrong: {key}: it still has its old name"),
        Work::Delete => format!("wrong: {key}: it is still there"),
        Work::Script => format!("wrong: {key}: the step's check asks for work"),
        Work::Copy => format!("missing: {key}: its target"),
    }
}

/// Adds something that is worth saying and fails nothing.
fn note(check: &mut Check, key: &[u8], what: &str) {
    check.outcome = CheckOutcome::Unchecked;
    check.found += 1;
    if check.findings.len() < SAMPLES {
        check.findings.push(format!("{}: {what}", printable(key)));
    }
}

fn size_command(kind: KeyType) -> &'static str {
    match kind {
        KeyType::String => "STRLEN",
        KeyType::Hash => "HLEN",
        KeyType::List => "LLEN",
        KeyType::Set => "SCARD",
        KeyType::SortedSet => "ZCARD",
        KeyType::Stream => "XLEN",
        KeyType::Other => "EXISTS",
    }
}

/// Adds the commands that read both values; false for a type that is not compared.
fn content_command(pipeline: &mut Pipeline, kind: KeyType, source: &[u8], target: &[u8]) -> bool {
    for key in [source, target] {
        match kind {
            KeyType::String => pipeline.cmd("GET").arg(key),
            KeyType::Hash => pipeline.cmd("HGETALL").arg(key),
            KeyType::List => pipeline.cmd("LRANGE").arg(key).arg(0).arg(-1),
            KeyType::Set => pipeline.cmd("SMEMBERS").arg(key),
            KeyType::SortedSet => pipeline
                .cmd("ZRANGE")
                .arg(key)
                .arg(0)
                .arg(-1)
                .arg("WITHSCORES"),
            KeyType::Stream | KeyType::Other => return false,
        };
    }
    true
}

/// A value's elements in an order that does not depend on its encoding.
fn canonical(kind: KeyType, value: Value) -> Option<Vec<Vec<Vec<u8>>>> {
    let flat: Vec<Vec<u8>> = match value {
        Value::BulkString(bytes) => vec![bytes],
        value => redis::from_redis_value(value).ok()?,
    };
    let mut elements: Vec<Vec<Vec<u8>>> = match kind {
        KeyType::Hash => flat.chunks(2).map(<[Vec<u8>]>::to_vec).collect(),
        _ => flat.into_iter().map(|element| vec![element]).collect(),
    };
    if matches!(kind, KeyType::Hash | KeyType::Set) {
        elements.sort();
    }
    Some(elements)
}
