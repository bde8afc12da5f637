//! Blocks of runs side by side: every run to the bits that it has alone, whatever runs beside it.

use nodec::solve::lanes::{self, LaneExpand, LaneObserver, LaneStep, Steps, Trip};
use nodec::solve::{
    Accepted, Adaptive, Carried, Controller, End, Errors, Expand, Interior, Invalid, Landing, NoEvents, Norm,
    Observer, Options, Outcome, Real, Rule, RungeKutta, SaveAt, StartNorm, Step, Tableau, Taylor, integrate,
    solve,
};
use std::ops::ControlFlow;

/// Pairs of a pendulum with a channel: `x' = v`, `v' = -a sin x - b v`, `w' = v²`. At `t = a/10` its
/// force changes sign of its small constant part, which is where a step must end. Where `a` is negative
/// it runs away: `x' = x²`.
fn field<T: Real>(a: f64, b: f64) -> impl FnMut(f64, &[T], &mut [T]) {
    move |t, y, dy| {
        let (x, v) = (y[0].to_f64(), y[1].to_f64());
        let force = if t > a / 10.0 { 0.1 } else { -0.1 };
        let rates = if a < 0.0 { [x * x, 0.0, 0.0] } else { [v, force - a * x.sin() - b * v, v * v] };
        dy.iter_mut().zip(rates).for_each(|(dy, rate)| *dy = T::from_f64(rate));
    }
}

type Field<T> = Box<dyn FnMut(f64, &[T], &mut [T])>;

/// `B` scalar steps side by side.
struct Each<T: Real, const B: usize> {
    tableau: &'static Tableau,
    lanes: Vec<RungeKutta<'static, T, Field<T>>>,
}

fn alone<T: Real>(tableau: &'static Tableau, (a, b): (f64, f64)) -> RungeKutta<'static, T, Field<T>> {
    RungeKutta::new(tableau, 3, Box::new(field(a, b)) as Field<T>)
}

impl<T: Real, const B: usize> Each<T, B> {
    fn new(tableau: &'static Tableau) -> Self {
        Each { tableau, lanes: (0..B).map(|_| alone(tableau, (f64::NAN, f64::NAN))).collect() }
    }
}

fn column<T: Copy, const B: usize>(rows: &[[T; B]], lane: usize) -> Vec<T> {
    rows.iter().map(|row| row[lane]).collect()
}

fn put<T: Copy, const B: usize>(values: &[T], rows: &mut [[T; B]], lane: usize) {
    rows.iter_mut().zip(values).for_each(|(row, value)| row[lane] = *value);
}

impl<T: Real, const B: usize> LaneStep<T, B> for Each<T, B> {
    type Args = (f64, f64);

    fn dim(&self) -> usize {
        3
    }

    fn n_stages(&self) -> usize {
        self.tableau.n_stages()
    }

    fn load(&mut self, lane: usize, args: &(f64, f64)) {
        self.lanes[lane] = alone(self.tableau, *args);
    }

    fn n_marched(&self) -> usize {
        if self.tableau.fsal() { 0 } else { 3 }
    }

    fn march(
        &mut self,
        t: &[[f64; B]],
        inside: &[[f64; B]],
        h: &[f64; B],
        y: &[[T; B]],
        rates: &mut [[T; B]],
        y_new: &mut [[T; B]],
    ) {
        let (mut y, mut stages) = (y.to_vec(), vec![[T::default(); B]; 3 * self.tableau.n_stages()]);
        let mut err = y.clone();
        for ((t, inside), k1) in t.iter().zip(inside).zip(rates.chunks_mut(3)) {
            self.rate(t, inside, &y, k1);
            stages[..3].copy_from_slice(k1);
            self.step(t, h, &y, &mut stages, y_new, &mut err);
            y.copy_from_slice(y_new);
        }
    }

    fn rate(&mut self, t: &[f64; B], inside: &[f64; B], y: &[[T; B]], dy: &mut [[T; B]]) {
        for (lane, step) in self.lanes.iter_mut().enumerate() {
            let mut own = column(dy, lane);
            step.rate(t[lane], inside[lane], &column(y, lane), &mut own);
            put(&own, dy, lane);
        }
    }

    fn step(
        &mut self,
        t: &[f64; B],
        h: &[f64; B],
        y: &[[T; B]],
        stages: &mut [[T; B]],
        y_new: &mut [[T; B]],
        err: &mut [[T; B]],
    ) {
        for (lane, step) in self.lanes.iter_mut().enumerate() {
            let (mut k, mut new, mut e) = (column(stages, lane), column(y_new, lane), column(err, lane));
            step.step(t[lane], h[lane], &column(y, lane), &mut k, &mut new, &mut e);
            put(&k, stages, lane);
            put(&new, y_new, lane);
            put(&e, err, lane);
        }
    }

    fn extend(&mut self, t: &[f64; B], h: &[f64; B], y: &[[T; B]], stages: &mut [[T; B]]) {
        for (lane, step) in self.lanes.iter_mut().enumerate() {
            let mut k = column(stages, lane);
            step.extend(t[lane], h[lane], &column(y, lane), &mut k);
            put(&k, stages, lane);
        }
    }
}

/// Time and state at the end, how it came, what it cost, what is carried, and what has no say in the steps.
type Ending = (u64, Vec<u64>, Outcome, nodec::solve::Stats, Option<Carried>, String);

/// What comes of a run: every accepted step `t, h, y, k1`, the rows at the times wanted, the end.
#[derive(Clone, Debug, Default, PartialEq)]
struct Found {
    steps: Vec<u64>,
    rows: Vec<u64>,
    end: Option<Ending>,
    invalid: Option<Invalid>,
}

fn bits<T: Real>(values: &[T]) -> Vec<u64> {
    values.iter().map(|value| value.to_f64().to_bits()).collect()
}

impl Found {
    fn push<T: Real>(&mut self, (t, h): (f64, f64), y: &[T], k1: &[T]) {
        self.steps.extend([t.to_bits(), h.to_bits()]);
        self.steps.extend(bits(y));
        self.steps.extend(bits(k1));
    }

    fn close<T: Real>(&mut self, end: Result<End<T>, Invalid>, save: &SaveAt<T>) {
        match end {
            Ok(end) => {
                let unsteered = format!("{:?}", end.unsteered);
                self.rows = bits(save.ys());
                self.end =
                    Some((end.t.to_bits(), bits(&end.y), end.outcome, end.stats, end.carried, unsteered));
            }
            Err(invalid) => self.invalid = Some(invalid),
        }
    }
}

/// A run by itself.
struct Alone<T>(Found, SaveAt<T>);

impl<T: Real> Observer<T> for Alone<T> {
    fn start(&mut self, t: f64, y: &[T]) {
        self.1.start(t, y);
    }

    fn looks_inside(&self, t: f64, t_new: f64) -> bool {
        self.1.looks_inside(t, t_new)
    }

    fn accepted(&mut self, step: &Accepted<'_, T>) -> ControlFlow<f64> {
        let k1 = match step.interior {
            Interior::Stages { stages, .. } => &stages[..step.y.len()],
            Interior::Powers { .. } => &[],
        };
        self.0.push((step.t, step.h), step.y, k1);
        self.1.accepted(step)
    }
}

/// What is known of the run in a lane, and its number.
type Seat<T> = (Found, SaveAt<T>, usize);

/// Runs in lanes.
struct Beside<T> {
    wanted: Vec<f64>,
    lanes: Vec<Seat<T>>,
    found: Vec<Found>,
    steps: u64,
    /// So few runs leave their lanes.
    parts: usize,
    /// Whether steps are shown.
    sees_steps: bool,
    left: Vec<Trip<T, (f64, f64)>>,
    seats: Vec<Seat<T>>,
}

impl<T: Real, const B: usize> LaneObserver<T, (f64, f64), B> for Beside<T> {
    fn start(&mut self, lane: usize, trip: &Trip<T, (f64, f64)>, y: &[T]) -> f64 {
        let mut save = SaveAt::new(&self.wanted, trip.span, 3);
        save.start(trip.span.0, y);
        let next = save.next_time();
        self.lanes[lane] = (Found::default(), save, trip.number);
        next
    }

    fn sees_steps(&self) -> bool {
        self.sees_steps
    }

    fn accepted(&mut self, steps: &Steps<'_, T, B>) {
        for lane in (0..B).filter(|lane| steps.accepted[*lane]) {
            let (y, k1) = (column(steps.y, lane), column(steps.k1, lane));
            self.lanes[lane].0.push((steps.t[lane], steps.h[lane]), &y, &k1);
            self.steps += 1;
        }
    }

    fn reached(&mut self, lane: usize, step: &Accepted<'_, T>) -> f64 {
        let save = &mut self.lanes[lane].1;
        let _ = save.accepted(step);
        save.next_time()
    }

    fn breaks_up(&self, live: &[bool; B]) -> bool {
        live.iter().filter(|live| **live).count() <= self.parts
    }

    fn left(&mut self, lane: usize, trip: Trip<T, (f64, f64)>) {
        assert!(trip.under_way.is_some());
        self.left.push(trip);
        self.seats.push(std::mem::replace(&mut self.lanes[lane], nobody()));
    }

    fn ended(&mut self, lane: usize, trip: Trip<T, (f64, f64)>, end: Result<End<T>, Invalid>) {
        let (found, save, number) = &mut self.lanes[lane];
        if end.is_err() {
            *found = Found::default();
        } else {
            assert_eq!(*number, trip.number);
        }
        found.close(end, save);
        self.found[trip.number] = std::mem::take(found);
    }
}

fn nobody<T: Real>() -> Seat<T> {
    (Found::default(), SaveAt::new(&[], (0.0, 1.0), 3), usize::MAX)
}

/// Runs all `trips` in a block of `B` lanes and each alone: the same bits.
fn check<T: Real, const B: usize>(
    tableau: &'static Tableau,
    options: &Options,
    trips: &[Trip<T, (f64, f64)>],
    wanted: &[f64],
) -> Vec<Found> {
    check_parting::<T, B>((0, true), tableau, options, trips, wanted).0
}

/// The same where the last `parts` runs leave the block for a new one, again and again, and steps are shown or
/// not; how often they leave.
fn check_parting<T: Real, const B: usize>(
    (parts, sees_steps): (usize, bool),
    tableau: &'static Tableau,
    options: &Options,
    trips: &[Trip<T, (f64, f64)>],
    wanted: &[f64],
) -> (Vec<Found>, usize) {
    let mut beside = Beside {
        wanted: wanted.to_vec(),
        lanes: (0..B).map(|_| nobody()).collect(),
        found: vec![Found::default(); trips.len()],
        steps: 0,
        parts,
        sees_steps,
        left: Vec::new(),
        seats: Vec::new(),
    };
    let mut step = Each::<T, B>::new(tableau);
    lanes::integrate(&mut step, tableau, options, trips.iter().cloned(), &mut beside).unwrap();
    let mut times = 0;
    while !beside.left.is_empty() {
        let (left, seats) = (std::mem::take(&mut beside.left), std::mem::take(&mut beside.seats));
        // In other lanes than before: the first comes last.
        beside.lanes.splice(..seats.len(), seats.into_iter().rev());
        let mut step = Each::<T, B>::new(tableau);
        lanes::integrate(&mut step, tableau, options, left.into_iter().rev(), &mut beside).unwrap();
        times += 1;
    }
    for trip in trips {
        let mut own = Options { resume: trip.resume, ..options.clone() };
        own.stops.extend(&trip.stops);
        let mut observer = Alone(Found::default(), SaveAt::new(wanted, trip.span, 3));
        let end = solve(&mut alone(tableau, trip.args), tableau, trip.span, &trip.y0, &own, &mut observer);
        let Alone(mut expected, save) = observer;
        expected.close(end, &save);
        let found = &beside.found[trip.number];
        if !sees_steps {
            expected.steps.clone_from(&found.steps);
        }
        assert_eq!(found.end, expected.end, "{}: end of run {}", tableau.name, trip.number);
        assert!(*found == expected, "{}: steps or rows of run {}", tableau.name, trip.number);
    }
    (beside.found, times)
}

/// Runs that are alike, of very different lengths, backwards, with stops, that go on, that last no time,
/// that cannot begin, that run away.
fn trips<T: Real>(count: usize) -> Vec<Trip<T, (f64, f64)>> {
    let trip = |number: usize| {
        let x = number as f64;
        let y0 = [0.3 + 0.1 * x, 1.0 - 0.05 * x, 0.0].map(T::from_f64).to_vec();
        let mut trip = Trip::new(number, (0.0, 3.0), y0, (1.0 + 0.2 * x, 0.1));
        match number % 11 {
            1 => trip.span = (0.5, 40.0),
            2 => trip.span = (2.0, -1.0),
            3 => trip.stops = vec![1.0, trip.args.0 / 10.0, 7.0, 1.0],
            4 => trip.span = (1.0, 1.0),
            5 => trip.y0[1] = T::from_f64(f64::NAN),
            6 => (trip.args.0, trip.span) = (-1.0, (0.0, 50.0)),
            7 => {
                trip.resume = Some(Carried {
                    size: 0.01,
                    past: nodec::solve::Past::default(),
                    mode: nodec::solve::Mode::default(),
                })
            }
            8 => trip.span.1 = f64::INFINITY,
            9 => (trip.span.1, trip.stops) = (6.0, (1..50).map(|i| f64::from(i) * 0.1).collect()),
            _ => {}
        }
        trip
    };
    (0..count).map(trip).collect()
}

fn adaptive(tolerance: f64) -> Options {
    let mut options = Options::adaptive(Adaptive::new(tolerance, tolerance, 2));
    options.max_steps = 20_000;
    options
}

const WANTED: [f64; 7] = [0.0, 0.7, 0.70001, 1.0, 2.5, 3.0, -0.5];

#[test]
fn every_run_has_the_bits_that_it_has_alone() {
    for tableau in Tableau::ALL.into_iter().filter(|tableau| tableau.embedded.is_some()) {
        let found = check::<f64, 8>(tableau, &adaptive(1e-5), &trips(22), &WANTED);
        let failed = found.iter().filter(|one| one.end.as_ref().is_some_and(|end| !end.2.is_success()));
        assert_eq!(failed.count(), 4, "{}: two that begin nowhere, two that run away", tableau.name);
        assert_eq!(found.iter().filter(|one| one.invalid.is_some()).count(), 2);
        check::<f32, 4>(tableau, &adaptive(1e-3), &trips(12), &WANTED);
    }
    for tableau in ["euler", "rk4", "tsit5", "verner7"] {
        let tableau = Tableau::by_name(tableau).unwrap();
        check::<f64, 8>(tableau, &Options::fixed(0.03), &trips(14), &WANTED);
        check::<f32, 2>(tableau, &Options::fixed(0.03), &trips(14), &WANTED);
    }
}

#[test]
fn fixed_steps_that_nobody_sees_have_the_same_bits() {
    for tableau in ["euler", "midpoint", "rk4", "tsit5", "verner7"] {
        let tableau = Tableau::by_name(tableau).unwrap();
        for dt in [0.03, 0.004] {
            let mut options = Options::fixed(dt);
            options.max_steps = 2000;
            let (found, _) = check_parting::<f64, 8>((0, false), tableau, &options, &trips(22), &WANTED);
            // One of 39.5 in time has too few steps of 0.004.
            let outcomes = || found.iter().filter_map(|one| one.end.as_ref()).map(|end| end.2);
            let failed = outcomes().filter(|outcome| matches!(outcome, Outcome::NonFinite { .. })).count();
            let spent = outcomes().filter(|outcome| matches!(outcome, Outcome::MaxSteps { .. })).count();
            assert_eq!((failed, spent), (4, if dt > 0.01 { 0 } else { 2 }), "{}", tableau.name);
            check_parting::<f32, 2>((0, false), tableau, &options, &trips(14), &[]);
        }
    }
}

#[test]
fn lanes_may_outnumber_the_runs_and_the_other_way_round() {
    let tableau = Tableau::by_name("dopri5").unwrap();
    for count in [0, 1, 3, 8, 9, 40] {
        check::<f64, 8>(tableau, &adaptive(1e-6), &trips(count), &WANTED);
    }
    check::<f64, 1>(tableau, &adaptive(1e-6), &trips(9), &[]);
    check::<f64, 16>(tableau, &adaptive(1e-6), &trips(25), &WANTED);
}

#[test]
fn runs_that_leave_their_lanes_go_on_with_the_same_bits() {
    for tableau in Tableau::ALL.into_iter().filter(|tableau| tableau.embedded.is_some()) {
        let (_, times) = check_parting::<f64, 8>((6, true), tableau, &adaptive(1e-5), &trips(22), &WANTED);
        assert!(times >= 2, "{}: {times}", tableau.name);
        check_parting::<f32, 4>((3, true), tableau, &adaptive(1e-3), &trips(12), &WANTED);
    }
    let control = Adaptive { errors: Errors::States(2), ..Adaptive::new(1e-6, 1e-8, 2) };
    let controller = Controller { rule: Some(Rule::Predictive), ..Controller::OWN };
    let options = Options::adaptive(Adaptive { controller, ..control });
    let tableau = Tableau::by_name("dop853").unwrap();
    assert!(check_parting::<f64, 8>((7, true), tableau, &options, &trips(5), &WANTED).1 >= 1);
    // Steps that are fixed are not many more for one than for another.
    assert_eq!(check_parting::<f64, 8>((7, true), tableau, &Options::fixed(0.03), &trips(14), &WANTED).1, 0);
}

#[test]
fn control_of_any_kind_is_the_same_in_lanes() {
    let tableau = Tableau::by_name("tsit5").unwrap();
    let base = Adaptive::new(1e-6, 1e-8, 2);
    let controller = |rule| Controller { rule: Some(rule), ..Controller::OWN };
    let kinds = [
        Adaptive { norm: Norm::Max, ..base.clone() },
        Adaptive { norm: Norm::Blocks(vec![1, 0, 1]), errors: Errors::All, ..base.clone() },
        Adaptive { errors: Errors::Mask(vec![false, true, false]), ..base.clone() },
        Adaptive { controller: controller(Rule::I), ..base.clone() },
        Adaptive { controller: controller(Rule::PID), ..base.clone() },
        Adaptive { controller: controller(Rule::Predictive), ..base.clone() },
        Adaptive {
            controller: Controller { keeps_accepted: true, rejects_alike: true, ..Controller::OWN },
            ..base.clone()
        },
        Adaptive {
            landing: Landing::Cut { slack: 0.01 },
            first_step: Some(0.4),
            max_step: 0.5,
            ..base.clone()
        },
        Adaptive { min_step: 0.05, ..base.clone() },
        Adaptive { start: StartNorm::Sum, ..base.clone() },
        Adaptive { start: StartNorm::SumOfBoth, errors: Errors::All, ..base.clone() },
        Adaptive { estimate: Some(100.0), ..base },
    ];
    for kind in kinds {
        check::<f64, 4>(tableau, &Options { max_steps: 500, ..Options::adaptive(kind) }, &trips(13), &WANTED);
    }
    for max_steps in [0, 1, 7] {
        check::<f64, 4>(tableau, &Options { max_steps, ..adaptive(1e-6) }, &trips(13), &WANTED);
        check::<f64, 4>(tableau, &Options { max_steps, ..Options::fixed(0.1) }, &trips(13), &WANTED);
    }
}

/// `x' = a x²`, `y' = t - b y`, `w' = x`, by their recurrences.
struct Powers {
    a: f64,
    b: f64,
    order: usize,
}

impl<T: Real> Expand<T> for Powers {
    fn dim(&self) -> usize {
        3
    }

    fn order(&self) -> usize {
        self.order
    }

    fn series(&mut self, t: f64, _: f64, y: &[T], out: &mut [T]) {
        let mut x: Vec<[f64; 3]> = vec![[y[0].to_f64(), y[1].to_f64(), y[2].to_f64()]];
        for k in 0..self.order {
            let square: f64 = (0..=k).map(|i| x[i][0] * x[k - i][0]).sum();
            let time = [t, 1.0].get(k).copied().unwrap_or(0.0);
            let next = [self.a * square, time - self.b * x[k][1], x[k][0]].map(|f| f / (k as f64 + 1.0));
            x.push(next);
        }
        out.iter_mut().zip(x[1..].iter().flatten()).for_each(|(out, x)| *out = T::from_f64(*x));
    }

    fn finish(&mut self, t: f64, h: f64, y: &[T], series: &[T], y_new: &mut [T], err: &mut [T]) {
        let mut slopes = [0.0; 3];
        for at in 0..3 {
            let (mut sum, mut slope) = (0.0, 0.0);
            for k in (0..self.order).rev() {
                sum = series[3 * k + at].to_f64() + h * sum;
                slope = sum + h * slope;
            }
            y_new[at] = T::from_f64(y[at].to_f64() + h * sum);
            slopes[at] = slope;
        }
        let (x, v) = (y_new[0].to_f64(), y_new[1].to_f64());
        let rates = [self.a * x * x, t + h - self.b * v, x];
        for at in 0..3 {
            err[at] = T::from_f64(h * (rates[at] - slopes[at]) / (self.order as f64 + 1.0));
        }
    }
}

struct EachSeries<const B: usize>(Vec<Powers>);

impl<T: Real, const B: usize> LaneExpand<T, B> for EachSeries<B> {
    type Args = (f64, f64);

    fn dim(&self) -> usize {
        3
    }

    fn order(&self) -> usize {
        self.0[0].order
    }

    fn load(&mut self, lane: usize, args: &(f64, f64)) {
        (self.0[lane].a, self.0[lane].b) = *args;
    }

    fn series(&mut self, t: &[f64; B], inside: &[f64; B], y: &[[T; B]], out: &mut [[T; B]]) {
        for (lane, system) in self.0.iter_mut().enumerate() {
            let mut own = column(out, lane);
            system.series(t[lane], inside[lane], &column(y, lane), &mut own);
            put(&own, out, lane);
        }
    }

    fn finish(
        &mut self,
        t: &[f64; B],
        h: &[f64; B],
        y: &[[T; B]],
        series: &[[T; B]],
        y_new: &mut [[T; B]],
        err: &mut [[T; B]],
    ) {
        for (lane, system) in self.0.iter_mut().enumerate() {
            let (mut new, mut e) = (column(y_new, lane), column(err, lane));
            system.finish(t[lane], h[lane], &column(y, lane), &column(series, lane), &mut new, &mut e);
            put(&new, y_new, lane);
            put(&e, err, lane);
        }
    }
}

/// Runs all `trips` by the Taylor method in a block of `B` lanes and each alone: the same bits.
fn check_series<T: Real, const B: usize>(order: usize, options: &Options, wanted: &[f64]) {
    let trips: Vec<Trip<T, (f64, f64)>> = trips(17);
    let lane = || (Found::default(), SaveAt::new(&[], (0.0, 1.0), 3), usize::MAX);
    let mut beside = Beside {
        wanted: wanted.to_vec(),
        lanes: (0..B).map(|_| lane()).collect(),
        found: vec![Found::default(); trips.len()],
        steps: 0,
        parts: 0,
        sees_steps: true,
        left: Vec::new(),
        seats: Vec::new(),
    };
    let own = |(a, b): (f64, f64)| Powers { a, b, order };
    let mut system = EachSeries::<B>((0..B).map(|_| own((0.0, 0.0))).collect());
    // Signs turned, so that most solutions stay finite.
    let turned: Vec<_> = trips.into_iter().map(|trip| Trip { args: (-trip.args.0, 0.5), ..trip }).collect();
    lanes::integrate_series(&mut system, options, turned.iter().cloned(), &mut beside).unwrap();
    let mut n_failed = 0;
    for trip in &turned {
        let mut options = Options { resume: trip.resume, ..options.clone() };
        options.stops.extend(&trip.stops);
        let mut observer = Alone(Found::default(), SaveAt::new(wanted, trip.span, 3));
        let mut system = own(trip.args);
        let mut method = Taylor::new(&mut system, &options.stepping);
        let end = integrate(&mut method, &mut NoEvents, trip.span, &trip.y0, &options, &mut observer);
        let Alone(mut expected, save) = observer;
        expected.close(end, &save);
        let found = &beside.found[trip.number];
        assert_eq!(found.end, expected.end, "order {order}: end of run {}", trip.number);
        assert!(*found == expected, "order {order}: steps or rows of run {}", trip.number);
        n_failed += usize::from(expected.end.is_none_or(|end| !end.2.is_success()));
    }
    assert!(n_failed >= 3, "runs that begin nowhere or run away: {n_failed}");
}

#[test]
fn series_in_lanes_have_the_bits_that_they_have_alone() {
    let max_steps = 500;
    for (order, tolerance) in [(5, 1e-4), (12, 1e-9)] {
        check_series::<f64, 8>(order, &Options { max_steps, ..adaptive(tolerance) }, &WANTED);
        check_series::<f32, 4>(order, &Options { max_steps, ..adaptive(tolerance.max(1e-6)) }, &WANTED);
        check_series::<f64, 4>(order, &Options { max_steps, ..Options::fixed(0.3) }, &WANTED);
    }
    for max_steps in [0, 3] {
        check_series::<f64, 4>(6, &Options { max_steps, ..adaptive(1e-6) }, &WANTED);
        check_series::<f64, 4>(6, &Options { max_steps, ..Options::fixed(0.3) }, &WANTED);
    }
}
