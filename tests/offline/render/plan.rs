use std::collections::{BTreeMap, BTreeSet};

use outpost::model::drift::{Deviation, ObjectDifference, PinnedDrift};
use outpost::model::id::StoreKind;
use outpost::model::lint::Level;
use outpost::model::plan::{
    Action, ComingKeys, Difference, KeyCounts, Plan, Purpose, RedisContent, Resolution,
    StepContent, StepEvidence, WarningKind,
};
use outpost::model::signing::{Judgement, KeyName, Refusal, Signer};
use outpost::render::{
    Detail, GraphView, PlanView, Style, plan, plan_html, plan_json, plan_markdown, stale,
};

use super::golden::{COLOUR, NARROW, WIDE, golden, shown};
use super::values::{every_action, finding, id, plan_of, sql, statement, step, warning};

fn saved(plan: &Plan) -> PlanView<'_> {
    PlanView {
        plan,
        file: Some("plan.bin"),
        signature: None,
    }
}

#[test]
fn u09_a_plan_with_every_action_has_one_look_in_every_form() {
    let value = every_action();
    let view = saved(&value);
    golden("plan-100.txt", |out| plan(out, WIDE, &view, Detail::Brief));
    golden("plan-40.txt", |out| plan(out, NARROW, &view, Detail::Brief));
    golden("plan-colour.txt", |out| {
        plan(out, COLOUR, &view, Detail::Brief)
    });
    golden("plan-full.txt", |out| plan(out, WIDE, &view, Detail::Full));
    golden("plan.json", |out| plan_json(out, &view));
    golden("plan.md", |out| plan_markdown(out, &view));
    golden("plan.html", |out| plan_html(out, &view));
}

#[test]
fn u09_new_counts_change_the_evidence_and_not_the_digest() {
    let one = every_action();
    let mut evidence = one.evidence.clone();
    evidence
        .steps
        .entry(id("redis/0001_hash_tags"))
        .or_default()
        .keys = Some(KeyCounts::default());
    let other = Plan::new(one.decision.clone(), evidence).unwrap();
    assert_eq!(one.digest, other.digest);
    let digest = format!("Digest: {}", one.digest);
    for plan_shown in [&one, &other] {
        let text = shown(|out| plan(out, WIDE, &saved(plan_shown), Detail::Brief));
        assert!(text.contains(&digest), "{text}");
    }
}

#[test]
fn keys_that_are_not_there_yet_are_said_in_every_form() {
    let mut shown_plan = every_action();
    let step = id("redis/0001_hash_tags");
    let coming = ComingKeys {
        at_most: 4_321,
        by: vec![id("redis/0000_before")],
    };
    let set = |plan: &mut Plan, in_scope: u64| {
        let keys = plan.evidence.steps.get_mut(&step).unwrap().keys.as_mut();
        let keys = keys.unwrap();
        keys.in_scope = in_scope;
        keys.coming = Some(coming.clone());
    };
    for (in_scope, words) in [
        (
            7,
            "ignored; up to 4,321 more to come from redis/0000_before",
        ),
        (0, "up to 4,321 keys, all to come from redis/0000_before"),
    ] {
        set(&mut shown_plan, in_scope);
        let view = saved(&shown_plan);
        let flat = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let wide = Style::plain(200);
        for text in [
            shown(|out| plan(out, wide, &view, Detail::Brief)),
            shown(|out| plan_markdown(out, &view)),
            shown(|out| plan_html(out, &view)),
        ] {
            let text = flat(text);
            assert!(text.contains(words), "{words:?} is not in {text}");
        }
        let summed = flat(shown(|out| plan_markdown(out, &view)));
        assert!(
            summed.contains("and up to 4,321 that earlier steps bring"),
            "{summed}"
        );
        let json: serde_json::Value =
            serde_json::from_str(&shown(|out| plan_json(out, &view))).unwrap();
        let steps = json["steps"].as_array().unwrap();
        let found = steps.iter().find(|s| s["id"] == step.to_string()).unwrap();
        assert_eq!(found["keys"]["coming"]["at_most"], 4_321);
        assert_eq!(found["keys"]["coming"]["by"][0], "redis/0000_before");
    }
}

#[test]
fn u19_a_revert_says_what_is_lost_in_every_form() {
    let value = every_action();
    let view = saved(&value);
    let lost = "the column attempts.code and what is in it";
    for text in [
        shown(|out| plan(out, WIDE, &view, Detail::Brief)),
        shown(|out| plan(out, WIDE, &view, Detail::Full)),
        shown(|out| plan_json(out, &view)),
        shown(|out| plan_markdown(out, &view)),
        shown(|out| plan_html(out, &view)),
    ] {
        assert!(text.contains(lost), "{text}");
    }
}

#[test]
fn c02_a_late_migration_is_marked_out_of_order_in_every_form() {
    let value = every_action();
    let view = saved(&value);
    for (text, mark) in [
        (
            shown(|out| plan(out, WIDE, &view, Detail::Brief)),
            "0005_denormalize_attempts  apply (out of order)",
        ),
        (shown(|out| plan_json(out, &view)), "\"out_of_order\": true"),
        (shown(|out| plan_markdown(out, &view)), "(out of order)"),
        (shown(|out| plan_html(out, &view)), "(out of order)"),
    ] {
        assert!(text.contains(mark), "{text}");
    }
}

#[test]
fn an_empty_plan_says_where_the_databases_are() {
    let mut value = plan_of(Purpose::Migrate, Vec::new(), BTreeMap::new());
    golden("plan-empty.txt", |out| {
        plan(out, WIDE, &saved(&value), Detail::Brief)
    });
    golden("plan-empty.json", |out| plan_json(out, &saved(&value)));
    golden("plan-empty.html", |out| plan_html(out, &saved(&value)));
    value.decision.left_out = BTreeSet::from([id("redis/0001_hash_tags")]);
    golden("plan-left-out.txt", |out| {
        plan(out, WIDE, &saved(&value), Detail::Brief)
    });
    golden("plan-left-out.md", |out| plan_markdown(out, &saved(&value)));
}

#[test]
fn the_command_repeats_every_choice_that_the_plan_was_made_with() {
    let edit = Action::AcceptEdit {
        recorded: outpost::model::checksum::Checksum::of_content("x"),
    };
    let lossy = StepContent::Redis(RedisContent {
        path: "redis/0002_timestamps.toml".to_owned(),
        text: super::values::HASH_TAGS.to_owned(),
        allow_lossy: true,
        later: Vec::new(),
    });
    let mut migrate = plan_of(
        Purpose::Migrate,
        vec![
            step("redis/0001_a", edit, StepContent::Record),
            step("redis/0002_b", Action::Apply, lossy),
        ],
        BTreeMap::new(),
    );
    migrate.decision.only = Some(StoreKind::Redis);
    let cleanup = plan_of(
        Purpose::Cleanup,
        vec![step("sql/0001_a", Action::Cleanup, StepContent::Record)],
        BTreeMap::new(),
    );
    let decided = plan_of(
        Purpose::Resolve,
        vec![step(
            "sql/0001_a",
            Action::Resolve(Resolution::Applied),
            StepContent::Record,
        )],
        BTreeMap::new(),
    );
    let brief = |value, file| {
        shown(|out| {
            plan(
                out,
                WIDE,
                &PlanView {
                    plan: value,
                    file,
                    signature: None,
                },
                Detail::Brief,
            )
        })
    };
    for (value, file, command) in [
        (
            &migrate,
            None,
            "outpost migrate plan --to 1.2 --only redis --accept-edits --allow-lossy -out plan.bin",
        ),
        (
            &migrate,
            Some("my plan.bin"),
            "outpost migrate apply 'my plan.bin'",
        ),
        (&cleanup, None, "outpost migrate cleanup -out plan.bin"),
    ] {
        let text = brief(value, file);
        assert!(
            text.contains(&format!("  {command}\n")),
            "{command} is not in {text}"
        );
    }
    // A decision is asked about at once, and nobody saves it.
    let text = brief(&decided, None);
    assert!(text.contains("Digest: "), "{text}");
    assert!(!text.contains("save"), "{text}");
}

#[test]
fn c17_a_comment_never_outgrows_its_limit_and_names_what_it_leaves_out() {
    let texts: [&dyn Fn(usize) -> String; 3] = [
        &|number| format!("INSERT INTO t VALUES ({})", "1, ".repeat(400 + number)),
        &|_| "`".repeat(3000),
        &|_| "é|<\u{202e}".repeat(500),
    ];
    for (number, text) in texts.iter().enumerate() {
        for steps in [1, 60, 600] {
            let mut evidence = BTreeMap::new();
            let steps: Vec<_> = (1..=steps)
                .map(|at| {
                    let name = format!("sql/{at:04}_{}", "long_name_".repeat(15));
                    let content = sql(
                        "sql/x.up.sql",
                        true,
                        vec![statement(1, "insert", &text(at)); 3],
                    );
                    let warnings =
                        vec![warning(WarningKind::Other, &"<warned> ".repeat(50), None); 3];
                    evidence.insert(
                        id(&name),
                        StepEvidence {
                            warnings,
                            ..StepEvidence::default()
                        },
                    );
                    step(&name, Action::Apply, StepContent::Sql(content))
                })
                .collect();
            let count = steps.len();
            let value = plan_of(Purpose::Migrate, steps, evidence);
            let comment = shown(|out| plan_markdown(out, &saved(&value)));
            assert!(
                comment.chars().count() <= 65_536,
                "{number}, {count} steps: {}",
                comment.chars().count()
            );
            assert!(comment.contains(&value.digest.to_string()));
            assert!(comment.contains("outpost migrate apply plan.bin"));
            assert_eq!(
                comment.contains("Left out, since a comment holds 65,536 characters at most"),
                count > 1,
                "{comment}"
            );
        }
    }
}

#[test]
fn that_no_key_has_drifted_is_said_where_it_was_looked_for() {
    let words = "every key in Redis is as the applied migrations left it";
    let empty = plan_of(Purpose::Migrate, Vec::new(), BTreeMap::new());
    for mut value in [empty, every_action()] {
        for (found, said) in [(None, false), (Some(Vec::new()), true)] {
            value.evidence.redis_drift = found;
            let view = saved(&value);
            for text in [
                shown(|out| plan(out, WIDE, &view, Detail::Brief)),
                shown(|out| plan_markdown(out, &view)),
                shown(|out| plan_html(out, &view)),
            ] {
                assert_eq!(text.contains(words), said, "{text}");
            }
        }
    }
}

#[test]
fn of_many_remarks_the_first_are_shown_and_json_has_all() {
    let mut value = plan_of(Purpose::Migrate, Vec::new(), BTreeMap::new());
    let name = |at: usize| format!("sql/{at:04}_{}", "long_name_".repeat(15));
    let findings = (1..=400).map(|at| finding("lock-removed", Level::Error, &name(at), None));
    value.evidence.lint = findings.collect();
    let objects = (1..=400).map(|at| ObjectDifference {
        object: format!("function public.f{at}({})", "text, ".repeat(100)),
        deviation: Deviation::Missing,
    });
    value.evidence.drift = Some(PinnedDrift {
        after: id("sql/0001_a"),
        expected_server: Some(17),
        server: Some(17),
        objects: objects.collect(),
    });
    let view = saved(&value);
    let json = shown(|out| plan_json(out, &view));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["lint"].as_array().unwrap().len(), 400);
    assert_eq!(json["drift"]["objects"].as_array().unwrap().len(), 400);
    assert_eq!(json["summary"]["warnings"], 401);
    for text in [
        shown(|out| plan(out, NARROW, &view, Detail::Brief)),
        shown(|out| plan_markdown(out, &view)),
        shown(|out| plan_html(out, &view)),
    ] {
        assert_eq!(text.matches("function public.f").count(), 10, "{text}");
        assert_eq!(text.matches("and 390 more").count(), 2, "{text}");
        for words in [
            "Nothing to do",
            "outpost migrate drift",
            "outpost migrate lint",
        ] {
            assert!(
                text.replace("\n   ", "").contains(words),
                "{words} is not in {text}"
            );
        }
    }
}

#[test]
fn a_stale_plan_lists_the_exact_differences() {
    let differences = [
        Difference::Entry {
            id: id("sql/0005_denormalize_attempts"),
            planned: "no record".to_owned(),
            found: "applied with checksum 0123456789ab".to_owned(),
        },
        Difference::OtherDatabase {
            store: StoreKind::Redis,
            planned: "Redis deployment none, database 0, ledger none yet".to_owned(),
            found: "Redis deployment eu\x1b[2J, database 0, ledger none yet".to_owned(),
        },
    ];
    golden("stale-100.txt", |out| stale(out, WIDE, &differences, None));
    golden("stale-40.txt", |out| {
        stale(out, NARROW, &differences, Some("plan again"))
    });
}

/// A plan as it is shown where somebody looked for a signature.
fn judged<'a>(plan: &'a Plan, signature: &'a Judgement) -> PlanView<'a> {
    PlanView {
        signature: Some(signature),
        ..saved(plan)
    }
}

#[test]
fn every_form_says_who_signed_and_why_a_signature_does_not_count() {
    let key = KeyName {
        kind: "ssh-ed25519".to_owned(),
        fingerprint: "SHA256:dGhpcyBpcyBubyBrZXkgYXQgYWxs".to_owned(),
    };
    let signer = Signer {
        principals: "alice@example.com,<b>&`\u{1b}[2J|".to_owned(),
        key: key.clone(),
    };
    let file = "keys/allowed".to_owned();
    let judgements: [Judgement; 5] = [
        Ok(signer.clone()),
        Err(Refusal::Unsigned),
        Err(Refusal::UnknownKey {
            key: key.clone(),
            file: file.clone(),
        }),
        Err(Refusal::OtherBytes { key }),
        Err(Refusal::Expired {
            signer: Box::new(signer),
            file,
            line: 3,
            until: "2026-01-01T00:00:00Z".to_owned(),
        }),
    ];
    let value = every_action();
    let mut lines = String::new();
    for judgement in &judgements {
        let view = judged(&value, judgement);
        for style in [WIDE, NARROW, COLOUR] {
            let text = shown(|out| plan(out, style, &view, Detail::Brief));
            let at = text.find("Signature:").unwrap();
            let end = text[at..].find("To apply").unwrap();
            lines.push_str(&text[at..at + end]);
        }
        let json = shown(|out| plan_json(out, &view));
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        lines.push_str(&format!("{}\n", json["signature"]));
        for page in [
            shown(|out| plan_markdown(out, &view)),
            shown(|out| plan_html(out, &view)),
        ] {
            let line = page
                .lines()
                .find(|line| line.to_lowercase().contains("signature"));
            lines.push_str(&format!("{}\n", line.unwrap()));
        }
        lines.push('\n');
    }
    golden("signatures.txt", |out| out.write_all(lines.as_bytes()));
}

/// A form of a plan, and what writes it.
type Form<'a> = (&'a str, &'a dyn Fn(&Plan) -> String);

/// So many steps, each of which waits for every other one of those before it, as far back as `far`, with a warning
/// and SQL.
pub fn long_plan(steps: usize, far: usize) -> Plan {
    let name = |at: usize| format!("sql/{at:04}_step");
    let mut evidence = BTreeMap::new();
    let steps = (1..=steps)
        .map(|at| {
            let text = "UPDATE attempts SET tenant_id = 'x' WHERE tenant_id IS NULL AND id > 5";
            let content = sql(
                &format!("{}.up.sql", name(at)),
                true,
                vec![statement(1, "update", text)],
            );
            let mut step = step(&name(at), Action::Apply, StepContent::Sql(content));
            let before = at.saturating_sub(far).max(1)..at;
            step.after = before.step_by(2).map(|before| id(&name(before))).collect();
            let found = StepEvidence {
                warnings: vec![warning(
                    WarningKind::NoVerification,
                    "nothing proves it",
                    None,
                )],
                ..StepEvidence::default()
            };
            evidence.insert(id(&name(at)), found);
            step
        })
        .collect();
    plan_of(Purpose::Migrate, steps, evidence)
}

#[test]
fn two_thousand_steps_are_all_in_every_form_but_a_comment_which_says_what_it_leaves_out() {
    let long = long_plan(2_000, 4);
    let view = saved(&long);
    let json = shown(|out| plan_json(out, &view));
    let parsed: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(parsed["steps"].as_array().map(Vec::len), Some(2_000));
    for text in [
        json,
        shown(|out| plan(out, NARROW, &view, Detail::Full)),
        shown(|out| plan_html(out, &view)),
        shown(|out| outpost::render::graph_svg(out, &GraphView::of_plan(&long))),
    ] {
        let named: BTreeSet<&str> = text
            .match_indices("_step")
            .filter_map(|(at, _)| text.get(at - 4..at))
            .collect();
        assert_eq!(named.len(), 2_000);
    }
    let comment = shown(|out| plan_markdown(out, &view));
    assert!(comment.len() < 65_536, "{}", comment.len());
    assert!(comment.contains("This table leaves out "), "{comment}");
}

#[test]
fn no_form_of_a_plan_grows_faster_than_the_plan() {
    let forms: [Form<'_>; 4] = [
        ("text", &|plan_shown| {
            shown(|out| plan(out, WIDE, &saved(plan_shown), Detail::Full))
        }),
        ("html", &|plan_shown| {
            shown(|out| plan_html(out, &saved(plan_shown)))
        }),
        ("markdown", &|plan_shown| {
            shown(|out| plan_markdown(out, &saved(plan_shown)))
        }),
        ("picture", &|plan_shown| {
            shown(|out| outpost::render::graph_svg(out, &GraphView::of_plan(plan_shown)))
        }),
    ];
    let (half, whole) = (long_plan(250, 250), long_plan(500, 500));
    for (form, write) in forms {
        let (half, whole) = (write(&half).len(), write(&whole).len());
        assert!(
            whole < half * 5 / 2,
            "{form}: {half} bytes, {whole} bytes for twice as many steps"
        );
    }
}
