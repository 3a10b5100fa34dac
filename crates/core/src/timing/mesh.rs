//! Leaders that measure one another: the offsets that fit all differences, robust against a few bad
//! links.

use alloc::vec;
use alloc::vec::Vec;

use thiserror::Error;

use super::limits;

/// What one link says: `to`'s clock minus `from`'s.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Which leader.
    pub from: usize,
    /// Which other leader.
    pub to: usize,
    /// The second's clock minus the first's, ns.
    pub by_ns: i64,
    /// One sigma of that (ns), asymmetry of the path included as far as it is to be expected.
    pub deviation_ns: f64,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum MeshError {
    /// None, or more leaders than the limit.
    #[error(
        "{leaders} leaders; from 1 to {} can be reconciled",
        limits::MESH_LEADERS_MAX
    )]
    Leaders {
        /// How many.
        leaders: usize,
    },
    /// A difference names a leader that is not there, itself, or a deviation that is none.
    #[error("difference {place} is none between two of the leaders")]
    Malformed {
        /// Its place in the list.
        place: usize,
    },
    /// The links do not connect everybody.
    #[error("leader {leader} is not connected to the first")]
    Apart {
        /// The first that is not.
        leader: usize,
    },
}

/// The offset of each leader to the first (ns) that fits the differences best: least squares for what
/// is within its deviation, and less and less say for what is not (iteratively reweighted least
/// squares with the weights of Huber, 1964, made to fall off in the last rounds). Plain least squares
/// gives a bad link more say than a good one; here, with five leaders, a link that is 20 ms off does
/// little harm. With three nobody can tell which link is bad.
///
/// # Errors
/// [`MeshError`] where the list is malformed or does not connect everybody.
pub fn reconcile(leaders: usize, differences: &[Difference]) -> Result<Vec<i64>, MeshError> {
    if leaders == 0 || leaders > limits::MESH_LEADERS_MAX {
        return Err(MeshError::Leaders { leaders });
    }
    for (place, difference) in differences.iter().enumerate() {
        let known = difference.from.max(difference.to) < leaders;
        let deviation = difference.deviation_ns;
        let sound = known && difference.from != difference.to && deviation > 0.0;
        if !sound || !deviation.is_finite() {
            return Err(MeshError::Malformed { place });
        }
    }
    // Counted from rough offsets along a tree, so that floats carry small numbers only.
    let rough = along_a_tree(leaders, differences)?;
    let links: Vec<Link> = differences
        .iter()
        .map(|one| Link::new(one, &rough))
        .collect();
    let mut offsets = vec![0.0; leaders];
    for round in 0..limits::MESH_ROUNDS {
        offsets = least_squares(leaders, &links, &offsets, round);
    }
    let sum = |(rough, fine): (&i64, &f64)| rough.saturating_add(libm::round(*fine) as i64);
    Ok(rough.iter().zip(&offsets).map(sum).collect())
}

/// A difference relative to the rough offsets.
struct Link {
    from: usize,
    to: usize,
    by_ns: f64,
    deviation_ns: f64,
}

impl Link {
    fn new(one: &Difference, rough: &[i64]) -> Self {
        let roughly = i128::from(rough[one.to]) - i128::from(rough[one.from]);
        Self {
            from: one.from,
            to: one.to,
            by_ns: (i128::from(one.by_ns) - roughly) as f64,
            deviation_ns: one.deviation_ns,
        }
    }

    /// Its weight in a round: as in least squares first, then bounded (Huber), then falling off.
    fn weight(&self, offsets: &[f64], round: usize) -> f64 {
        let residual = (self.by_ns - offsets[self.to] + offsets[self.from]) / self.deviation_ns;
        let bounded = residual.abs().max(limits::MESH_RESIDUAL_MIN);
        let bad = (bounded / limits::MESH_RESIDUAL_BAD).max(1.0);
        let size = match round {
            0 => 1.0,
            round if round < limits::MESH_ROUNDS / 2 => bounded,
            _ => bounded * bad * bad,
        };
        1.0 / (size * self.deviation_ns * self.deviation_ns)
    }
}

/// Offsets to the first leader along whichever links reach the others first.
fn along_a_tree(leaders: usize, differences: &[Difference]) -> Result<Vec<i64>, MeshError> {
    let mut reached: Vec<Option<i64>> = vec![None; leaders];
    reached[0] = Some(0);
    for _ in 1..leaders {
        for one in differences {
            match (reached[one.from], reached[one.to]) {
                (Some(from), None) => reached[one.to] = Some(from.saturating_add(one.by_ns)),
                (None, Some(to)) => reached[one.from] = Some(to.saturating_sub(one.by_ns)),
                _ => {}
            }
        }
    }
    let found = reached.iter().enumerate();
    found
        .map(|(leader, offset)| offset.ok_or(MeshError::Apart { leader }))
        .collect()
}

/// One round: the normal equations of the weighted graph without the first leader, which is zero.
fn least_squares(leaders: usize, links: &[Link], offsets: &[f64], round: usize) -> Vec<f64> {
    let size = leaders - 1;
    let mut matrix = vec![vec![0.0; size]; size];
    let mut right = vec![0.0; size];
    for link in links {
        let weight = link.weight(offsets, round);
        let ends = [(link.from, -1.0), (link.to, 1.0)];
        for (row, row_sign) in ends.into_iter().filter(|(leader, _)| *leader > 0) {
            right[row - 1] += row_sign * weight * link.by_ns;
            for (column, sign) in ends.into_iter().filter(|(leader, _)| *leader > 0) {
                matrix[row - 1][column - 1] += row_sign * sign * weight;
            }
        }
    }
    let mut solved = vec![0.0];
    solved.extend(solve(matrix, right));
    solved
}

/// Gauss without a search for pivots: the matrix of a connected graph without one vertex is positive
/// definite.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let size = right.len();
    for pivot in 0..size {
        let (above, below) = matrix.split_at_mut(pivot + 1);
        let lead = &above[pivot];
        for (row, right_row) in below.iter_mut().zip(pivot + 1..size) {
            let share = row[pivot] / lead[pivot];
            for (value, leading) in row.iter_mut().zip(lead) {
                *value -= share * leading;
            }
            right[right_row] -= share * right[pivot];
        }
    }
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size)
            .map(|column| matrix[row][column] * right[column])
            .sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    right
}
