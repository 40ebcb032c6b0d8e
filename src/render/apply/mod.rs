//! `apply`: what happens as it happens, and what it came to.

mod events;
mod progress;
mod report;
mod words;

pub use events::{JsonLines, Lines};
pub use progress::Progress;
pub use report::{already_applied, report, report_json, sum_up};
