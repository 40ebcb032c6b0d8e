//! Fields whose values are converted one by one.

use super::OnError;
use crate::model::document::Text;
use crate::model::redis::convert::{Conversion, Outcome};
use crate::model::redis::declaration::{DeclarationError, DeclarationProblem, StepTable};
use crate::model::redis::op::{Change, Decision, Exception, KeyView, Problem, Work};

/// Fields, and the conversion that each goes through by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValuesForm {
    /// The fields.
    pub fields: Vec<String>,
    /// From which form to which.
    pub conversion: Conversion,
}

pub(super) fn parse(step: &StepTable<'_>, fields: &[Text]) -> Result<ValuesForm, DeclarationError> {
    let (from, to) = (step.format("from_format")?, step.format("to_format")?);
    let conversion = Conversion::new(from, to)
        .map_err(|e| step.error(step.line(), DeclarationProblem::Convert(e)))?;
    Ok(ValuesForm {
        fields: fields.iter().map(|field| field.raw.clone()).collect(),
        conversion,
    })
}

impl ValuesForm {
    pub(super) fn decide(&self, on_error: OnError, view: &KeyView) -> Decision {
        let mut changes = Vec::new();
        let mut exceptions = Vec::new();
        for (field, value) in view.fields.iter().enumerate() {
            let Some(old) = value else { continue };
            match self.conversion.apply(old) {
                Outcome::Already => {}
                Outcome::Converted(new) => changes.push(Change {
                    field,
                    lossy: self.conversion.loses(old),
                    old: Some(old.clone()),
                    new: Some(new),
                }),
                Outcome::Neither(misfit) if on_error == OnError::Record => {
                    exceptions.push(Exception { field, misfit });
                }
                Outcome::Neither(misfit) => {
                    let field = self.fields.get(field).cloned().unwrap_or_default();
                    return Decision::Refused(Problem::Unreadable {
                        field,
                        value: old.clone(),
                        misfit,
                    });
                }
            }
        }
        match (changes.is_empty(), exceptions.is_empty()) {
            (true, true) => Decision::Done,
            (true, false) => Decision::Excepted(exceptions),
            (false, _) => Decision::Work(Work::Convert {
                changes,
                exceptions,
            }),
        }
    }
}
