//! What patterns alone show, before any key is read: keys matched twice, keys matched by nothing.
//!
//! What they cannot show (a capture used twice, a search that grew too large) is found on real keys, where
//! it stops the plan.

use super::{Declaration, DeclarationError, DeclarationProblem, Step};
use crate::model::redis::pattern::{Inclusion, Pattern, inclusion, overlaps};

pub(super) fn check(file: &str, declaration: &Declaration) -> Result<(), DeclarationError> {
    let at = |step: &Step, problem| Err(DeclarationError::new(file, step.line, problem));
    let keyed: Vec<(&Step, &Pattern)> = declaration
        .steps
        .iter()
        .filter_map(|step| Some((step, step.op.pattern()?)))
        .collect();
    for (index, (step, pattern)) in keyed.iter().enumerate() {
        for (earlier, other) in &keyed[..index] {
            if let Some(example) = overlaps(other, pattern) {
                let (first, second) = (earlier.number, step.number);
                return at(
                    step,
                    DeclarationProblem::StepsOverlap {
                        first,
                        second,
                        example,
                    },
                );
            }
        }
        for ignore in &declaration.ignore {
            if let Some(example) = overlaps(pattern, ignore) {
                let pattern = ignore.to_string();
                return at(
                    step,
                    DeclarationProblem::IgnoreOverlap {
                        step: step.number,
                        pattern,
                        example,
                    },
                );
            }
        }
        let scope: Vec<&Pattern> = declaration.scope.iter().collect();
        if let Inclusion::Outside(example) = inclusion(pattern, &scope) {
            return at(
                step,
                DeclarationProblem::OutsideScope {
                    step: step.number,
                    example,
                },
            );
        }
    }
    let targets: Vec<(&Step, Pattern)> = declaration
        .steps
        .iter()
        .filter_map(|step| Some((step, step.op.targets()?)))
        .collect();
    for (index, (step, target)) in targets.iter().enumerate() {
        for (matched, pattern) in &keyed {
            if let Some(example) = overlaps(target, pattern) {
                let (step_number, matched) = (step.number, matched.number);
                return at(
                    step,
                    DeclarationProblem::TargetIsSource {
                        operation: step.op.name(),
                        step: step_number,
                        matched,
                        example,
                    },
                );
            }
        }
        for (earlier, other) in &targets[..index] {
            if let Some(example) = overlaps(other, target) {
                let (first, second) = (earlier.number, step.number);
                return at(
                    step,
                    DeclarationProblem::TargetsOverlap {
                        first,
                        second,
                        example,
                    },
                );
            }
        }
        if let Some(example) = unaccounted(declaration, target) {
            return at(
                step,
                DeclarationProblem::TargetUnaccounted {
                    operation: step.op.name(),
                    step: step.number,
                    example,
                },
            );
        }
    }
    Ok(())
}

/// A target in scope that no ignore pattern covers: the next pass would find it unaccounted for.
fn unaccounted(declaration: &Declaration, target: &Pattern) -> Option<Vec<u8>> {
    let ignore: Vec<&Pattern> = declaration.ignore.iter().collect();
    let in_scope = declaration
        .scope
        .iter()
        .any(|scope| overlaps(scope, target).is_some());
    if !in_scope {
        return None;
    }
    match inclusion(target, &ignore) {
        Inclusion::Outside(example)
            if declaration
                .scope
                .iter()
                .any(|scope| scope.matches(&example)) =>
        {
            Some(example)
        }
        _ => None,
    }
}
