//! Where connections are cut, byte after byte, over any number of runs: a campaign that reaches every byte of
//! whatever is sent and answered, at the price of many cuts in one run.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::proxy::Protocol;

/// Messages of a run that pass between two of its cuts. A run that is cut off more often would come to the end of
/// its patience, and never to its later steps.
const APART: usize = 2;
/// A kind that was passed by so often, because it always follows a cut, is cut all the same.
const PASSED_BY: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Direction {
    ToServer,
    ToClient,
}

/// A kind of message, by its name without what differs from run to run, or the answer to it.
type Kind = (Direction, String);

/// The next byte to cut for each kind. Runs that go on side by side share it: each byte is cut once.
pub struct Cuts {
    step: usize,
    from: usize,
    next: Mutex<BTreeMap<Kind, Next>>,
}

#[derive(Default, Clone, Copy)]
struct Next {
    byte: usize,
    cuts: usize,
    passed_by: usize,
    /// The longest that was seen.
    length: usize,
}

impl Next {
    fn may_be_cut(&mut self, since: usize) -> bool {
        let may = since >= APART || self.passed_by >= PASSED_BY;
        self.passed_by = if may { 0 } else { self.passed_by + 1 };
        may
    }

    fn cut(&mut self, step: usize) {
        self.byte += step;
        self.cuts += 1;
    }
}

/// What becomes of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The server gets so many bytes of it.
    Request(usize),
    /// The server carries it out; so many bytes of the answer arrive, if it has as many and more.
    Answer(usize),
}

impl Cuts {
    /// Every `step`th byte of each kind, from one of the first ones on: with each `from` below `step` another one, so
    /// that together they come to every byte.
    pub fn every(step: usize, from: usize) -> Self {
        Self {
            step,
            from,
            next: Mutex::default(),
        }
    }

    /// Decides about a message of this length, `since` messages after the last cut of its run.
    pub fn decide(
        &self,
        protocol: Protocol,
        name: Option<&str>,
        length: usize,
        since: usize,
    ) -> (String, Option<Cut>) {
        let kind = kind(protocol, name);
        let mut all = self.next.lock().expect("no panic");
        let mut at = |direction| {
            // Another byte for each kind, and the same one in every campaign.
            let letters: usize = kind.bytes().map(usize::from).sum();
            let first = Next {
                byte: (letters + self.from) % self.step,
                ..Next::default()
            };
            *all.entry((direction, kind.clone())).or_insert(first)
        };
        let (mut request, mut answer) = (at(Direction::ToServer), at(Direction::ToClient));
        request.length = request.length.max(length);
        let cut = if request.byte < length {
            if request.may_be_cut(since) {
                request.cut(self.step);
                Some(Cut::Request(request.byte - self.step))
            } else {
                None
            }
        } else if answer.may_be_cut(since) {
            Some(Cut::Answer(answer.byte))
        } else {
            None
        };
        all.insert((Direction::ToServer, kind.clone()), request);
        all.insert((Direction::ToClient, kind.clone()), answer);
        (kind, cut)
    }

    /// An answer was cut where the next one of its kind was to be.
    pub fn cut_answer(&self, kind: &str) {
        self.answer(kind, |next| next.cut(self.step));
    }

    /// So much of an answer has passed.
    pub fn answered(&self, kind: &str, length: usize) {
        self.answer(kind, |next| next.length = next.length.max(length));
    }

    fn answer(&self, kind: &str, change: impl FnOnce(&mut Next)) {
        let mut all = self.next.lock().expect("no panic");
        if let Some(next) = all.get_mut(&(Direction::ToClient, kind.to_owned())) {
            change(next);
        }
    }

    /// Cuts so far.
    pub fn made(&self) -> usize {
        let all = self.next.lock().expect("no panic");
        all.values().map(|next| next.cuts).sum()
    }

    /// For each direction: kinds, their bytes together, and the cuts. Kinds that were not cut to their end.
    pub fn summary(&self) -> (String, Vec<String>) {
        let all = self.next.lock().expect("no panic");
        let mut parts = Vec::new();
        for (direction, what) in [
            (Direction::ToServer, "messages"),
            (Direction::ToClient, "answers"),
        ] {
            let of: Vec<&Next> = all
                .iter()
                .filter(|((of, _), _)| *of == direction)
                .map(|(_, next)| next)
                .collect();
            let bytes: usize = of.iter().map(|next| next.length).sum();
            let cuts: usize = of.iter().map(|next| next.cuts).sum();
            parts.push(format!(
                "{} kinds of {what} with {bytes} bytes cut {cuts} times",
                of.len()
            ));
        }
        let left = all.iter().filter(|(_, next)| next.byte < next.length).map(
            |((direction, kind), next)| {
                format!("{direction:?} {kind}: {} of {}", next.byte, next.length)
            },
        );
        (parts.join(", "), left.collect())
    }
}

/// The name without what differs from run to run: numbers, what is drawn by lot, and the order of the keys of a page.
fn kind(protocol: Protocol, name: Option<&str>) -> String {
    let Some(name) = name else {
        return format!("{protocol:?}: opens or ends a connection");
    };
    let mut words: Vec<String> = name.split(' ').map(without_lot).collect();
    if protocol == Protocol::Redis && words.len() > 3 {
        words[3..].sort();
        words.dedup();
    }
    format!("{protocol:?}: {}", words.join(" "))
}

fn without_lot(word: &str) -> String {
    if word.starts_with("{\"") {
        return "{…}".to_owned();
    }
    if word.len() >= 28 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return "…".to_owned();
    }
    let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let drawn = word
        .find('-')
        .filter(|at| *at >= 8 && word.is_char_boundary(at - 8) && is_hex(&word[at - 8..*at]));
    let word = drawn.map_or(word, |at| &word[..at - 8]);
    let mut text = String::new();
    for letter in word.chars() {
        let shown = if letter.is_ascii_digit() { '#' } else { letter };
        if shown != '#' || !text.ends_with('#') {
            text.push(shown);
        }
    }
    text
}
