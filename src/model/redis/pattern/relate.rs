//! What patterns alone show: keys that two of them share, keys of one that others leave out.
//!
//! Patterns are regular but for captures used twice, which are taken as independent here. So what is
//! found for such a pattern counts only once a real key confirms it, and otherwise stays unknown.

use std::collections::{BTreeMap, VecDeque};

use super::{Class, Part, Pattern};

/// Transitions followed before an inclusion is given up as unknown: about a tenth of a second.
const WORK: usize = 1_000_000;

/// How the keys of a pattern lie to those of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inclusion {
    /// Proven: every key is matched by one of the others.
    Inside,
    /// This key is matched by the pattern and by none of the others.
    Outside(Vec<u8>),
    /// Neither proof nor example: a capture is used twice, or the search grew too large.
    Unknown,
}

/// A key, the shortest where captures are not used twice, that both patterns match. `None` proves
/// that there is none, except where [`Pattern::repeats_a_capture`]: there it says that none was found.
pub fn overlaps(a: &Pattern, b: &Pattern) -> Option<Vec<u8>> {
    let key = shared_key(&Automaton::new([a]), &Automaton::new([b]))?;
    (a.matches(&key) && b.matches(&key)).then_some(key)
}

/// Whether every key of `pattern` is proven to lie in `scope`.
pub fn contains(scope: &Pattern, pattern: &Pattern) -> bool {
    inclusion(pattern, &[scope]) == Inclusion::Inside
}

/// A key of `pattern` that is not in `scope`, if one is found.
pub fn outside(pattern: &Pattern, scope: &Pattern) -> Option<Vec<u8>> {
    match inclusion(pattern, &[scope]) {
        Inclusion::Outside(key) => Some(key),
        Inclusion::Inside | Inclusion::Unknown => None,
    }
}

/// Whether the keys of `pattern` all lie in `others` taken together.
pub fn inclusion(pattern: &Pattern, others: &[&Pattern]) -> Inclusion {
    match first_outside(
        &Automaton::new([pattern]),
        &Automaton::new(others.iter().copied()),
    ) {
        Search::Found(key)
            if pattern.matches(&key) && !others.iter().any(|other| other.matches(&key)) =>
        {
            Inclusion::Outside(key)
        }
        Search::Exhausted if others.iter().all(|other| !other.repeats_a_capture()) => {
            Inclusion::Inside
        }
        Search::Found(_) | Search::Exhausted | Search::TooLarge => Inclusion::Unknown,
    }
}

/// Bytes that one step takes.
#[derive(Clone, Copy)]
enum Bytes {
    One(u8),
    Of(Class),
}

impl Bytes {
    fn admits(self, byte: u8) -> bool {
        match self {
            Self::One(own) => own == byte,
            Self::Of(class) => class.admits(byte),
        }
    }

    /// A byte in both, a printable one where there is a choice.
    fn shared(self, other: Self) -> Option<u8> {
        match (self, other) {
            (Self::One(byte), set) | (set, Self::One(byte)) => set.admits(byte).then_some(byte),
            (Self::Of(_), Self::Of(_)) => Some(b'a'),
        }
    }
}

/// A state's way on.
#[derive(Clone, Copy)]
enum Step {
    /// Takes one byte to the next state.
    Next(Bytes),
    /// Stays for any number of bytes, and is in the next state as well.
    Stay(Bytes),
    /// Nowhere; a key that ends here is matched.
    End,
}

/// The states of one or more patterns, each pattern's one after the other.
struct Automaton {
    steps: Vec<Step>,
    starts: Vec<usize>,
}

impl Automaton {
    fn new<'a>(patterns: impl IntoIterator<Item = &'a Pattern>) -> Self {
        let (mut steps, mut starts) = (Vec::new(), Vec::new());
        for pattern in patterns {
            starts.push(steps.len());
            for part in &pattern.parts {
                match part {
                    Part::Literal(bytes) => {
                        steps.extend(bytes.iter().map(|byte| Step::Next(Bytes::One(*byte))))
                    }
                    Part::Capture { class, .. } => {
                        if class.shortest() == 1 {
                            steps.push(Step::Next(Bytes::Of(*class)));
                        }
                        steps.push(Step::Stay(Bytes::Of(*class)));
                    }
                }
            }
            steps.push(Step::End);
        }
        Self { steps, starts }
    }

    /// The state a byte leads to; `Stay`'s second state is the caller's to follow.
    fn take(&self, state: usize) -> Option<(Bytes, usize)> {
        match self.steps[state] {
            Step::Next(bytes) => Some((bytes, state + 1)),
            Step::Stay(bytes) => Some((bytes, state)),
            Step::End => None,
        }
    }

    fn is_end(&self, state: usize) -> bool {
        matches!(self.steps[state], Step::End)
    }

    fn stays(&self, state: usize) -> bool {
        matches!(self.steps[state], Step::Stay(_))
    }

    /// Whether every continuation is matched from here.
    fn takes_all(&self, state: usize) -> bool {
        matches!(self.steps[state], Step::Stay(Bytes::Of(Class::Any))) && self.is_end(state + 1)
    }

    /// Adds a state, and the one it is in as well, to a sorted set.
    fn enter(&self, set: &mut Vec<usize>, state: usize) {
        for state in state..=state + usize::from(self.stays(state)) {
            if let Err(place) = set.binary_search(&state) {
                set.insert(place, state);
            }
        }
    }
}

/// The shortest key that takes both automata, of one pattern each, from start to end.
fn shared_key(a: &Automaton, b: &Automaton) -> Option<Vec<u8>> {
    let width = b.steps.len();
    let mut from: Vec<Option<(usize, Option<u8>)>> = vec![None; a.steps.len() * width];
    let mut queue = VecDeque::from([(0, 0, None)]);
    while let Some((pair, previous, byte)) = queue.pop_front() {
        if from[pair].is_some() {
            continue;
        }
        from[pair] = Some((previous, byte));
        let (i, j) = (pair / width, pair % width);
        if a.is_end(i) && b.is_end(j) {
            return Some(trace(pair, |pair| {
                from[pair].filter(|(previous, _)| *previous != pair)
            }));
        }
        if a.stays(i) {
            queue.push_front((pair + width, pair, None));
        }
        if b.stays(j) {
            queue.push_front((pair + 1, pair, None));
        }
        if let (Some((left, i)), Some((right, j))) = (a.take(i), b.take(j))
            && let Some(byte) = left.shared(right)
        {
            queue.push_back((i * width + j, pair, Some(byte)));
        }
    }
    None
}

/// The bytes on the way to a node, by the way back to the first, which has no step.
fn trace(mut node: usize, back: impl Fn(usize) -> Option<(usize, Option<u8>)>) -> Vec<u8> {
    let mut key = Vec::new();
    while let Some((previous, byte)) = back(node) {
        key.extend(byte);
        node = previous;
    }
    key.reverse();
    key
}

enum Search {
    Found(Vec<u8>),
    Exhausted,
    TooLarge,
}

/// The shortest key of `own` that `others` do not match, by walking both, with the states that
/// `others` can be in kept as a set.
fn first_outside(own: &Automaton, others: &Automaton) -> Search {
    let symbols = symbols(own, others);
    let mut start = Vec::new();
    for state in &others.starts {
        others.enter(&mut start, *state);
    }
    let mut seen = BTreeMap::from([((0, start.clone()), 0)]);
    let mut nodes = vec![(0, start, None)];
    let mut work = 0;
    let mut at = 0;
    while let Some((state, set, _)) = nodes.get(at).cloned() {
        let states = state..=state + usize::from(own.stays(state));
        if states.clone().any(|state| own.is_end(state))
            && !set.iter().any(|state| others.is_end(*state))
        {
            return Search::Found(trace(at, |node| nodes[node].2));
        }
        if set.iter().any(|state| others.takes_all(*state)) {
            at += 1;
            continue;
        }
        for symbol in &symbols {
            let mut after = Vec::new();
            let mut stepped = false;
            for (_, next) in states
                .clone()
                .filter_map(|state| own.take(state))
                .filter(|(set, _)| set.admits(*symbol))
            {
                if !stepped {
                    stepped = true;
                    work += set.len() + 1;
                    for (bytes, next) in set.iter().filter_map(|state| others.take(*state)) {
                        if bytes.admits(*symbol) {
                            others.enter(&mut after, next);
                        }
                    }
                }
                let fresh = nodes.len();
                if *seen.entry((next, after.clone())).or_insert(fresh) == fresh {
                    nodes.push((next, after.clone(), Some((at, Some(*symbol)))));
                }
            }
        }
        work += symbols.len();
        if work > WORK {
            return Search::TooLarge;
        }
        at += 1;
    }
    Search::Exhausted
}

/// Bytes enough to tell any two steps apart: those written, those that captures exclude, and one
/// that stands for all the others. Letters and digits first, so that examples can be read.
fn symbols(own: &Automaton, others: &Automaton) -> Vec<u8> {
    let mut symbols = vec![b':', b'{', b'}'];
    for step in own.steps.iter().chain(&others.steps) {
        if let Step::Next(Bytes::One(byte)) = step {
            symbols.push(*byte);
        }
    }
    let plain = |byte: &u8| {
        (
            !byte.is_ascii_alphanumeric(),
            !byte.is_ascii_graphic(),
            *byte,
        )
    };
    let mut rest: Vec<u8> = (0..=u8::MAX)
        .filter(|byte| !symbols.contains(byte))
        .collect();
    rest.sort_by_key(|byte| (plain(byte), *byte));
    symbols.extend(
        rest.iter()
            .find(|byte| byte.is_ascii_lowercase())
            .or(rest.first()),
    );
    symbols.sort_by_key(plain);
    symbols.dedup();
    symbols
}
