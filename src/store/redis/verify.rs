//! Whether a migration is in place: every key, by the same decision as apply, with reading commands alone.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use futures_util::future::{BoxFuture, try_join};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::RedisStore;
use super::compare::Compared;
use super::link::Session;
use super::pace::{READ_AT_ONCE, UNDER_WAY};
use super::survey::Survey;
use crate::model::event::{Event, Events};
use crate::model::id::MigrationId;
use crate::model::redis::declaration::Declaration;
use crate::model::redis::op::{Decision, Item, KeyView, Op, Problem, Work};
use crate::model::redis::printable::printable;
use crate::model::verification::{Check, CheckOutcome, SAMPLES, Verification};
use crate::store::StoreError;

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
        later: &[Declaration],
        events: &dyn Events,
    ) -> Result<Verification, StoreError> {
        let session = self.link.session_of(events, id);
        let mut checks = Checks::new(id, declaration);
        let mut survey = Survey::default();
        if !declaration.scope.is_empty() {
            let declared = (declaration, later);
            self.check_keys(session, id, declared, events, &mut survey, &mut checks)
                .await?;
        }
        for step in &declaration.steps {
            if let (Op::Command(command), Some(check)) =
                (&step.op, checks.steps.get_mut(&step.number))
            {
                check.examined = 1;
                check.unit = "check";
                if !self.checked(session, command).await? {
                    check.fail("missing: its check fails");
                }
            }
        }
        let exceptions = self.exceptions(session, id).await?;
        Ok(checks.finish(id, declaration, &survey, exceptions))
    }

    /// Some keys of one step with all that is known of them.
    async fn look_at<'i, 'd>(
        &self,
        session: Session<'_>,
        id: &MigrationId,
        buckets: Option<u64>,
        items: &'i [Item<'d>],
        later: &[Declaration],
    ) -> Result<(&'i [Item<'d>], Vec<KeyView>, Vec<Compared>), StoreError> {
        let (views, sizes) = try_join(
            self.views(session, id, buckets, items),
            self.sizes(session, items),
        )
        .await?;
        let compared = self.compare(session, items, (&views, sizes), later).await?;
        Ok((items, views, compared))
    }

    async fn check_keys(
        &self,
        session: Session<'_>,
        id: &MigrationId,
        (declaration, later): (&Declaration, &[Declaration]),
        events: &dyn Events,
        survey: &mut Survey,
        checks: &mut Checks,
    ) -> Result<(), StoreError> {
        let buckets = self.bucket_count(session, id).await?;
        let total = self.key_count(session).await?;
        let state = Mutex::new((survey, checks, 0_u64, 0_u64));
        let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
        let work = |keys: Vec<Vec<u8>>| -> BoxFuture<'_, Result<(), StoreError>> {
            let sorted = self.sort(session, declaration, &keys, lock().0);
            Box::pin(async move {
                let sorted = sorted?;
                let parts = sorted.values().flat_map(|items| items.chunks(READ_AT_ONCE));
                let parts: Vec<_> = parts
                    .map(|items| self.look_at(session, id, buckets, items, later))
                    .collect();
                // One is judged while the next is read.
                let mut read = stream::iter(parts).buffered(UNDER_WAY);
                while let Some((items, views, compared)) = read.try_next().await? {
                    let checks = &mut lock().1;
                    for (item, view) in items.iter().zip(&views) {
                        checks.judge(item, view);
                    }
                    checks.compared(items, &views, compared);
                }
                let mut state = lock();
                state.2 += u64::try_from(keys.len()).unwrap_or_default();
                if state.2 - state.3 >= PROGRESS_EVERY {
                    state.3 = state.2;
                    events.emit(Event::Progress {
                        id: id.clone(),
                        done: state.2,
                        total: total.max(state.2),
                        changed: 0,
                        pass: 1,
                    });
                }
                Ok(())
            })
        };
        let reset = || {
            let mut state = lock();
            *state.0 = Survey::default();
            *state.1 = Checks::new(id, declaration);
            (state.2, state.3) = (0, 0);
        };
        self.go_undisturbed(session, declaration.scan_glob(), &work, &reset)
            .await
    }

    /// The values that apply left as they are, by key and field.
    async fn exceptions(
        &self,
        session: Session<'_>,
        id: &MigrationId,
    ) -> Result<Check, StoreError> {
        let mut check = Check::new(Some(id.clone()), "values left as they are", "value");
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
                Check::new(Some(id.clone()), step.op.to_string(), "key"),
            );
            if matches!(step.op, Op::Copy(_)) {
                let name = format!("targets equal sources: {}", step.op);
                checks
                    .copies
                    .insert(step.number, Check::new(Some(id.clone()), name, "copy"));
            }
        }
        checks
    }

    /// Enters what comparing copies came to. A difference is no failure: once the application writes the new
    /// form, targets are newer. It is counted and said, since nothing here can tell newer from damaged.
    fn compared(&mut self, items: &[Item<'_>], views: &[KeyView], compared: Vec<Compared>) {
        for ((item, view), compared) in items.iter().zip(views).zip(compared) {
            let Some(check) = self.copies.get_mut(&item.step.number) else {
                continue;
            };
            let what = match compared {
                // One that was never made fails the check of its step.
                Compared::NoTarget if view.recorded.is_none() || view.kind.is_none() => continue,
                Compared::NoTarget => Some("its target was deleted since"),
                Compared::Equal => None,
                Compared::Different => Some("its target differs, being newer or damaged"),
                Compared::TooLarge => Some("too large to compare"),
                Compared::Incomparable => Some("of a type that is not compared"),
            };
            check.examined += 1;
            if let Some(what) = what {
                note(check, &item.key, what);
            }
        }
    }

    fn judge(&mut self, item: &Item<'_>, view: &KeyView) {
        let Some(check) = self.steps.get_mut(&item.step.number) else {
            return;
        };
        check.examined += 1;
        // In words only where there is something to say.
        let key = || printable(&item.key);
        match item.decide(view) {
            Decision::Gone | Decision::Done | Decision::Excepted(_) => {}
            Decision::Refused(problem) => check.fail(match &problem {
                // A copy's target that is there is what a verification looks for.
                Problem::Conflict if matches!(item.step.op, Op::Copy(_)) => return,
                Problem::Guard { found: None, .. } => format!("missing: {}: {problem}", key()),
                Problem::WrongType { .. } | Problem::Unreadable { .. } => {
                    format!("unreadable: {}: {problem}", key())
                }
                Problem::Guard { .. }
                | Problem::Ambiguous { .. }
                | Problem::Conflict
                | Problem::OneWay { .. }
                | Problem::BothFields { .. } => format!("wrong: {}: {problem}", key()),
            }),
            Decision::Work(Work::Copy) if view.target => {}
            Decision::Work(Work::Copy) => {
                self.verification.sources_left += 1;
                let key = key();
                if self.verification.samples.len() < SAMPLES
                    && !self.verification.samples.contains(&key)
                {
                    self.verification.samples.push(key);
                }
            }
            Decision::Work(work) => check.fail(finding(item, view, &key(), &work)),
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
                "key",
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
