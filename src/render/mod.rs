//! Every word and colour of the output: writes model values to an [`std::io::Write`].
//!
//! A screen owns no stream, asks nothing, and reads neither clock nor environment: the same value gives
//! the same bytes. It takes where to write, a [`Style`] and a value. What comes from servers, files and
//! keys passes through [`line`] or [`block`] first, so that nothing foreign acts on a terminal; JSON,
//! Markdown and HTML escape by their own rules on top.

mod apply;
mod definition;
mod drift;
mod error;
mod gate;
mod graph;
mod highlight;
mod history;
mod json;
mod lease;
mod lint;
mod list;
mod notes;
mod plan;
mod resolve;
mod signature;
mod style;
mod table;
mod text;
mod units;
mod verify;

pub use apply::{JsonLines, Lines, Progress, already_applied, report, report_json, sum_up};
pub use drift::{drift, drift_hint, drift_json};
pub use error::{error, error_json, hint, question, remark, stale, stale_json, warning};
pub use gate::{gate, gate_ahead, gate_json, gate_waiting};
pub use graph::{GraphView, graph_dot, graph_json, graph_mermaid, graph_svg, graph_tree};
pub use history::{StoreHistory, history, history_json};
pub use json::FORMAT_VERSION;
pub use lease::{StoreLease, leases, leases_json};
pub use lint::{lint, lint_json};
pub use list::{ListView, list, list_hint, list_json};
pub use notes::{created, lock_findings, lock_findings_json, locked, unlocked};
pub use plan::{Detail, PlanView, plan, plan_html, plan_json, plan_markdown, plan_schema};
pub use resolve::{ResolveView, resolve, resolve_json};
pub use signature::{older_signature, passphrase, signed, signed_by};
pub use style::{Style, Tone};
pub use text::{block, line};
pub use units::{bytes, count, counted, duration_ms};
pub use verify::{verify, verify_json};
