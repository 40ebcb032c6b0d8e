//! The DAG of migrations: as a text tree, DOT, Mermaid and SVG.

mod dot;
mod json;
mod layout;
mod mermaid;
mod svg;
mod tree;
mod view;

pub use dot::graph_dot;
pub use json::graph_json;
pub use mermaid::graph_mermaid;
pub use svg::graph_svg;
pub use tree::graph_tree;
pub use view::GraphView;

pub(super) use svg::svg;
pub(super) use view::{anchor, status_tone, symbol};
