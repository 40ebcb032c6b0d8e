//! Every rule, its default level and where it looks.

use squawk_linter::Rule as Squawk;

use super::Level;
use crate::model::plan::WarningKind;

/// A rule of the linter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// Its name, in kebab case.
    pub name: &'static str,
    /// Its level where outpost.toml says nothing; `None` is off.
    pub level: Option<Level>,
    /// The rule of the SQL linter that finds it; `None` for those of this tool.
    pub(super) squawk: Option<Squawk>,
    /// A statement on tables that are new or emptied in the same file does no harm.
    pub(super) harmless_on_new: bool,
    /// Down and cleanup files are looked at too. What only says that something is dropped or locked is
    /// left out there: undoing is what they are for.
    pub(super) everywhere: bool,
    /// A comment in the file itself may accept it.
    pub(super) inline: bool,
    /// The sort of warning by which a plan's evidence says it already, with the sizes of the tables.
    pub(super) said_as: Option<WarningKind>,
}

impl Rule {
    const fn ours(name: &'static str, level: Option<Level>) -> Self {
        Self {
            name,
            level,
            squawk: None,
            harmless_on_new: false,
            everywhere: true,
            inline: true,
            said_as: None,
        }
    }

    const fn squawk(name: &'static str, rule: Squawk, level: Option<Level>) -> Self {
        Self {
            squawk: Some(rule),
            everywhere: false,
            ..Self::ours(name, level)
        }
    }

    const fn unless_new(self) -> Self {
        Self {
            harmless_on_new: true,
            ..self
        }
    }

    const fn everywhere(self) -> Self {
        Self {
            everywhere: true,
            ..self
        }
    }

    const fn said_as(self, kind: WarningKind) -> Self {
        Self {
            said_as: Some(kind),
            ..self
        }
    }

    /// A file that was tampered with must not be its own excuse.
    const fn not_inline(self) -> Self {
        Self {
            inline: false,
            ..self
        }
    }
}

const NOTE: Option<Level> = Some(Level::Note);
const WARN: Option<Level> = Some(Level::Warn);
const ERROR: Option<Level> = Some(Level::Error);

pub(super) const BAD_ALLOW: Rule = Rule::ours("bad-allow", ERROR).not_inline();
pub(super) const DATA_LOSS_UNDECLARED: Rule = Rule::ours("data-loss-undeclared", WARN);
pub(super) const ENUM_VALUE: Rule = Rule::ours("enum-value-in-transaction", NOTE);
pub(super) const FULL_TABLE_WRITE: Rule = Rule::ours("full-table-write", WARN)
    .unless_new()
    .said_as(WarningKind::Rewrite);
pub(super) const IRREVERSIBLE_STEP: Rule =
    Rule::ours("irreversible-step", WARN).said_as(WarningKind::Irreversible);
pub(super) const LOCAL_SETTING: Rule = Rule::ours("local-setting-without-transaction", WARN);
pub(super) const LOCK_ADDED: Rule = Rule::ours("lock-added-without-lock", WARN).not_inline();
pub(super) const LOCK_EDITED: Rule = Rule::ours("lock-edited", ERROR).not_inline();
pub(super) const LOCK_REMOVED: Rule = Rule::ours("lock-removed", ERROR).not_inline();
pub(super) const LOCK_REORDERED: Rule = Rule::ours("lock-reordered", ERROR).not_inline();
pub(super) const MISSING_VERIFY: Rule =
    Rule::ours("missing-verify", NOTE).said_as(WarningKind::NoVerification);
pub(super) const NOT_CHECKED: Rule = Rule::ours("not-checked", NOTE);
pub(super) const SCOPE_NOT_EXHAUSTIVE: Rule = Rule::ours("scope-not-exhaustive", NOTE);
pub(super) const SESSION_SETTING: Rule = Rule::ours("session-setting", WARN);
pub(super) const SYNTAX_UNREAD: Rule = Rule::ours("syntax-unread", ERROR);
pub(super) const UNUSED_ALLOW: Rule = Rule::ours("unused-allow", NOTE).not_inline();

/// The rules about the lock file.
pub(super) const LOCK: &[Rule] = &[LOCK_ADDED, LOCK_EDITED, LOCK_REMOVED, LOCK_REORDERED];

/// Every rule, ours first, then those about SQL.
pub const RULES: &[Rule] = &[
    BAD_ALLOW,
    DATA_LOSS_UNDECLARED,
    ENUM_VALUE,
    FULL_TABLE_WRITE,
    IRREVERSIBLE_STEP,
    LOCAL_SETTING,
    LOCK_ADDED,
    LOCK_EDITED,
    LOCK_REMOVED,
    LOCK_REORDERED,
    MISSING_VERIFY,
    NOT_CHECKED,
    SCOPE_NOT_EXHAUSTIVE,
    SESSION_SETTING,
    SYNTAX_UNREAD,
    UNUSED_ALLOW,
    // What Postgres refuses or silently changes.
    Rule::squawk("ban-drop-database", Squawk::BanDropDatabase, ERROR).everywhere(),
    Rule::squawk(
        "ban-duplicate-column-assignments",
        Squawk::BanDuplicateColumnAssignments,
        ERROR,
    )
    .everywhere(),
    Rule::squawk("identifier-too-long", Squawk::IdentifierTooLong, WARN).everywhere(),
    // What stops reads or writes for as long as a table is long.
    Rule::squawk(
        "adding-field-with-default",
        Squawk::AddingFieldWithDefault,
        WARN,
    )
    .unless_new()
    .said_as(WarningKind::Rewrite),
    Rule::squawk(
        "adding-foreign-key-constraint",
        Squawk::AddingForeignKeyConstraint,
        WARN,
    )
    .unless_new(),
    Rule::squawk(
        "adding-not-nullable-field",
        Squawk::AddingNotNullableField,
        WARN,
    )
    .unless_new(),
    Rule::squawk("adding-required-field", Squawk::AddingRequiredField, WARN).unless_new(),
    Rule::squawk(
        "adding-serial-primary-key-field",
        Squawk::AddingSerialPrimaryKeyField,
        WARN,
    )
    .unless_new(),
    Rule::squawk(
        "ban-alter-domain-with-add-constraint",
        Squawk::BanAlterDomainWithAddConstraint,
        WARN,
    ),
    Rule::squawk("changing-column-type", Squawk::ChangingColumnType, WARN)
        .unless_new()
        .said_as(WarningKind::Rewrite),
    Rule::squawk(
        "constraint-missing-not-valid",
        Squawk::ConstraintMissingNotValid,
        WARN,
    )
    .unless_new(),
    Rule::squawk(
        "disallowed-unique-constraint",
        Squawk::DisallowedUniqueConstraint,
        WARN,
    )
    .unless_new(),
    Rule::squawk(
        "require-concurrent-index-creation",
        Squawk::RequireConcurrentIndexCreation,
        WARN,
    )
    .unless_new()
    .said_as(WarningKind::Blocking),
    Rule::squawk(
        "require-concurrent-reindex",
        Squawk::RequireConcurrentReindex,
        WARN,
    )
    .said_as(WarningKind::Blocking),
    // What loses data or breaks the release that still runs.
    Rule::squawk("ban-drop-column", Squawk::BanDropColumn, WARN)
        .unless_new()
        .said_as(WarningKind::DataLoss),
    Rule::squawk("ban-drop-schema", Squawk::BanDropSchema, WARN),
    Rule::squawk("ban-drop-table", Squawk::BanDropTable, WARN)
        .unless_new()
        .said_as(WarningKind::DataLoss),
    Rule::squawk("ban-truncate-cascade", Squawk::BanTruncateCascade, WARN).everywhere(),
    Rule::squawk("renaming-column", Squawk::RenamingColumn, WARN).unless_new(),
    Rule::squawk("renaming-table", Squawk::RenamingTable, WARN).unless_new(),
    // What may break a client, which the author knows better.
    Rule::squawk("ban-alter-identity", Squawk::BanAlterIdentity, NOTE).unless_new(),
    Rule::squawk("ban-char-field", Squawk::BanCharField, NOTE),
    Rule::squawk("ban-drop-constraint", Squawk::BanDropConstraint, NOTE).unless_new(),
    Rule::squawk("ban-drop-default", Squawk::BanDropDefault, NOTE).unless_new(),
    Rule::squawk("ban-drop-domain", Squawk::BanDropDomain, NOTE),
    Rule::squawk("ban-drop-extension", Squawk::BanDropExtension, NOTE),
    Rule::squawk("ban-drop-function", Squawk::BanDropFunction, NOTE),
    Rule::squawk(
        "ban-drop-generated-expression",
        Squawk::BanDropGeneratedExpression,
        NOTE,
    )
    .unless_new(),
    Rule::squawk("ban-drop-not-null", Squawk::BanDropNotNull, NOTE).unless_new(),
    Rule::squawk("ban-drop-sequence", Squawk::BanDropSequence, NOTE),
    Rule::squawk("ban-drop-type", Squawk::BanDropType, NOTE),
    Rule::squawk("ban-drop-view", Squawk::BanDropView, NOTE),
    Rule::squawk("ban-set-schema", Squawk::BanSetSchema, NOTE).unless_new(),
    Rule::squawk("prefer-timestamp-tz", Squawk::PreferTimestampTz, NOTE),
    Rule::squawk("renaming-object", Squawk::RenamingObject, NOTE).unless_new(),
    Rule::squawk(
        "require-concurrent-partition-detach",
        Squawk::RequireConcurrentPartitionDetach,
        NOTE,
    ),
    // Brief under the runner's lock_timeout, matters of taste, or every change of a kind.
    Rule::squawk("ban-add-column", Squawk::BanAddColumn, None).unless_new(),
    Rule::squawk(
        "ban-add-composite-attribute",
        Squawk::BanAddCompositeAttribute,
        None,
    ),
    Rule::squawk("ban-add-enum-value", Squawk::BanAddEnumValue, None),
    Rule::squawk(
        "ban-alter-database-options",
        Squawk::BanAlterDatabaseOptions,
        None,
    ),
    Rule::squawk("ban-alter-extension", Squawk::BanAlterExtension, None),
    Rule::squawk(
        "ban-alter-function-options",
        Squawk::BanAlterFunctionOptions,
        None,
    ),
    Rule::squawk(
        "ban-alter-generated-expression",
        Squawk::BanAlterGeneratedExpression,
        None,
    )
    .unless_new(),
    Rule::squawk(
        "ban-alter-policy-condition",
        Squawk::BanAlterPolicyCondition,
        None,
    ),
    Rule::squawk("ban-alter-policy-roles", Squawk::BanAlterPolicyRoles, None),
    Rule::squawk("ban-alter-role-options", Squawk::BanAlterRoleOptions, None),
    Rule::squawk(
        "ban-alter-row-level-security",
        Squawk::BanAlterRowLevelSecurity,
        None,
    )
    .unless_new(),
    Rule::squawk(
        "ban-alter-sequence-values",
        Squawk::BanAlterSequenceValues,
        None,
    ),
    Rule::squawk(
        "ban-alter-system-options",
        Squawk::BanAlterSystemOptions,
        None,
    ),
    Rule::squawk("ban-alter-view-options", Squawk::BanAlterViewOptions, None),
    Rule::squawk(
        "ban-create-domain-with-constraint",
        Squawk::BanCreateDomainWithConstraint,
        None,
    ),
    Rule::squawk("ban-create-policy", Squawk::BanCreatePolicy, None),
    Rule::squawk("ban-detach-inheritance", Squawk::BanDetachInheritance, None),
    Rule::squawk("ban-disable-trigger", Squawk::BanDisableTrigger, None),
    Rule::squawk("ban-drop-index", Squawk::BanDropIndex, None),
    Rule::squawk("ban-drop-policy", Squawk::BanDropPolicy, None),
    Rule::squawk("ban-drop-trigger", Squawk::BanDropTrigger, None),
    Rule::squawk(
        "ban-new-write-restriction",
        Squawk::BanNewWriteRestriction,
        None,
    )
    .unless_new(),
    Rule::squawk(
        "ban-replace-view-function",
        Squawk::BanReplaceViewFunction,
        None,
    ),
    Rule::squawk("ban-replica-identity", Squawk::BanReplicaIdentity, None),
    Rule::squawk("ban-revoke", Squawk::BanRevoke, None),
    Rule::squawk("ban-set-default", Squawk::BanSetDefault, None).unless_new(),
    Rule::squawk("prefer-bigint-over-int", Squawk::PreferBigintOverInt, None),
    Rule::squawk(
        "prefer-bigint-over-smallint",
        Squawk::PreferBigintOverSmallint,
        None,
    ),
    Rule::squawk("prefer-identity", Squawk::PreferIdentity, None),
    Rule::squawk("prefer-text-field", Squawk::PreferTextField, None),
    Rule::squawk(
        "require-concurrent-index-deletion",
        Squawk::RequireConcurrentIndexDeletion,
        None,
    ),
    Rule::squawk(
        "require-enum-value-ordering",
        Squawk::RequireEnumValueOrdering,
        None,
    ),
    Rule::squawk("require-table-schema", Squawk::RequireTableSchema, None),
];

/// The rule with this name.
pub fn rule(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}

/// The rule whose name resembles this one.
pub fn nearest_rule(name: &str) -> Option<String> {
    crate::model::nearest::nearest(name, RULES.iter().map(|rule| rule.name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::collections::BTreeSet;

    use super::*;

    /// Rules of the SQL linter that cannot hold here. docs/lint.md says why for each.
    const LEFT_OUT: [Squawk; 9] = [
        Squawk::BanConcurrentIndexCreationInTransaction,
        Squawk::BanUncommittedTransaction,
        Squawk::PreferRepack,
        Squawk::PreferRobustStmts,
        Squawk::RequireLockTimeout,
        Squawk::RequireStatementTimeout,
        Squawk::RequireTimeoutSettings,
        Squawk::TransactionNesting,
        Squawk::UnusedIgnore,
    ];

    const DOCS: &str = include_str!("../../../docs/lint.md");

    #[test]
    fn every_rule_of_the_sql_linter_is_offered_or_left_out_for_a_reason() {
        for squawk in enum_iterator::all::<Squawk>() {
            let name = squawk.to_string();
            let offered = RULES.iter().filter(|rule| rule.squawk == Some(squawk));
            let offered: Vec<&str> = offered.map(|rule| rule.name).collect();
            if LEFT_OUT.contains(&squawk) {
                assert!(offered.is_empty(), "{name}");
                assert!(DOCS.contains(&format!("| `{name}` |")), "{name}");
            } else {
                assert_eq!(offered, [name]);
            }
        }
    }

    #[test]
    fn names_are_unique_and_the_documentation_gives_each_its_level() {
        let names: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
        assert_eq!(names.len(), RULES.len());
        for rule in RULES {
            let level = rule.level.map_or("off", Level::as_str);
            let row = format!("| `{}` | {level} |", rule.name);
            assert!(DOCS.contains(&row), "docs/lint.md lacks {row}");
        }
    }
}
