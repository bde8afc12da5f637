//! What a forward pass leaves behind for whoever looks at it again.
//!
//! A [`Trace`] keeps the start of every accepted step; the rest of a step is computed again on
//! demand, with the same bits, by the same compiled function. A [`Place`] says where on a trace a
//! time lies.

use crate::plan::unit::Element;

/// The accepted steps of a run of `N` steps on states of length `n`.
#[derive(Clone, Debug, Default)]
pub struct Trace<T> {
    /// Length of the state vector.
    pub n: usize,
    /// Start of each step, and the end of the last: `N + 1` times.
    pub t: Vec<f64>,
    /// Size of each step as it was passed to the method: `N` numbers.
    pub h: Vec<f64>,
    /// The state at each time of `t`: `[N + 1, n]`.
    pub y: Vec<T>,
    /// The rate at the start of each step: `[N, n]`.
    pub k1: Vec<T>,
    /// Whether that rate was evaluated there: `[N]`. Else it is the last stage of the step before.
    pub fresh: Vec<bool>,
    /// The events, in order. At a node where the state jumps, `y` holds the state after.
    pub jumps: Vec<TracedJump<T>>,
}

/// An event on a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct TracedJump<T> {
    /// At which node.
    pub node: usize,
    /// Which event of the system.
    pub event: usize,
    /// The state before it, `[n]`.
    pub before: Vec<T>,
}

/// Where a time lies on a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    /// At a time of the trace, where the solution is the state itself.
    Node(usize),
    /// Inside a step, at `t + θ h`, where it is the dense output.
    Inside {
        /// Which step.
        step: usize,
        /// `0 < θ < 1`
        theta: f64,
    },
}

/// Places in the order of the run, to be looked up step by step.
#[derive(Clone, Debug)]
pub struct Schedule<'a> {
    places: &'a [Place],
    order: Vec<usize>,
}

impl<'a> Schedule<'a> {
    /// Sorts `places`; rows that share a place keep their order.
    pub fn new(places: &'a [Place]) -> Schedule<'a> {
        let mut order: Vec<usize> = (0..places.len()).collect();
        order.sort_by_key(|row| key(places[*row]));
        Schedule { places, order }
    }

    /// The rows whose place is node `node`.
    pub fn at_node(&self, node: usize) -> &[usize] {
        self.rows((node, false))
    }

    /// The rows whose place is inside step `step`, each with its `θ`.
    pub fn inside(&self, step: usize) -> impl Iterator<Item = (usize, f64)> {
        self.rows((step, true)).iter().filter_map(|row| match self.places[*row] {
            Place::Inside { theta, .. } => Some((*row, theta)),
            Place::Node(_) => None,
        })
    }

    fn rows(&self, wanted: (usize, bool)) -> &[usize] {
        let lo = self.order.partition_point(|row| key(self.places[*row]) < wanted);
        let hi = self.order.partition_point(|row| key(self.places[*row]) <= wanted);
        &self.order[lo..hi]
    }
}

/// Orders places along the run: a node before the step that starts there.
fn key(place: Place) -> (usize, bool) {
    match place {
        Place::Node(node) => (node, false),
        Place::Inside { step, .. } => (step, true),
    }
}

impl<T: Element> Trace<T> {
    /// A trace that has not left `t0`.
    pub fn starting(t0: f64, y0: &[T]) -> Trace<T> {
        Trace {
            n: y0.len(),
            t: vec![t0],
            h: Vec::new(),
            y: y0.to_vec(),
            k1: Vec::new(),
            fresh: Vec::new(),
            jumps: Vec::new(),
        }
    }

    /// Appends a step from the last node.
    pub fn push(&mut self, h: f64, k1: &[T], fresh: bool, t_new: f64, y_new: &[T]) {
        self.h.push(h);
        self.fresh.push(fresh);
        self.k1.extend_from_slice(k1);
        self.t.push(t_new);
        self.y.extend_from_slice(y_new);
    }

    /// An event at the last node, where the state was `before`.
    pub fn jump(&mut self, event: usize, before: &[T]) {
        self.jumps.push(TracedJump { node: self.n_steps(), event, before: before.to_vec() });
    }

    /// After the events at the last node the state is `y`.
    pub fn resume(&mut self, y: &[T]) {
        let last = self.n_steps() * self.n;
        self.y[last..].copy_from_slice(y);
    }

    /// Every node, and before each at which the state jumps, what it was before: times and states
    /// `[len, n]`.
    pub fn rows(&self) -> (Vec<f64>, Vec<T>) {
        let (mut ts, mut ys) = (Vec::new(), Vec::new());
        for (node, t) in self.t.iter().enumerate() {
            if let Some(jump) = self.jumps.iter().find(|jump| jump.node == node) {
                ts.push(*t);
                ys.extend_from_slice(&jump.before);
            }
            ts.push(*t);
            ys.extend_from_slice(self.state(node));
        }
        (ts, ys)
    }

    /// Number of steps.
    pub fn n_steps(&self) -> usize {
        self.h.len()
    }

    /// The state at node `i`.
    pub fn state(&self, i: usize) -> &[T] {
        &self.y[i * self.n..][..self.n]
    }

    /// The rate at the start of step `i`.
    pub fn rate(&self, i: usize) -> &[T] {
        &self.k1[i * self.n..][..self.n]
    }

    /// Where `t` lies, or `None` if the run did not cover it.
    pub fn place(&self, t: f64) -> Option<Place> {
        let forward = self.t[self.t.len() - 1] >= self.t[0];
        let before = |at: f64| if forward { at < t } else { at > t };
        let node = self.t.partition_point(|at| before(*at));
        if node < self.t.len() && self.t[node] == t {
            return Some(Place::Node(node));
        }
        if node == 0 || node == self.t.len() || t.is_nan() {
            return None;
        }
        let step = node - 1;
        Some(Place::Inside { step, theta: (t - self.t[step]) / self.h[step] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(times: &[f64]) -> Trace<f64> {
        let mut trace = Trace::starting(times[0], &[0.0]);
        for pair in times.windows(2) {
            trace.push(pair[1] - pair[0], &[0.0], true, pair[1], &[0.0]);
        }
        trace
    }

    #[test]
    fn times_are_found_at_nodes_and_inside_steps_in_both_directions() {
        let forward = trace(&[0.0, 1.0, 3.0]);
        assert_eq!(forward.place(0.0), Some(Place::Node(0)));
        assert_eq!(forward.place(3.0), Some(Place::Node(2)));
        assert_eq!(forward.place(2.0), Some(Place::Inside { step: 1, theta: 0.5 }));
        assert_eq!(forward.place(-0.1), None);
        assert_eq!(forward.place(3.1), None);
        let backward = trace(&[3.0, 1.0, 0.0]);
        assert_eq!(backward.place(2.0), Some(Place::Inside { step: 0, theta: 0.5 }));
        assert_eq!(backward.place(0.0), Some(Place::Node(2)));
        assert_eq!(backward.place(3.5), None);
    }
}
