//! Live bars for a terminal.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::model::event::{Event, Events};
use crate::model::id::MigrationId;
use crate::render::apply::words::words;
use crate::render::style::Style;
use crate::render::text::{columns, cut, line, wrapped};
use crate::render::units::count;

/// How often a spinner moves.
const TICK: Duration = Duration::from_millis(120);

/// One live line for each running step; what is over stays as a plain line above them.
#[derive(Debug)]
pub struct Progress {
    style: Style,
    bars: MultiProgress,
    running: Mutex<BTreeMap<MigrationId, Running>>,
}

#[derive(Debug)]
struct Running {
    bar: ProgressBar,
    /// The pass that the bar counts; 0 for a spinner.
    pass: u32,
}

impl Progress {
    /// Bars that are drawn on `target`.
    pub fn new(target: ProgressDrawTarget, style: Style) -> Self {
        Self {
            style,
            bars: MultiProgress::with_draw_target(target),
            running: Mutex::default(),
        }
    }

    /// Takes every bar away. What was printed above them stays.
    pub fn finish(&self) {
        for running in std::mem::take(&mut *self.lock()).into_values() {
            running.bar.finish_and_clear();
        }
        // A terminal that is gone has nothing to clear.
        let _ = self.bars.clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<MigrationId, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn print(&self, event: &Event) {
        if let Some(text) = words(self.style, event) {
            for text in text.split('\n') {
                let mut margin = "";
                for text in fitted(text, self.style) {
                    let _ = self.bars.println(format!("{margin}{text}"));
                    margin = "  ";
                }
            }
        }
    }

    fn start(&self, id: &MigrationId, action: &str) {
        let bar = self.bars.add(ProgressBar::new_spinner());
        bar.set_style(spinner());
        bar.set_prefix(id.to_string());
        bar.set_message(action.to_owned());
        bar.enable_steady_tick(TICK);
        if let Some(before) = self.lock().insert(id.clone(), Running { bar, pass: 0 }) {
            before.bar.finish_and_clear();
        }
    }

    fn stop(&self, id: &MigrationId) {
        if let Some(running) = self.lock().remove(id) {
            running.bar.finish_and_clear();
            self.bars.remove(&running.bar);
        }
    }

    fn say(&self, id: &MigrationId, message: &str) {
        if let Some(running) = self.lock().get(id) {
            running
                .bar
                .set_message(cut(&line(message), self.style.room(24)));
        }
    }

    fn count(&self, id: &MigrationId, done: u64, total: u64, changed: u64, pass: u32) {
        let mut running = self.lock();
        let Some(running) = running.get_mut(id) else {
            return;
        };
        if running.pass != pass {
            running.pass = pass;
            running.bar.set_style(bar());
            // The rate and the time left are those of this pass.
            running.bar.reset();
        }
        // SCAN may repeat keys: a bar never goes past its end.
        running.bar.set_length(total.max(done));
        running.bar.set_position(done);
        let pass = if pass > 1 {
            format!(", pass {pass}")
        } else {
            String::new()
        };
        running
            .bar
            .set_message(format!("{} changed{pass}", count(changed)));
    }
}

impl Events for Progress {
    fn emit(&self, event: Event) {
        match &event {
            Event::StepStarted { id, action } => self.start(id, action),
            Event::StatementStarted {
                id,
                number,
                of,
                verb,
            } => {
                self.say(id, &format!("statement {number} of {of}: {verb}"));
            }
            Event::Progress {
                id,
                done,
                total,
                changed,
                pass,
            } => {
                self.count(id, *done, *total, *changed, *pass);
            }
            Event::StepFinished { id, .. } | Event::StepFailed { id, .. } => {
                self.stop(id);
                self.print(&event);
            }
            Event::RunFinished { .. } => self.finish(),
            _ => self.print(&event),
        }
    }
}

/// A line, or several where the terminal is too narrow: it would break words itself.
fn fitted(text: &str, style: Style) -> Vec<String> {
    if columns(text) <= style.room(0) {
        return vec![text.to_owned()];
    }
    wrapped(text, style.room(2))
}

fn spinner() -> ProgressStyle {
    template("{spinner} {prefix} {wide_msg} {elapsed}")
}

fn bar() -> ProgressStyle {
    template("{spinner} {prefix} {wide_bar} {human_pos}/{human_len} {rate} {eta} left, {msg}")
        .progress_chars("=> ")
        .with_key(
            "rate",
            |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                // In whole keys: what comes after the point flickers and says nothing.
                let _ = write!(out, "{}/s", count(state.per_sec() as u64));
            },
        )
}

fn template(template: &str) -> ProgressStyle {
    // A template that does not parse gives the library's own look; a test draws both of ours.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::sync::Arc;

    use indicatif::TermLike;

    use super::*;

    /// A terminal that keeps everything that was ever written to it.
    #[derive(Debug, Clone, Default)]
    struct Tape(Arc<Mutex<String>>);

    impl Tape {
        fn push(&self, text: &str) -> std::io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
    }

    impl TermLike for Tape {
        fn width(&self) -> u16 {
            100
        }
        fn move_cursor_up(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> std::io::Result<()> {
            self.push(&format!("{text}\n"))
        }
        fn write_str(&self, text: &str) -> std::io::Result<()> {
            self.push(text)
        }
        fn clear_line(&self) -> std::io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_do_not_fit_are_broken_between_words() {
        let text = "✓ sql/0003_event_delivery_index apply done in 5 ms, 7 statements";
        assert_eq!(
            fitted(text, Style::plain(40)),
            [
                "✓ sql/0003_event_delivery_index apply",
                "done in 5 ms, 7 statements"
            ]
        );
        assert_eq!(fitted(text, Style::plain(100)), [text]);
    }

    #[test]
    fn running_steps_have_bars_and_finished_ones_leave_plain_lines() {
        let tape = Tape::default();
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(tape.clone()), 255);
        let progress = Progress::new(target, Style::plain(100));
        let id: MigrationId = "redis/0001_hash_tags".parse().unwrap();
        progress.emit(Event::RunStarted {
            plan: "ab".repeat(32),
            steps: 1,
            already_done: 0,
        });
        progress.emit(Event::StepStarted {
            id: id.clone(),
            action: "apply",
        });
        progress.emit(Event::StatementStarted {
            id: id.clone(),
            number: 1,
            of: 2,
            verb: "select\x1b[3J".to_owned(),
        });
        for done in [0, 60_000, 120_000] {
            progress.emit(Event::Progress {
                id: id.clone(),
                done,
                total: 100_000,
                changed: done / 2,
                pass: 1,
            });
        }
        progress.emit(Event::Note {
            id: id.clone(),
            message: "odd\x1b[2J".to_owned(),
        });
        progress.emit(Event::StepFinished {
            id: id.clone(),
            action: "apply",
            ms: 1500,
            changed: 60_000,
        });
        progress.emit(Event::RunFinished {
            done: 1,
            failed: 0,
            not_started: 0,
        });
        let drawn = tape.0.lock().unwrap().clone();
        for expected in [
            "Plan abababababab: 1 step",
            "redis/0001_hash_tags",
            "/100,000",
            "odd\\x1b[2J",
            "✓ redis/0001_hash_tags apply done in 1.5 s, 60,000 keys",
        ] {
            assert!(drawn.contains(expected), "{expected:?} is not in {drawn:?}");
        }
        assert!(!drawn.contains("\x1b[2J") && !drawn.contains("\x1b[3J"));
        let rates: Vec<&str> = drawn.split_inclusive("/s").collect();
        let whole = |text: &&str| {
            let rate = text.trim_end_matches("/s").rsplit(' ').next();
            rate.is_some_and(|rate| rate.chars().all(|c| c.is_ascii_digit() || c == ','))
        };
        // What follows the last one is no rate.
        assert!(
            rates.len() > 1 && rates[..rates.len() - 1].iter().all(whole),
            "{rates:?}"
        );
        assert!(progress.lock().is_empty());
    }
}
