//! Plans: on a terminal, as JSON, as Markdown for a pull request, and as one page of HTML.

mod facts;
mod html;
mod impact;
mod json;
mod json_evidence;
mod json_findings;
mod markdown;
mod note;
mod rehearsal;
mod step;
mod text;

pub use facts::PlanView;
pub use html::plan_html;
pub use json::{plan_json, plan_schema};
pub use markdown::plan_markdown;
pub use text::{Detail, plan};

pub(super) use facts::database;
pub(super) use note::warning_counts;
pub(super) use text::tone;
