#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;

#[test]
fn dump() {
    let config = crate::model::config::PlanConfig::parse_offline(
        "outpost.toml",
        "[schema]\nversion = \"latest\"\n[postgres]\nurl = \"${X}\"\n[redis]\nurl = \"${Y}\"\n",
        &|_| None,
    )
    .unwrap();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    let catalog = crate::source::catalog(&folder, &config).unwrap();
    let graph = Graph::new(&catalog).unwrap();
    for f in lint(&catalog, &graph, &LintConfig::default()) {
        println!(
            "{:?} {} {}:{:?} {}\n      {:?}",
            f.level, f.rule, f.file, f.line, f.message, f.advice
        );
    }
}
