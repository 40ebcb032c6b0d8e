//! Splits a text into statements and decides whether it can run.

use squawk_syntax::{
    SourceFile, SyntaxKind, SyntaxNode,
    ast::{AstNode, Stmt},
};

use super::{
    AllowComment, Class, Directives, IndexAction, Note, NoteKind, Script, ScriptError, Statement,
    SyntaxProblem,
    classify::classify,
    control::{Control, control_by_words, control_of},
    depth::Unparsed,
    directive::{DirectiveError, directive_in},
    lines::Lines,
    tree,
};

/// One file on its way to a [`Script`].
pub(super) struct Reader<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
    pub(super) lines: Lines<'a>,
}

/// A statement before it is judged.
struct Parsed {
    node: SyntaxNode,
    statement: Statement,
}

impl Reader<'_> {
    /// Splits the text and judges every statement.
    pub(super) fn script(&self, directives: &Directives) -> Result<Script, ScriptError> {
        let parse = SourceFile::parse(self.text);
        let root = parse.syntax_node();
        let mut parsed: Vec<Parsed> = root
            .children()
            .filter(|node| Stmt::can_cast(node.kind()))
            .filter_map(|node| self.statement(node))
            .collect();
        self.refuse_client_side(&root, &parsed)?;
        self.refuse_late_directives(&root)?;
        let problems = self.problems(&root, &parse.errors());
        let mut script = Script {
            file: self.file.to_owned(),
            directives: directives.clone(),
            statements: Vec::new(),
            unwrapped: false,
            problems,
            notes: Vec::new(),
            allows: Vec::new(),
        };
        if script.problems.is_empty() {
            script.unwrapped = self.unwrap(&mut parsed, directives.transaction)?;
            self.refuse_outside_transaction(&parsed, directives.transaction)?;
            script.notes = parsed
                .iter()
                .filter_map(|parsed| note(parsed, directives.transaction))
                .collect();
        }
        script.statements = parsed.into_iter().map(|parsed| parsed.statement).collect();
        script.allows = self.allows(&root, &script.statements);
        Ok(script)
    }

    /// The whole text as one statement, judged by its words alone.
    pub(super) fn one_piece(&self, directives: &Directives) -> Result<Script, ScriptError> {
        let root = SourceFile::parse(self.text).syntax_node();
        self.refuse_late_directives(&root)?;
        if let Some(token) = control_by_words(&root) {
            return Err(ScriptError::TransactionControl {
                file: self.file.to_owned(),
                line: self.lines.line(token.text_range().start().into()),
                statement: token.text().to_owned(),
            });
        }
        let class = || Class {
            verb: "script".to_owned(),
            ..Class::default()
        };
        let statement = self.slice(&root).map(|(offset, text)| Statement {
            text: text.to_owned(),
            line: self.lines.line(offset),
            offset,
            class: class(),
        });
        Ok(Script {
            file: self.file.to_owned(),
            directives: directives.clone(),
            statements: statement.into_iter().collect(),
            unwrapped: false,
            problems: Vec::new(),
            notes: Vec::new(),
            allows: Vec::new(),
        })
    }

    /// A script that nothing is known of but that it could not be read.
    pub(super) fn unparsed(&self, directives: Directives, unparsed: &Unparsed) -> Script {
        let message = match unparsed {
            Unparsed::TooDeep => "an expression is nested too deep to be read",
            Unparsed::ParserFault => "the parser failed on this file, which is a bug",
        };
        Script {
            file: self.file.to_owned(),
            directives,
            statements: Vec::new(),
            unwrapped: false,
            problems: vec![self.problem(0, message)],
            notes: Vec::new(),
            allows: Vec::new(),
        }
    }

    /// The text from the first to the last token that is no semicolon, and its offset.
    fn slice(&self, node: &SyntaxNode) -> Option<(usize, &str)> {
        let mut meaningful =
            tree::tokens(node).filter(|token| token.kind() != SyntaxKind::SEMICOLON);
        let first = meaningful.next()?.text_range();
        let last = meaningful.last().map_or(first, |token| token.text_range());
        let start = usize::from(first.start());
        Some((start, &self.text[start..last.end().into()]))
    }

    fn statement(&self, node: SyntaxNode) -> Option<Parsed> {
        let (offset, text) = self.slice(&node)?;
        let statement = Statement {
            text: text.to_owned(),
            line: self.lines.line(offset),
            offset,
            class: classify(&node),
        };
        Some(Parsed { node, statement })
    }

    /// What only psql can do: its own commands, and COPY with rows from the client.
    fn refuse_client_side(&self, root: &SyntaxNode, parsed: &[Parsed]) -> Result<(), ScriptError> {
        let command = tree::tokens(root)
            .filter(|token| token.kind() == SyntaxKind::ERROR && token.text().starts_with('\\'))
            .map(|token| usize::from(token.text_range().start()))
            .find_map(|at| {
                let (line, column) = self.lines.line_and_column(at);
                let text = self.lines.text_of(line).trim_start();
                let at_start = text.starts_with('\\')
                    && column
                        == self.lines.text_of(line).chars().count() - text.chars().count() + 1;
                at_start.then(|| (at, line, text.split_whitespace().next().unwrap_or("\\")))
            });
        let copy = parsed.iter().find(|parsed| {
            parsed.node.kind() == SyntaxKind::COPY
                && parsed.node.descendants().any(|node| {
                    matches!(
                        node.kind(),
                        SyntaxKind::COPY_STDIN | SyntaxKind::COPY_STDOUT
                    )
                })
        });
        let file = || self.file.to_owned();
        match (command, copy) {
            (Some((at, line, command)), copy)
                if copy.is_none_or(|copy| at < copy.statement.offset) =>
            {
                Err(ScriptError::MetaCommand {
                    file: file(),
                    line,
                    command: command.to_owned(),
                })
            }
            (_, Some(copy)) => Err(ScriptError::ClientCopy {
                file: file(),
                line: copy.statement.line,
                statement: copy.statement.excerpt(),
            }),
            _ => Ok(()),
        }
    }

    fn refuse_late_directives(&self, root: &SyntaxNode) -> Result<(), ScriptError> {
        let Some((first, _)) = self.slice(root) else {
            return Ok(());
        };
        root.descendants_with_tokens()
            .filter_map(|element| element.into_token())
            .filter(|token| token.kind() == SyntaxKind::COMMENT)
            .filter(|token| usize::from(token.text_range().start()) > first)
            .find(|token| directive_in(token.text()).is_some())
            .map_or(Ok(()), |token| {
                Err(DirectiveError::Late {
                    file: self.file.to_owned(),
                    line: self.lines.line(token.text_range().start().into()),
                }
                .into())
            })
    }

    fn allows(&self, root: &SyntaxNode, statements: &[Statement]) -> Vec<AllowComment> {
        let comments = root
            .descendants_with_tokens()
            .filter_map(|element| element.into_token())
            .filter(|token| token.kind() == SyntaxKind::COMMENT);
        comments
            .filter_map(|token| {
                let text = token.text().strip_prefix("--")?.trim_start();
                let text = text.strip_prefix("outpost-allow")?;
                if text.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '_')) {
                    return None;
                }
                let at = usize::from(token.text_range().start());
                let (line, column) = self.lines.line_and_column(at);
                let before = self.lines.text_of(line).chars().take(column - 1);
                let alone = before.into_iter().all(char::is_whitespace);
                Some(AllowComment {
                    line,
                    text: text.trim_end().to_owned(),
                    statement: statements
                        .iter()
                        .position(|statement| statement.offset + statement.text.len() > at)
                        .filter(|_| alone),
                })
            })
            .collect()
    }

    fn problem(&self, offset: usize, message: &str) -> SyntaxProblem {
        let (line, column) = self.lines.line_and_column(offset);
        SyntaxProblem {
            file: self.file.to_owned(),
            line,
            column,
            message: message.to_owned(),
            statement_excerpt: tree::excerpt(self.lines.text_of(line)),
        }
    }

    /// The first problem of each line. A piece of text that belongs to no statement is one even when the
    /// parser does not mind it, for it would silently not be run.
    fn problems(
        &self,
        root: &SyntaxNode,
        errors: &[squawk_syntax::syntax_error::SyntaxError],
    ) -> Vec<SyntaxProblem> {
        let strays = root
            .children_with_tokens()
            .filter(|element| match element.as_node() {
                Some(node) => !Stmt::can_cast(node.kind()),
                None => element.as_token().is_some_and(|token| {
                    !token.kind().is_trivia() && token.kind() != SyntaxKind::SEMICOLON
                }),
            })
            .map(|element| {
                let offset = element.text_range().start().into();
                self.problem(offset, "this is not part of any statement")
            });
        let mut problems: Vec<SyntaxProblem> = errors
            .iter()
            .map(|error| self.problem(error.range().start().into(), error.message()))
            .chain(strays)
            .collect();
        problems.sort_by_key(|problem| problem.line);
        problems.dedup_by_key(|problem| problem.line);
        problems
    }

    /// Takes BEGIN and COMMIT off both ends; refuses transaction control that is left.
    fn unwrap(&self, parsed: &mut Vec<Parsed>, transaction: bool) -> Result<bool, ScriptError> {
        let file = self.file.to_owned();
        let ends = match parsed.as_slice() {
            [first, .., last] => (control_of(&first.node), control_of(&last.node)),
            _ => (Control::None, Control::None),
        };
        let first = |parsed: &[Parsed]| {
            parsed
                .first()
                .map(|parsed| (parsed.statement.line, parsed.statement.excerpt()))
                .unwrap_or_default()
        };
        let wrapped = match ends {
            (Control::BeginWithModes, Control::Commit) => {
                let (line, statement) = first(parsed);
                return Err(ScriptError::TransactionModes {
                    file,
                    line,
                    statement,
                });
            }
            (Control::Begin, Control::Commit) if !transaction => {
                let (line, statement) = first(parsed);
                return Err(ScriptError::WrappedWithoutTransaction {
                    file,
                    line,
                    statement,
                });
            }
            (Control::Begin, Control::Commit) => {
                parsed.remove(0);
                parsed.pop();
                true
            }
            _ => false,
        };
        let left = parsed
            .iter()
            .find(|parsed| control_of(&parsed.node) != Control::None);
        match left {
            None => Ok(wrapped),
            Some(left) => Err(ScriptError::TransactionControl {
                file,
                line: left.statement.line,
                statement: left.statement.excerpt(),
            }),
        }
    }

    fn refuse_outside_transaction(
        &self,
        parsed: &[Parsed],
        transaction: bool,
    ) -> Result<(), ScriptError> {
        for Parsed { statement, .. } in parsed {
            let file = self.file.to_owned();
            let line = statement.line;
            if let Some(reason) = statement.class.outside_transaction.filter(|_| transaction) {
                return Err(ScriptError::NeedsNoTransaction {
                    file,
                    line,
                    verb: statement.class.verb.clone(),
                    reason,
                });
            }
            let unnamed = statement
                .class
                .concurrent_index
                .as_ref()
                .is_some_and(|index| index.action == IndexAction::Create && index.index.is_none());
            if unnamed {
                return Err(ScriptError::UnnamedConcurrentIndex { file, line });
            }
        }
        Ok(())
    }
}

fn note(parsed: &Parsed, transaction: bool) -> Option<Note> {
    let node = &parsed.node;
    let kind = match node.kind() {
        SyntaxKind::SET | SyntaxKind::SET_ROLE | SyntaxKind::SET_SESSION_AUTH => {
            match tree::child(node, SyntaxKind::LOCAL_SCOPE) {
                None => NoteKind::SessionState,
                Some(_) if !transaction => NoteKind::LocalWithoutTransaction,
                Some(_) => return None,
            }
        }
        SyntaxKind::ALTER_TYPE
            if transaction && tree::child(node, SyntaxKind::ADD_VALUE).is_some() =>
        {
            NoteKind::NewEnumValue
        }
        SyntaxKind::SELECT if sets_session_config(node) => NoteKind::SessionState,
        _ => return None,
    };
    Some(Note {
        line: parsed.statement.line,
        kind,
        statement: parsed.statement.excerpt(),
    })
}

/// `select set_config(name, value, false)`.
fn sets_session_config(select: &SyntaxNode) -> bool {
    select
        .descendants()
        .filter(|node| node.kind() == SyntaxKind::CALL_EXPR)
        .filter(|call| tree::called_function(call).as_deref() == Some("set_config"))
        .filter_map(|call| tree::child(&call, SyntaxKind::ARG_LIST))
        .filter_map(|arguments| arguments.children().nth(2))
        .any(|local| tree::tokens(&local).any(|token| token.kind() == SyntaxKind::FALSE_KW))
}
