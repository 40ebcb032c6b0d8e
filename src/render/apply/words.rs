//! Events in words, the same on a terminal and in a pipe.

use crate::model::event::Event;
use crate::model::id::MigrationId;
use crate::render::style::{Style, Tone};
use crate::render::text::{block, line};
use crate::render::units::{count, counted, counted_len, duration_ms};

/// One event in one line, or several for an error that quotes a statement. `None` for events that have
/// no line of their own.
pub(super) fn words(style: Style, event: &Event) -> Option<String> {
    let about = |tone: Tone, mark: &str, id: &MigrationId, rest: &str| {
        format!("{} {rest}", style.paint(tone, &format!("{mark} {id}")))
    };
    Some(match event {
        Event::WaitingForLease { store, holder } => style.paint(
            Tone::Caution,
            &format!("{store}: waiting for the lease, held by {}", line(holder)),
        ),
        Event::LeaseTaken { .. } | Event::RunFinished { .. } => return None,
        Event::RunStarted {
            plan,
            steps,
            already_done,
        } => {
            let plan = plan.get(..12).unwrap_or(plan);
            let before = match already_done {
                0 => String::new(),
                number => format!(", {} done by an earlier run", count(*number as u64)),
            };
            format!(
                "Plan {}: {}{before}",
                line(plan),
                counted_len(*steps, "step")
            )
        }
        Event::StepStarted { id, action } => about(Tone::Note, ">", id, action),
        Event::StatementStarted {
            id,
            number,
            of,
            verb,
        } => about(
            Tone::Note,
            ">",
            id,
            &format!("statement {number} of {of}: {}", line(verb)),
        ),
        Event::Progress {
            id,
            done,
            total,
            changed,
            pass,
        } => about(
            Tone::Note,
            ">",
            id,
            &progress_words(*done, *total, *changed, *pass),
        ),
        Event::Retry {
            id,
            attempt,
            of,
            reason,
            wait_ms,
        } => about(
            Tone::Caution,
            "!",
            id,
            &format!(
                "try {attempt} of {of} failed: {}; again in {}",
                line(reason),
                duration_ms(*wait_ms)
            ),
        ),
        Event::Note { id, message } => about(Tone::Caution, "!", id, &line(message)),
        Event::StepFinished {
            id,
            action,
            ms,
            changed,
        } => about(Tone::Good, "✓", id, &done_words(id, action, *ms, *changed)),
        Event::StepFailed {
            id,
            action,
            interrupted: true,
            ..
        } => about(Tone::Caution, "✗", id, &format!("{action} was interrupted")),
        Event::StepFailed {
            id, action, error, ..
        } => about(
            Tone::Bad,
            "✗",
            id,
            &format!("{action} failed: {}", block(error)),
        ),
    })
}

/// `45,000 of about 200,000 keys, 12,000 changed`.
pub(super) fn progress_words(done: u64, total: u64, changed: u64, pass: u32) -> String {
    let pass = if pass > 1 {
        format!(", pass {pass}")
    } else {
        String::new()
    };
    format!(
        "{} of about {}, {} changed{pass}",
        count(done),
        counted(total, "key"),
        count(changed)
    )
}

/// What a finished step did, and how long it took.
pub(super) fn done_words(id: &MigrationId, action: &str, ms: u64, changed: u64) -> String {
    let noun = match id.store() {
        crate::model::id::StoreKind::Sql => "statement",
        crate::model::id::StoreKind::Redis => "key",
    };
    let changed = if changed == 0 {
        String::new()
    } else {
        format!(", {}", counted(changed, noun))
    };
    format!("{action} done in {}{changed}", duration_ms(ms))
}
