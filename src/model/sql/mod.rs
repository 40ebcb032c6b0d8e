//! SQL migration scripts: directives, statements and what can be told of them.

mod depth;
mod directive;
mod lines;
mod substitute;

pub use directive::{DirectiveError, Directives};
pub use substitute::{SubstituteError, substitute};
/// The most similar of the known words, when one is similar enough to be meant.
fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(word.len()) / 2)
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}
