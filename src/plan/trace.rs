//! What a forward pass leaves behind for whoever looks at it again.
//!
//! A [`Trace`] keeps the start of every accepted step, or of as many as it may; the rest is computed
//! again on demand, with the same bits, by the same compiled function. A [`Place`] says where on a
//! trace a time lies.

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
    /// The state at every `stride`-th time of `t`, from the first on: `[N/stride + 1, n]`.
    pub y: Vec<T>,
    /// The rate at the start of every `stride`-th step: `[⌈N/stride⌉, n]`.
    pub k1: Vec<T>,
    /// How far what is kept lies apart: 1, or a power of two once the trace was full.
    pub stride: usize,
    /// How many states are kept.
    pub keep: Keep,
    /// The state at the end, `[n]`, where it may not be the last of `y`; else empty.
    last: Vec<T>,
    /// Whether that rate was evaluated there: `[N]`. Else it is the last stage of the step before.
    pub fresh: Vec<bool>,
    /// Where the state jumps, in order. At such a node `y` holds the state after.
    pub instants: Vec<TracedInstant<T>>,
}

/// How many states a trace keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// That of every node.
    #[default]
    Every,
    /// That of every node, and beside the trace the solution inside the steps.
    Path,
    /// Those of the start and the end: the trace is one step, inside which nothing is known.
    Ends,
    /// So many at most, at least 1, evenly spread over a run whose length nobody knows beforehand: a
    /// trace that is full lets go of every other one. The end is kept besides.
    AtMost(usize),
}

/// A node of a trace at which events happen.
#[derive(Clone, Debug, PartialEq)]
pub struct TracedInstant<T> {
    /// Which node.
    pub node: usize,
    /// The events, in their order; at least one.
    pub jumps: Vec<TracedJump<T>>,
    /// The state after all of them, `[n]`.
    pub after: Vec<T>,
}

/// An event on a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct TracedJump<T> {
    /// Which event of the system.
    pub event: usize,
    /// See [`Jump::round`](crate::solve::event::Jump::round).
    pub round: usize,
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
    pub fn starting(t0: f64, y0: &[T], keep: Keep) -> Trace<T> {
        let n = y0.len();
        // Room for the first steps, as far as that is little memory.
        let (rows, rates) = match keep {
            Keep::Ends => (1, 0),
            Keep::Every | Keep::Path | Keep::AtMost(_) => {
                let rows = (512 / n.max(1)).clamp(1, 64);
                (rows, rows * n)
            }
        };
        let mut trace = Trace {
            n,
            t: Vec::with_capacity(1 + rows),
            h: Vec::with_capacity(rows),
            y: Vec::with_capacity((1 + rows) * n),
            k1: Vec::with_capacity(rates),
            stride: 1,
            keep,
            last: if let Keep::AtMost(_) = keep { y0.to_vec() } else { Vec::new() },
            fresh: Vec::with_capacity(rows),
            instants: Vec::new(),
        };
        trace.t.push(t0);
        trace.y.extend_from_slice(y0);
        trace
    }

    /// The state at the end.
    pub fn end(&self) -> &[T] {
        match self.ends_in_row() {
            true => &self.y[self.y.len() - self.n..],
            false => &self.last,
        }
    }

    /// Whether the state at the end is the last of `y`.
    fn ends_in_row(&self) -> bool {
        self.keep == Keep::Ends || self.n_steps().is_multiple_of(self.stride)
    }

    /// Appends a step from the last node.
    pub fn push(&mut self, h: f64, k1: &[T], fresh: bool, t_new: f64, y_new: &[T]) {
        if self.keep == Keep::Ends {
            return self.reach(t_new, y_new);
        }
        if self.ends_in_row() {
            self.k1.extend_from_slice(k1);
        }
        self.h.push(h);
        self.fresh.push(fresh);
        self.t.push(t_new);
        if self.ends_in_row() {
            self.y.extend_from_slice(y_new);
        }
        match self.keep {
            Keep::Every | Keep::Path | Keep::Ends => {}
            Keep::AtMost(count) => {
                self.last.copy_from_slice(y_new);
                while self.n_kept() > count.max(1) {
                    self.thin();
                }
            }
        }
    }

    /// The one step of the trace ends at `(t_new, y_new)`.
    pub(crate) fn reach(&mut self, t_new: f64, y_new: &[T]) {
        if self.h.is_empty() {
            self.h.push(0.0);
            self.fresh.push(true);
            self.t.push(t_new);
            self.y.extend_from_slice(y_new);
        }
        (self.h[0], self.t[1]) = (t_new - self.t[0], t_new);
        self.y[self.n..].copy_from_slice(y_new);
    }

    /// Lets go of every other state.
    fn thin(&mut self) {
        self.stride *= 2;
        for rows in [&mut self.y, &mut self.k1] {
            let kept: Vec<T> = rows.chunks(self.n.max(1)).step_by(2).flatten().copied().collect();
            *rows = kept;
        }
    }

    /// Whether the start of every step is kept.
    pub fn has_every_step(&self) -> bool {
        self.stride == 1 && self.keep != Keep::Ends
    }

    /// How many states are kept, that of the end not counted unless it lies among them.
    pub fn n_kept(&self) -> usize {
        self.n_steps() / self.stride + 1
    }

    /// An event at the last node, where the state jumped from `before` to `after`.
    pub fn jump(&mut self, jump: TracedJump<T>, after: &[T]) {
        let node = self.n_steps();
        match self.instants.last_mut().filter(|instant| instant.node == node) {
            Some(instant) => {
                instant.jumps.push(jump);
                instant.after.copy_from_slice(after);
            }
            None => self.instants.push(TracedInstant { node, jumps: vec![jump], after: after.to_vec() }),
        }
    }

    /// What happens at a node.
    pub fn instant(&self, node: usize) -> Option<&TracedInstant<T>> {
        let at = self.instants.binary_search_by_key(&node, |instant| instant.node).ok()?;
        Some(&self.instants[at])
    }

    /// After the events at the last node the state is `y`.
    pub fn resume(&mut self, y: &[T]) {
        if let Some(instant) = self.instants.last_mut() {
            instant.after.copy_from_slice(y);
        }
        if let Keep::AtMost(_) = self.keep {
            self.last.copy_from_slice(y);
        }
        if self.ends_in_row() {
            let last = self.y.len() - self.n;
            self.y[last..].copy_from_slice(y);
        }
    }

    /// Every node, and before each at which the state jumps, what it was before: times and states
    /// `[len, n]`.
    pub fn rows(&self) -> (Vec<f64>, Vec<T>) {
        let (mut ts, mut ys) = (Vec::new(), Vec::new());
        for (node, t) in self.t.iter().enumerate() {
            if let Some(instant) = self.instant(node) {
                ts.push(*t);
                ys.extend_from_slice(&instant.jumps[0].before);
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

    /// The state at node `i`, which must be kept.
    pub fn state(&self, i: usize) -> &[T] {
        if i == self.n_steps() {
            return self.end();
        }
        &self.y[self.kept(i) * self.n..][..self.n]
    }

    /// The rate at the start of step `i`, which must be kept.
    pub fn rate(&self, i: usize) -> &[T] {
        &self.k1[self.kept(i) * self.n..][..self.n]
    }

    fn kept(&self, i: usize) -> usize {
        assert!(i.is_multiple_of(self.stride), "node {i} of a trace that keeps every {}th", self.stride);
        i / self.stride
    }

    /// The times of the nodes strictly between `from` and `to`, in the order from the one to the other.
    pub fn nodes_between(&self, from: f64, to: f64) -> Vec<f64> {
        let forward = self.t[self.t.len() - 1] >= self.t[0];
        let ahead = |a: f64, b: f64| if forward { a > b } else { a < b };
        let (first, last) = if ahead(to, from) { (from, to) } else { (to, from) };
        let begin = self.t.partition_point(|at| !ahead(*at, first));
        let end = self.t.partition_point(|at| ahead(last, *at)).max(begin);
        let mut nodes = self.t[begin..end].to_vec();
        nodes.dedup();
        if ahead(from, to) {
            nodes.reverse();
        }
        nodes
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
        let mut trace = Trace::starting(times[0], &[0.0], Keep::Every);
        for pair in times.windows(2) {
            trace.push(pair[1] - pair[0], &[0.0], true, pair[1], &[0.0]);
        }
        trace
    }

    #[test]
    fn times_are_found_at_nodes_and_inside_steps_in_both_directions() {
        let forward = trace(&[0.0, 1.0, 3.0]);
        assert_eq!(forward.nodes_between(0.0, 3.0), [1.0]);
        assert_eq!(forward.nodes_between(3.5, -1.0), [3.0, 1.0, 0.0]);
        assert_eq!(forward.place(0.0), Some(Place::Node(0)));
        assert_eq!(forward.place(3.0), Some(Place::Node(2)));
        assert_eq!(forward.place(2.0), Some(Place::Inside { step: 1, theta: 0.5 }));
        assert_eq!(forward.place(-0.1), None);
        assert_eq!(forward.place(3.1), None);
        let backward = trace(&[3.0, 1.0, 0.0]);
        assert_eq!(backward.nodes_between(0.0, 3.0), [1.0]);
        assert_eq!(backward.nodes_between(4.0, 0.5), [3.0, 1.0]);
        assert_eq!(backward.place(2.0), Some(Place::Inside { step: 0, theta: 0.5 }));
        assert_eq!(backward.place(0.0), Some(Place::Node(2)));
        assert_eq!(backward.place(3.5), None);
    }

    /// 100 steps with room for 7 states: a stride of 16 is the first power of two that fits.
    #[test]
    fn a_full_trace_lets_go_of_every_other_state() {
        let mut trace = Trace::starting(0.0, &[0.0], Keep::AtMost(7));
        for step in 0..100 {
            let at = f64::from(step);
            trace.push(1.0, &[-at], true, at + 1.0, &[at + 1.0]);
            assert!(trace.n_kept() <= 7 && trace.y.len() == trace.n_kept());
        }
        assert_eq!(trace.stride, 16);
        assert_eq!(trace.y, [0.0, 16.0, 32.0, 48.0, 64.0, 80.0, 96.0]);
        assert_eq!(trace.k1, [0.0, -16.0, -32.0, -48.0, -64.0, -80.0, -96.0]);
        assert_eq!(
            (trace.state(32), trace.rate(32), trace.state(100)),
            (&[32.0][..], &[-32.0][..], &[100.0][..])
        );
    }
}
