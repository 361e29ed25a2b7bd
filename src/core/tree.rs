//! A tree out of nodes that name their parents, such as categories do. In one walk, whatever a remote sends: a parent
//! that isn't there, parents in a circle, or a chain of a hundred thousand.

use std::collections::HashMap;

/// Names in a path; of a longer one the last are shown, behind an ellipsis.
const LONGEST_PATH: usize = 50;
const BETWEEN: &str = " / ";

/// A node by its id, and by that of the node above it.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    pub id: &'a str,
    pub parent: Option<&'a str>,
    pub name: &'a str,
}

/// Where a node stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Its number among the given ones.
    pub node: usize,
    /// The names from the top down to its own.
    pub path: String,
    /// How many nodes are above it.
    pub depth: usize,
}

/// All nodes, each behind the one above it; those below the same one in the order in which they are given. Whose parent
/// is not among them stands at the top, and so does the first of those that are each other's parents.
pub fn tree(nodes: &[Node]) -> Vec<Placed> {
    let parents = without_circles(parents(nodes));
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    // whoever works on a stack takes the last one first
    let mut waiting: Vec<(usize, usize)> = Vec::new();
    for (node, parent) in parents.iter().enumerate().rev() {
        match parent.and_then(|parent| below.get_mut(parent)) {
            Some(below) => below.push(node),
            None => waiting.push((node, 0)),
        }
    }
    let mut above: Vec<&str> = Vec::new();
    let mut placed = Vec::with_capacity(nodes.len());
    while let Some((node, depth)) = waiting.pop() {
        above.truncate(depth);
        above.push(nodes.get(node).map_or("", |n| n.name));
        placed.push(Placed {
            node,
            path: path(&above),
            depth,
        });
        waiting.extend(
            below
                .get(node)
                .into_iter()
                .flatten()
                .map(|child| (*child, depth + 1)),
        );
    }
    placed
}

fn path(names: &[&str]) -> String {
    match names.len().checked_sub(LONGEST_PATH) {
        None | Some(0) => names.join(BETWEEN),
        Some(more) => format!(
            "…{BETWEEN}{}",
            names.get(more..).unwrap_or_default().join(BETWEEN)
        ),
    }
}

/// The number of each node's parent.
fn parents(nodes: &[Node]) -> Vec<Option<usize>> {
    let numbers: HashMap<&str, usize> = nodes.iter().enumerate().map(|(n, node)| (node.id, n)).collect();
    let parent = |node: &Node| numbers.get(node.parent?).copied();
    nodes.iter().map(parent).collect()
}

/// Takes the parent from the first node of each circle.
fn without_circles(mut parents: Vec<Option<usize>>) -> Vec<Option<usize>> {
    // which walk upwards has met a node first
    let mut met_by: Vec<Option<usize>> = vec![None; parents.len()];
    let up = |parents: &[Option<usize>], node: usize| parents.get(node).copied().flatten();
    for walk in 0..parents.len() {
        let mut at = Some(walk);
        while let Some(node) = at {
            match met_by.get_mut(node) {
                Some(met @ None) => *met = Some(walk),
                Some(Some(earlier)) if *earlier == walk => {
                    let circle =
                        std::iter::successors(Some(node), |n| up(&parents, *n).filter(|n| *n != node));
                    let first = circle.min().unwrap_or(node);
                    if let Some(parent) = parents.get_mut(first) {
                        *parent = None;
                    }
                    break;
                }
                _ => break,
            }
            at = up(&parents, node);
        }
    }
    parents
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(nodes: &[(&str, &str)]) -> Vec<String> {
        let nodes: Vec<Node> = nodes
            .iter()
            .map(|(id, parent)| Node {
                id,
                parent: Some(*parent).filter(|parent| !parent.is_empty()),
                name: id,
            })
            .collect();
        let placed = tree(&nodes);
        placed.iter().map(|p| format!("{} {}", p.depth, p.path)).collect()
    }

    #[test]
    fn children_follow_their_parent_in_the_given_order() {
        let nodes = [("leaf", "b"), ("z", ""), ("b", "a"), ("a", ""), ("c", "a")];
        assert_eq!(
            shown(&nodes),
            ["0 z", "0 a", "1 a / b", "2 a / b / leaf", "1 a / c"]
        );
        assert!(shown(&[]).is_empty());
    }

    #[test]
    fn whose_parent_is_not_there_stands_at_the_top() {
        assert_eq!(shown(&[("a", "gone"), ("b", "a")]), ["0 a", "1 a / b"]);
    }

    #[test]
    fn a_circle_begins_with_its_first_and_keeps_what_hangs_below_it() {
        assert_eq!(shown(&[("self", "self")]), ["0 self"]);
        let nodes = [
            ("low", "c"),
            ("b", "a"),
            ("c", "b"),
            ("a", "c"),
            ("x", "y"),
            ("y", "x"),
        ];
        assert_eq!(
            shown(&nodes),
            ["0 b", "1 b / c", "2 b / c / low", "2 b / c / a", "0 x", "1 x / y"]
        );
    }

    #[test]
    fn a_chain_or_a_circle_of_many_is_walked_once_and_its_paths_stay_short() {
        let many = 100_000;
        let ids: Vec<String> = (0..many).map(|n| n.to_string()).collect();
        for first_parent in ["", "99999"] {
            let parent = |n: usize| n.checked_sub(1).map_or(first_parent, |n| ids[n].as_str());
            let nodes: Vec<(&str, &str)> = (0..many).map(|n| (ids[n].as_str(), parent(n))).collect();
            let shown = shown(&nodes);
            assert_eq!(shown.len(), many);
            assert_eq!(shown[0], "0 0");
            assert!(
                shown[many - 1].starts_with("99999 … / 99950 / 99951"),
                "{}",
                shown[many - 1]
            );
        }
    }
}
