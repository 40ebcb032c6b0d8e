//! One field of JSON and fields for its members, one from the other.

use super::OnError;
use crate::model::document::Text;
use crate::model::redis::convert::{ConvertError, Format, MemberType, Members, Misfit};
use crate::model::redis::declaration::{DeclarationError, DeclarationProblem, StepTable};
use crate::model::redis::op::{Change, Decision, Exception, KeyView, Problem, Work};

/// A field that holds a JSON object, or the fields that its members are in. A hash has one or the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembersForm {
    /// The field of JSON.
    pub field: String,
    /// Its members, which are fields of the same names.
    pub members: Members,
    /// Which becomes which.
    pub way: Way,
}

/// Which way JSON is converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From JSON to fields.
    Split,
    /// From fields to JSON.
    Join,
}

/// Reads the formats where one of them is a table of fields; `None` where neither is.
pub(super) fn parse(
    step: &StepTable<'_>,
    fields: &[Text],
) -> Result<Option<MembersForm>, DeclarationError> {
    let from = listed(step, "from_format")?;
    let to = listed(step, "to_format")?;
    let (members, other, way) = match (from, to) {
        (None, None) => return Ok(None),
        (None, Some(to)) => (to, "from_format", Way::Split),
        (Some(from), None) => (from, "to_format", Way::Join),
        (Some(_), Some(_)) => {
            let problem = DeclarationProblem::Convert(ConvertError::FieldsWithoutJson);
            return Err(step.error(step.line(), problem));
        }
    };
    if step.format(other)? != Format::Json {
        let problem = DeclarationProblem::Convert(ConvertError::FieldsWithoutJson);
        return Err(step.error(step.line(), problem));
    }
    let [field] = fields else {
        return Err(step.error(step.line(), DeclarationProblem::OneFieldOfJson));
    };
    if members.names().any(|name| name == field.raw) {
        let problem = DeclarationProblem::MemberInPlace {
            field: field.raw.clone(),
        };
        return Err(step.error(field.line, problem));
    }
    Ok(Some(MembersForm {
        field: field.raw.clone(),
        members,
        way,
    }))
}

/// The table `{ fields = { name = "type" } }`, if that is what stands there.
fn listed(step: &StepTable<'_>, key: &str) -> Result<Option<Members>, DeclarationError> {
    let Some(fields) = step.fields_of(key)? else {
        return Ok(None);
    };
    let members = fields
        .names()
        .map(|name| {
            let kind = fields.word(name, &MemberType::NAMED)?;
            Ok((name.to_owned(), kind.unwrap_or(MemberType::Json)))
        })
        .collect::<Result<Vec<_>, DeclarationError>>()?;
    Members::new(members).map(Some).ok_or_else(|| {
        let key = format!("{key}.fields");
        fields.error(fields.line(), DeclarationProblem::Empty { key })
    })
}

impl MembersForm {
    /// The field of JSON, then those of its members.
    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        [self.field.as_str()]
            .into_iter()
            .chain(self.members.names())
    }

    pub(super) fn reversed(&self) -> Self {
        let way = match self.way {
            Way::Split => Way::Join,
            Way::Join => Way::Split,
        };
        Self {
            way,
            ..self.clone()
        }
    }

    pub(super) fn decide(&self, on_error: OnError, view: &KeyView) -> Decision {
        let (json, texts) = match view.fields.split_first() {
            Some((json, texts)) => (json.as_deref(), texts),
            None => return Decision::Done,
        };
        let old = match self.way {
            Way::Split => json.is_some(),
            Way::Join => texts.iter().any(Option::is_some),
        };
        if !old {
            return Decision::Done;
        }
        match self.converted(json, texts) {
            Ok(new) => {
                let lossy = self.loses(&view.fields, &new);
                let changes = view.fields.iter().zip(new).enumerate();
                let changes = changes.map(|(field, (old, new))| Change {
                    field,
                    lossy: lossy && field == 0,
                    old: old.clone(),
                    new,
                });
                Decision::Work(Work::Convert {
                    changes: changes.collect(),
                    exceptions: Vec::new(),
                })
            }
            Err((field, misfit)) if on_error == OnError::Record => {
                Decision::Excepted(vec![Exception { field, misfit }])
            }
            Err((field, misfit)) => Decision::Refused(Problem::Unreadable {
                field: self.fields().nth(field).unwrap_or_default().to_owned(),
                value: view
                    .fields
                    .get(field)
                    .cloned()
                    .flatten()
                    .unwrap_or_default(),
                misfit,
            }),
        }
    }

    /// What the fields become, in their order; or the field that is in the way, and why. What is there
    /// already must be what would be written.
    fn converted(
        &self,
        json: Option<&[u8]>,
        texts: &[Option<Vec<u8>>],
    ) -> Result<Vec<Option<Vec<u8>>>, (usize, Misfit)> {
        let taken = |field: usize| (field, Misfit::Taken);
        match self.way {
            Way::Split => {
                let new = self
                    .members
                    .split(json.unwrap_or_default())
                    .map_err(|misfit| (0, misfit))?;
                let differs = |(found, new): (&Option<Vec<u8>>, &Option<Vec<u8>>)| {
                    found.is_some() && found != new
                };
                if let Some(member) = texts.iter().zip(&new).position(differs) {
                    return Err(taken(member + 1));
                }
                Ok([None].into_iter().chain(new).collect())
            }
            Way::Join => {
                let joined = self
                    .members
                    .join(texts)
                    .map_err(|(member, misfit)| (member + 1, misfit))?;
                if json.is_some_and(|json| json != joined) {
                    return Err(taken(0));
                }
                let mut new = vec![None; texts.len() + 1];
                new[0] = Some(joined);
                Ok(new)
            }
        }
    }

    /// Whether the way back would not give all of the fields as they are. Where both forms are there and
    /// agree, it gives only the old one.
    fn loses(&self, old: &[Option<Vec<u8>>], new: &[Option<Vec<u8>>]) -> bool {
        let Some((json, texts)) = new.split_first() else {
            return false;
        };
        match self.reversed().converted(json.as_deref(), texts) {
            Ok(back) => back != old,
            Err(_) => true,
        }
    }
}
