//! Trees: what categories are to people.

use pgrx::prelude::*;
use sync_engine::core::tree::{tree, Node};

/// `sync_tree(ids, parents, names) → table(place, number, path, depth)`: nodes of a tree in its order; `number` is a
/// node's place in the arrays.
#[pg_extern(immutable, strict, parallel_safe)]
#[allow(clippy::type_complexity)]
fn sync_tree(
    ids: Vec<Option<String>>,
    parents: Vec<Option<String>>,
    names: Vec<Option<String>>,
) -> TableIterator<
    'static,
    (
        name!(place, i32),
        name!(number, i32),
        name!(path, String),
        name!(depth, i32),
    ),
> {
    let nodes: Vec<Node> = ids
        .iter()
        .zip(&parents)
        .zip(&names)
        .map(|((id, parent), name)| Node {
            id: id.as_deref().unwrap_or_default(),
            parent: parent.as_deref(),
            name: name.as_deref().unwrap_or_default(),
        })
        .collect();
    let rows = (1..).zip(tree(&nodes));
    let rows: Vec<_> = rows
        .map(|(place, at)| (place, at.node as i32 + 1, at.path, at.depth as i32))
        .collect();
    TableIterator::new(rows)
}
