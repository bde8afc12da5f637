//! The order in which the unknowns of sparse equations are eliminated.

use super::Pattern;
use std::collections::BTreeSet;

/// The columns of a matrix in an order that keeps its factors sparse, and the entries of both factors
/// if every pivot is on the diagonal: the unknown that meets the fewest others goes next, where the
/// others of an eliminated one are kept as one list, and their number is bounded instead of counted.
/// Of several, the one that was met longest ago, so that the elimination goes on in several places and its
/// steps need not wait for one another. The pattern is taken as symmetric. Source: P. R. Amestoy, T. A. Davis, I. S. Duff, An approximate
/// minimum degree ordering algorithm, SIAM J. Matrix Anal. Appl. 17 (1996), without its
/// supervariables.
pub fn elimination_order(pattern: &Pattern) -> (Vec<usize>, usize) {
    let n = pattern.n();
    // Unknowns that an unknown meets by an entry, and through which eliminated ones it meets others.
    let mut direct: Vec<Vec<usize>> = vec![Vec::new(); n];
    for (row, column) in pattern.entries().filter(|(row, column)| row != column) {
        direct[row].push(column);
        direct[column].push(row);
    }
    for others in &mut direct {
        others.sort_unstable();
        others.dedup();
    }
    let mut through: Vec<Vec<usize>> = vec![Vec::new(); n];
    // Of an eliminated unknown, those that it met; empty once another has them too.
    let mut lists: Vec<Vec<usize>> = vec![Vec::new(); n];
    let mut degree: Vec<usize> = direct.iter().map(Vec::len).collect();
    // When an unknown was met by one that was eliminated.
    let mut met = vec![0; n];
    let mut queue: BTreeSet<(usize, usize, usize)> = (0..n).map(|at| (degree[at], 0, at)).collect();
    let (mut order, mut fill) = (Vec::with_capacity(n), n);
    let (mut in_list, mut counted) = (vec![usize::MAX; n], vec![usize::MAX; n]);
    let mut outside = vec![0; n];
    while let Some((.., next)) = queue.pop_first() {
        order.push(next);
        let mut list = Vec::new();
        let absorbed = std::mem::take(&mut through[next]);
        let old = absorbed.iter().flat_map(|e| &lists[*e]).chain(&direct[next]).copied();
        for unknown in old.filter(|unknown| *unknown != next) {
            if std::mem::replace(&mut in_list[unknown], next) != next {
                list.push(unknown);
            }
        }
        absorbed.iter().for_each(|e| lists[*e] = Vec::new());
        direct[next] = Vec::new();
        fill += 2 * list.len();
        // How many of each other list are not in this one.
        for unknown in &list {
            through[*unknown].retain(|e| !lists[*e].is_empty());
            for e in &through[*unknown] {
                if std::mem::replace(&mut counted[*e], next) != next {
                    outside[*e] = lists[*e].len();
                }
                outside[*e] -= 1;
            }
        }
        for unknown in &list {
            through[*unknown].retain(|e| outside[*e] > 0);
            direct[*unknown].retain(|other| *other != next && in_list[*other] != next);
            let others = direct[*unknown].len() + list.len() - 1;
            let far: usize = through[*unknown].iter().map(|e| outside[*e]).sum();
            let bound = (others + far).min(degree[*unknown] + list.len() - 1).min(n - order.len() - 1);
            queue.remove(&(degree[*unknown], met[*unknown], *unknown));
            (degree[*unknown], met[*unknown]) = (bound, order.len());
            queue.insert((bound, order.len(), *unknown));
            through[*unknown].push(next);
        }
        lists[next] = list;
    }
    (order, fill)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The point in the middle of a star goes last, or the factors are full.
    #[test]
    fn a_star_is_eliminated_from_its_points() {
        let star = Pattern::new(50, (0..50).flat_map(|at| [(at, at), (0, at), (at, 0)]));
        let (order, fill) = elimination_order(&star);
        assert!(order[48..].contains(&0));
        assert_eq!(fill, star.nonzeros());
    }

    /// Each unknown once; on a square grid of 30 × 30 the factors have far fewer entries than those of
    /// the band, `2 · 30 · 900`.
    #[test]
    fn a_grid_fills_in_less_than_its_band() {
        let at = |i: usize, j: usize| 30 * i + j;
        let cells = (0..30).flat_map(|i| (0..30).map(move |j| (i, j)));
        let entries = cells.flat_map(|(i, j)| {
            let right = (j + 1 < 30).then(|| (at(i, j), at(i, j + 1)));
            let below = (i + 1 < 30).then(|| (at(i, j), at(i + 1, j)));
            [Some((at(i, j), at(i, j))), right, below]
        });
        let (mut order, fill) = elimination_order(&Pattern::new(900, entries.flatten()));
        assert!(fill < 27_000, "{fill}");
        order.sort_unstable();
        assert!(order.into_iter().eq(0..900));
    }
}
