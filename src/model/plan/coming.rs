//! Keys that earlier steps of a plan put into the scope of later ones: they are not there to be counted yet.

use std::collections::BTreeMap;

use super::{Action, ComingKeys, KeyTime, Step, StepContent, StepEvidence};
use crate::model::config::PlanConfig;
use crate::model::id::MigrationId;
use crate::model::redis::declaration::Declaration;
use crate::model::redis::op::Op;
use crate::model::redis::pattern::{Pattern, overlaps};

/// Adds to the counts of each Redis step what the steps before it will bring: of every key that these have to
/// work on, one at most. What a script or a command makes is not declared, and not foreseen.
pub fn foresee(
    steps: &[Step],
    config: &PlanConfig,
    evidence: &mut BTreeMap<MigrationId, StepEvidence>,
) {
    let mut made: Vec<Made> = Vec::new();
    for step in steps {
        let Some(declaration) = declared(step, config) else {
            continue;
        };
        let Some(keys) = evidence.get_mut(&step.id).and_then(|e| e.keys.as_mut()) else {
            continue;
        };
        let bring: Vec<&Made> = made
            .iter()
            .filter(|made| made.meets(&declaration))
            .collect();
        let at_most = bring
            .iter()
            .fold(0u64, |sum, made| sum.saturating_add(made.keys));
        if at_most > 0 {
            keys.coming = Some(ComingKeys {
                at_most,
                by: bring.iter().map(|made| made.by.clone()).collect(),
            });
            // What was measured are the keys that are there.
            if declaration.has_cleanup() {
                keys.extra_bytes = None;
            }
            let speed = keys
                .time
                .or_else(|| bring.iter().find_map(|made| made.time));
            keys.time = speed.map(|time| {
                let all = keys.in_scope.saturating_add(at_most);
                KeyTime::from_speed(
                    time.read_per_second,
                    all,
                    keys.to_do.saturating_add(at_most),
                )
            });
        }
        let targets = targets(step, &declaration);
        if !targets.is_empty() {
            made.push(Made {
                by: step.id.clone(),
                targets,
                keys: keys.to_do.saturating_add(at_most),
                time: keys.time,
            });
        }
    }
}

/// What a step makes.
struct Made {
    by: MigrationId,
    targets: Vec<Pattern>,
    keys: u64,
    time: Option<KeyTime>,
}

impl Made {
    /// Whether a migration works on what is made here. A key that it ignores it does not.
    fn meets(&self, declaration: &Declaration) -> bool {
        let worked_on = declaration
            .steps
            .iter()
            .filter_map(|step| step.op.pattern());
        let mut pairs = worked_on.flat_map(|p| self.targets.iter().map(move |target| (p, target)));
        self.keys > 0 && pairs.any(|(pattern, target)| overlaps(pattern, target).is_some())
    }
}

/// What a step carries out over keys; `None` for SQL, for a step that only records and for a cleanup, which
/// works on keys that are there already.
fn declared(step: &Step, config: &PlanConfig) -> Option<Declaration> {
    let StepContent::Redis(content) = &step.content else {
        return None;
    };
    // A declaration that cannot be read was an error when its keys were counted.
    let declaration = Declaration::parse(&content.path, &content.text, config).ok()?;
    match step.action {
        Action::Apply => Some(declaration),
        Action::Revert { .. } => Some(declaration.reversed()),
        _ => None,
    }
}

/// The keys that a step writes under another name. The revert of a copy makes none: it takes the copies away.
fn targets(step: &Step, declaration: &Declaration) -> Vec<Pattern> {
    let makes = |op: &Op| match op {
        Op::Copy(_) => step.action == Action::Apply,
        op => op.target().is_some(),
    };
    let making = declaration.steps.iter().filter(|step| makes(&step.op));
    making.filter_map(|step| step.op.targets()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::checksum::Checksum;
    use crate::model::plan::{KeyCounts, RedisContent};

    const COPY: &str = "scope = \"cart:<rest..>\"\nignore = \"cart:{<id>}:<rest..>\"\n\
        [[step]]\ncopy = \"cart:<id>\"\nto = \"cart:{<id>}:head\"\n";
    const RENAME: &str =
        "scope = \"old:<id>\"\n[[step]]\nrename = \"old:<id>\"\nto = \"new:<id>\"\n";
    const SET_HEAD: &str = "scope = \"cart:{<id>}:<rest..>\"\n[[step]]\nset = { a = \"1\" }\nin = \"cart:{<id>}:<rest..>\"\n";
    const SET_ITEMS: &str = "scope = \"cart:{<id>}:<rest..>\"\nignore = \"cart:{<id>}:head\"\n[[step]]\nset = { a = \"1\" }\nin = \"cart:{<id>}:items\"\n";
    const RENAME_AGAIN: &str =
        "scope = \"new:<id>\"\n[[step]]\nrename = \"new:<id>\"\nto = \"newer:<id>\"\n";
    const SET_NEWER: &str =
        "scope = \"newer:<id>\"\n[[step]]\nset = { a = \"1\" }\nin = \"newer:<id>\"\n";
    const SET_NEW: &str =
        "scope = \"new:<id>\"\n[[step]]\nset = { a = \"1\" }\nin = \"new:<id>\"\n";
    const SET_OLD: &str =
        "scope = \"old:<id>\"\n[[step]]\nset = { a = \"1\" }\nin = \"old:<id>\"\n";
    const REVERT: Action = Action::Revert { data_loss: None };

    /// What a step is told: how many keys at most, and from which steps.
    type Told = Option<(u64, Vec<String>)>;
    type Planned = (&'static str, Action, &'static str, u64);

    /// What each step of a plan is told to expect, by how many of its keys are to do now.
    fn coming(steps: &[Planned]) -> Vec<Told> {
        let id = |name: &str| name.parse::<MigrationId>().unwrap();
        let mut evidence: BTreeMap<MigrationId, StepEvidence> = steps
            .iter()
            .map(|(name, .., to_do)| {
                let keys = Some(KeyCounts {
                    in_scope: *to_do,
                    to_do: *to_do,
                    extra_bytes: Some(0),
                    ..KeyCounts::default()
                });
                let found = StepEvidence {
                    keys,
                    ..StepEvidence::default()
                };
                (id(name), found)
            })
            .collect();
        let planned: Vec<Step> = steps
            .iter()
            .map(|(name, action, text, _)| Step {
                id: id(name),
                action: action.clone(),
                description: None,
                checksum: Checksum::of_content(text),
                after: BTreeSet::new(),
                resumes: false,
                out_of_order: false,
                content: StepContent::Redis(RedisContent {
                    path: format!("{name}.toml"),
                    text: (*text).to_owned(),
                    allow_lossy: false,
                    later: Vec::new(),
                }),
            })
            .collect();
        foresee(&planned, &no_config(), &mut evidence);
        steps
            .iter()
            .map(|(name, ..)| {
                let keys = evidence[&id(name)].keys.as_ref().unwrap();
                let coming = keys.coming.as_ref()?;
                let by = coming.by.iter().map(ToString::to_string).collect();
                Some((coming.at_most, by))
            })
            .collect()
    }

    fn no_config() -> PlanConfig {
        PlanConfig {
            postgres: None,
            redis: None,
            vars: BTreeMap::new(),
            golang_migrate: None,
            outpost_redis: false,
            adopt_missing: None,
        }
    }

    #[test]
    fn keys_that_an_earlier_step_makes_are_foreseen_where_a_later_one_works_on_them() {
        let from = |at_most: u64, by: &[&str]| {
            Some((
                at_most,
                by.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>(),
            ))
        };
        let (one, two, three) = ("redis/0001_a", "redis/0002_b", "redis/0003_c");
        let table: &[(&[Planned], Vec<Told>)] = &[
            (
                &[
                    (one, Action::Apply, COPY, 7),
                    (two, Action::Apply, SET_HEAD, 2),
                    (three, Action::Apply, SET_ITEMS, 0),
                ],
                vec![None, from(7, &[one]), None],
            ),
            // Nothing is left to copy, so nothing comes.
            (
                &[
                    (one, Action::Apply, COPY, 0),
                    (two, Action::Apply, SET_HEAD, 2),
                ],
                vec![None, None],
            ),
            // What comes is passed on.
            (
                &[
                    (one, Action::Apply, RENAME, 5),
                    (two, Action::Apply, RENAME_AGAIN, 1),
                    (three, Action::Apply, SET_NEWER, 0),
                ],
                vec![None, from(5, &[one]), from(6, &[two])],
            ),
            // The other way round: the revert of a renaming brings the old keys back, that of a copy brings none.
            (
                &[(one, REVERT, RENAME, 5), (two, Action::Apply, SET_OLD, 0)],
                vec![None, from(5, &[one])],
            ),
            (
                &[(one, REVERT, COPY, 5), (two, Action::Apply, SET_HEAD, 0)],
                vec![None, None],
            ),
            (
                &[
                    (one, Action::Cleanup, RENAME, 5),
                    (two, Action::Apply, SET_NEW, 0),
                ],
                vec![None, None],
            ),
            // A step is told of those before it alone.
            (
                &[
                    (two, Action::Apply, SET_HEAD, 0),
                    (one, Action::Apply, COPY, 5),
                ],
                vec![None, None],
            ),
        ];
        for (steps, wanted) in table {
            assert_eq!(&coming(steps), wanted, "{steps:?}");
        }
    }

    #[test]
    fn the_time_of_a_step_counts_the_keys_that_come_at_the_speed_at_which_keys_were_read() {
        let time = KeyTime::from_speed(1_000, 3_000, 2_000);
        assert_eq!((time.least_ms, time.most_ms), (3_000, 27_000));
        assert_eq!(KeyTime::from_speed(0, u64::MAX, 1).most_ms, u64::MAX);
    }
}
