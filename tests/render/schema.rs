//! The published schema of a plan's JSON.

use outpost::render::plan_schema;

use crate::golden::shown;

const PUBLISHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/plan.schema.json");

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
