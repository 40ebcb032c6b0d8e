//! The published schema of a plan's JSON, and whether what is written keeps to it.

use jsonschema::{Validator, validator_for};
use outpost::model::plan::{Plan, Purpose};
use outpost::render::{PlanView, plan_json, plan_schema};
use proptest::prelude::*;
use serde_json::Value;

use super::golden::shown;
use super::hostile::nasty_plan;
use super::values::{every_action, plan_of};
use crate::plans;

const PUBLISHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/plan.schema.json");

/// The schema in which every member has to be declared: the published one lets newer members pass.
fn strict() -> Validator {
    fn close(schema: &mut Value) {
        if let Value::Object(members) = schema {
            if members.contains_key("properties") {
                members.insert("additionalProperties".to_owned(), false.into());
            }
            members.values_mut().for_each(close);
        } else if let Value::Array(parts) = schema {
            parts.iter_mut().for_each(close);
        }
    }
    let mut schema: Value = serde_json::from_str(&shown(|out| plan_schema(out))).unwrap();
    close(&mut schema);
    validator_for(&schema).unwrap()
}

fn faults(schema: &Validator, plan: &Plan) -> Vec<String> {
    let view = PlanView {
        plan,
        file: Some("plan.bin"),
        signature: None,
    };
    let json: Value = serde_json::from_str(&shown(|out| plan_json(out, &view))).unwrap();
    schema
        .iter_errors(&json)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

#[test]
fn the_published_schema_is_that_of_the_types() {
    let now = shown(|out| plan_schema(out));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(PUBLISHED, &now).unwrap();
    }
    let published = std::fs::read_to_string(PUBLISHED).unwrap();
    assert!(
        published == now,
        "docs/plan.schema.json is not what the types say; UPDATE_GOLDEN=1 writes it anew"
    );
}

#[test]
fn every_plan_keeps_to_the_schema() {
    let schema = strict();
    let empty = plan_of(Purpose::Migrate, Vec::new(), Default::default());
    for plan in [every_action(), nasty_plan(), empty] {
        assert_eq!(faults(&schema, &plan), [""; 0]);
    }
    let mut json: Value = serde_json::from_str(&shown(|out| {
        plan_json(
            out,
            &PlanView {
                plan: &every_action(),
                file: None,
                signature: None,
            },
        )
    }))
    .unwrap();
    json["steps"][0]["action"] = "explode".into();
    json["steps"][1]["surprise"] = true.into();
    let found: Vec<String> = schema
        .iter_errors(&json)
        .map(|e| e.instance_path().to_string())
        .collect();
    assert!(found.iter().any(|at| at == "/steps/0/action"), "{found:?}");
    assert!(
        found.iter().any(|at| at.starts_with("/steps/1")),
        "{found:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_the_types_allow_keeps_to_the_schema(decision in plans::decision(), evidence in plans::evidence()) {
        let plan = Plan::new(decision, evidence).unwrap();
        thread_local!(static SCHEMA: Validator = strict());
        let found = SCHEMA.with(|schema| faults(schema, &plan));
        prop_assert!(found.is_empty(), "{found:?}");
    }
}
