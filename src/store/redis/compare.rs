//! Whether copies equal their sources, element by element.

use redis::{Pipeline, Value};

use super::RedisStore;
use super::link::Session;
use super::payload;
use super::read::parsed;
use super::scripts::{self, Call};
use crate::model::redis::declaration::Declaration;
use crate::model::redis::later::{self, Fields};
use crate::model::redis::op::{Item, KeyType, KeyView, Op};
use crate::store::StoreError;

const DOING: &str = "comparing copies";
/// Elements of a value that are compared in one go.
const LARGEST: u64 = 10_000;

/// What comparing a copy with its source came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compared {
    NoTarget,
    Equal,
    Different,
    /// Larger than is compared.
    TooLarge,
    /// Of a type that is not compared.
    Incomparable,
}

/// A type, and the sizes of a source and its target by it; none of a target that is of another type.
type Size = (KeyType, u64, Option<u64>);
/// The sizes of some copies, in their order.
pub(super) type Sizes = Vec<Option<Size>>;

/// The place of a copy, its type, and the keys of its source and of itself.
type Copied<'i> = (usize, KeyType, [&'i [u8]; 2]);

/// Two keys that hold the same, as DUMP gave each: what tells later whether either has changed since.
pub(super) struct Pair {
    pub(super) source: Vec<u8>,
    pub(super) target: Vec<u8>,
}

impl RedisStore {
    /// How large sources and targets of copies are, by the type that the step expects; nothing for a step of
    /// another operation, or of any type.
    pub(super) async fn sizes(
        &self,
        session: Session<'_>,
        items: &[Item<'_>],
    ) -> Result<Sizes, StoreError> {
        let kind = items.first().and_then(|item| match &item.step.op {
            Op::Copy(copy) => copy.kind,
            _ => None,
        });
        let kinds = vec![kind; items.len()];
        self.sizes_of(session, items, kinds).await
    }

    async fn sizes_of(
        &self,
        session: Session<'_>,
        items: &[Item<'_>],
        kinds: Vec<Option<KeyType>>,
    ) -> Result<Sizes, StoreError> {
        let mut pipeline = Pipeline::new();
        for (item, kind) in items.iter().zip(&kinds) {
            if let (Some(kind), Some(target)) = (kind, &item.target) {
                let size = size_command(*kind);
                pipeline.cmd(size).arg(&item.key).cmd(size).arg(target);
            }
        }
        let mut answers = session.pipeline(DOING, &pipeline).await?.into_iter();
        let mut sizes = Vec::with_capacity(items.len());
        for (item, kind) in items.iter().zip(kinds) {
            let mut next = || {
                let answer = answers.next()?;
                // Of another type by now, or gone.
                parsed(session, answer).ok()
            };
            sizes.push(match (kind, &item.target) {
                (Some(kind), Some(_)) => Some((kind, next().unwrap_or_default(), next())),
                _ => None,
            });
        }
        Ok(sizes)
    }

    /// Compares targets with their sources, and with what later migrations made of them, with reading
    /// commands alone.
    pub(super) async fn compare(
        &self,
        session: Session<'_>,
        items: &[Item<'_>],
        (views, sizes): (&[KeyView], Sizes),
        later: &[Declaration],
    ) -> Result<Vec<Compared>, StoreError> {
        let mut compared = vec![Compared::NoTarget; items.len()];
        let kinds: Vec<Option<KeyType>> = views
            .iter()
            .map(|view| view.kind.filter(|_| view.target))
            .collect();
        let fits = |(kind, size): (&Option<KeyType>, &Option<Size>)| {
            kind.is_none_or(|kind| size.is_some_and(|(known, ..)| known == kind))
        };
        let sizes = match kinds.iter().zip(&sizes).all(fits) {
            true => sizes,
            false => self.sizes_of(session, items, kinds.clone()).await?,
        };
        let mut read: Vec<Copied<'_>> = Vec::new();
        for (place, ((item, kind), size)) in items.iter().zip(&kinds).zip(&sizes).enumerate() {
            let (Some(_), Some((kind, left, right)), Some(target)) = (kind, size, &item.target)
            else {
                continue;
            };
            let (kind, left, right) = (*kind, *left, *right);
            // A hash may have got fields, or lost some, in a migration that came later.
            let same_size = right == Some(left);
            let outcome = if !same_size && (later.is_empty() || kind != KeyType::Hash) {
                Compared::Different
            } else if left > LARGEST && kind != KeyType::String {
                Compared::TooLarge
            } else if content_command(kind).is_none() {
                Compared::Incomparable
            } else {
                read.push((place, kind, [item.key.as_slice(), target.as_slice()]));
                continue;
            };
            if let Some(known) = compared.get_mut(place) {
                *known = outcome;
            }
        }
        if later.is_empty() {
            let equal = self.dumped_alike(session, &mut read).await?;
            for place in equal {
                if let Some(known) = compared.get_mut(place) {
                    *known = Compared::Equal;
                }
            }
        }
        let mut contents = Pipeline::new();
        for (_, kind, keys) in &read {
            for (key, (name, behind)) in keys.iter().zip(content_command(*kind).into_iter().cycle())
            {
                contents.cmd(name).arg(*key).arg(behind);
            }
        }
        let mut contents = session.pipeline(DOING, &contents).await?.into_iter();
        for (place, kind, [_, target]) in read {
            let equal = match (contents.next(), contents.next()) {
                (Some(Ok(left)), Some(Ok(right))) => agree(kind, left, right, |source| {
                    later::expected(later, target, source)
                }),
                _ => false,
            };
            if let Some(known) = compared.get_mut(place) {
                *known = if equal {
                    Compared::Equal
                } else {
                    Compared::Different
                };
            }
        }
        Ok(compared)
    }

    /// Takes those copies out whose DUMP shows that they equal their source, and gives their places. Reading whole
    /// values as one piece each is what makes this fast. A user without the right is asked element by element.
    async fn dumped_alike(
        &self,
        session: Session<'_>,
        read: &mut Vec<Copied<'_>>,
    ) -> Result<Vec<usize>, StoreError> {
        // Of a long string DUMP makes a shorter one, at the server's cost.
        let in_pieces = |kind: KeyType| kind != KeyType::String;
        let mut dumps = Pipeline::new();
        for (_, kind, keys) in read.iter() {
            if in_pieces(*kind) {
                for key in keys {
                    dumps.cmd("DUMP").arg(*key);
                }
            }
        }
        let mut dumps = session.pipeline(DOING, &dumps).await?.into_iter();
        let mut alike = Vec::new();
        read.retain(|(place, kind, _)| {
            let same = in_pieces(*kind)
                && matches!(
                    (dumps.next(), dumps.next()),
                    (Some(Ok(Value::BulkString(source))), Some(Ok(Value::BulkString(copy))))
                        if payload::same(&source, &copy)
                );
            if same {
                alike.push(*place);
            }
            !same
        });
        Ok(alike)
    }

    /// Those of some copies that equal their source, or what later migrations made of it, each key read in
    /// one atomic unit. Too large a value counts as different.
    pub(super) async fn equal(
        &self,
        session: Session<'_>,
        items: &[Item<'_>],
        views: &[KeyView],
        later: &[Declaration],
    ) -> Result<Vec<Option<Pair>>, StoreError> {
        let mut calls = Vec::new();
        let mut places = Vec::new();
        for (place, (item, view)) in items.iter().zip(views).enumerate() {
            if let (true, Some(_), Some(target)) = (view.target, view.kind, &item.target) {
                for key in [&item.key, target] {
                    calls.push(Call::new(&scripts::CONTENTS).key(key.as_slice()));
                }
                places.push((place, target));
            }
        }
        let mut answers = Call::run_all(&calls, session, DOING).await?.into_iter();
        let mut pairs: Vec<Option<Pair>> = items.iter().map(|_| None).collect();
        for (place, target) in places {
            let mut next = || -> Result<(String, Vec<u8>, Value), StoreError> {
                parsed(session, answers.next().unwrap_or(Ok(Value::Nil)))
            };
            let (left, right) = (next()?, next()?);
            let kind = KeyType::from_reply(&left.0).unwrap_or(KeyType::Other);
            let same = left.0 == right.0
                && !left.1.is_empty()
                && !right.1.is_empty()
                && agree(kind, left.2, right.2, |source| {
                    later::expected(later, target, source)
                });
            if let (true, Some(pair)) = (same, pairs.get_mut(place)) {
                *pair = Some(Pair {
                    source: left.1,
                    target: right.1,
                });
            }
        }
        Ok(pairs)
    }
}

/// Whether a copy holds what its source holds, or what later migrations made of it. `made_of` gives the fields
/// that these make of a hash's; `None` where that cannot be told.
pub(super) fn agree(
    kind: KeyType,
    source: Value,
    copy: Value,
    made_of: impl FnOnce(Fields) -> Option<Fields>,
) -> bool {
    // Mostly in the same order, and then nothing has to be sorted.
    if source == copy {
        return true;
    }
    let (Some(mut left), Some(mut right)) = (elements(kind, &source), elements(kind, &copy)) else {
        return false;
    };
    if matches!(kind, KeyType::Hash | KeyType::Set) {
        // Their order depends on the encoding.
        left.sort_unstable();
        right.sort_unstable();
    }
    if left == right {
        return true;
    }
    kind == KeyType::Hash && made_of(as_fields(&left)).is_some_and(|made| made == as_fields(&right))
}

/// An element of a value; for a hash a field and its value.
type Element<'v> = (&'v [u8], &'v [u8]);

/// A value's elements, as the server gave them.
fn elements(kind: KeyType, value: &Value) -> Option<Vec<Element<'_>>> {
    fn bytes(value: &Value) -> Option<&[u8]> {
        match value {
            Value::BulkString(bytes) => Some(bytes),
            _ => None,
        }
    }
    match value {
        Value::Array(values) if kind == KeyType::Hash => values
            .chunks(2)
            .map(|pair| Some((bytes(pair.first()?)?, bytes(pair.get(1)?)?)))
            .collect(),
        Value::Array(values) => values
            .iter()
            .map(|value| Some((bytes(value)?, &b""[..])))
            .collect(),
        value => Some(vec![(bytes(value)?, b"")]),
    }
}

fn as_fields(elements: &[Element<'_>]) -> Fields {
    let owned = elements
        .iter()
        .map(|(field, value)| (field.to_vec(), value.to_vec()));
    owned.collect()
}

pub(super) fn size_command(kind: KeyType) -> &'static str {
    match kind {
        KeyType::String => "STRLEN",
        KeyType::Hash => "HLEN",
        KeyType::List => "LLEN",
        KeyType::Set => "SCARD",
        KeyType::SortedSet => "ZCARD",
        KeyType::Stream => "XLEN",
        KeyType::Other => "EXISTS",
    }
}

/// The command that reads a whole value, and its arguments behind the key; `None` for a type that is not compared.
fn content_command(kind: KeyType) -> Option<(&'static str, &'static [&'static str])> {
    Some(match kind {
        KeyType::String => ("GET", &[]),
        KeyType::Hash => ("HGETALL", &[]),
        KeyType::List => ("LRANGE", &["0", "-1"]),
        KeyType::Set => ("SMEMBERS", &[]),
        KeyType::SortedSet => ("ZRANGE", &["0", "-1", "WITHSCORES"]),
        KeyType::Stream | KeyType::Other => return None,
    })
}
