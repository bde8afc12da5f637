//! Colours of the columns of a matrix: those of one colour have no row in common.

use super::Pattern;

/// A colour for each column, and how many there are. A Jacobian is found from one directional
/// derivative for each colour. Source: A. R. Curtis, M. J. D. Powell, J. K. Reid, On the estimation
/// of sparse Jacobian matrices, IMA J. Appl. Math. 13 (1974); columns in the order of how many others
/// they meet, the most first: A. H. Gebremedhin, F. Manne, A. Pothen, What color is your Jacobian?,
/// SIAM Review 47 (2005).
pub fn colours(pattern: &Pattern) -> (Vec<usize>, usize) {
    let n = pattern.n();
    let mut columns_of = vec![Vec::new(); n];
    pattern.entries().for_each(|(row, column)| columns_of[row].push(column));
    // A number that was written in this round marks what has been seen in it.
    let mut seen = vec![usize::MAX; n];
    let met: Vec<usize> = (0..n)
        .map(|column| {
            let others = pattern.column(column).iter().flat_map(|row| &columns_of[*row]);
            others.filter(|other| std::mem::replace(&mut seen[**other], column) != column).count()
        })
        .collect();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_key(|column| std::cmp::Reverse(met[*column]));

    const NONE: usize = usize::MAX;
    let (mut colour, mut n_colours) = (vec![NONE; n], 0);
    let mut taken = vec![NONE; n];
    for column in order {
        for other in pattern.column(column).iter().flat_map(|row| &columns_of[*row]) {
            if colour[*other] != NONE {
                taken[colour[*other]] = column;
            }
        }
        let free = (0..n).find(|at| taken[*at] != column).expect("fewer colours than columns");
        colour[column] = free;
        n_colours = n_colours.max(free + 1);
    }
    (colour, n_colours)
}
