//! SQL migration scripts: directives, statements and what can be told of them.
