//! Reversible methods: steps that are undone, orders, sensitivities.

use nodec::Model;
use nodec::solve::{Adaptive, Invalid, NoEvents, Options, Rates, Reversible, Reversing, integrate};

/// A pendulum that is pushed: `q' = p`, `p' = -sin q + cos(2 t)/2`.
struct Pushed;

impl Rates<f64> for Pushed {
    fn dim(&self) -> usize {
        2
    }

    fn rate(&mut self, t: f64, _: f64, y: &[f64], dy: &mut [f64]) {
        dy.copy_from_slice(&[y[1], -y[0].sin() + 0.5 * (2.0 * t).cos()]);
    }
}

/// `n` steps of size `h` from the start, and as many back; how far from the start that leads.
fn there_and_back(method: Reversible, h: f64, n: u32) -> f64 {
    let (start, inside) = ([1.0, 0.3], f64::NAN);
    let (mut y, mut rate) = (start, [0.0; 2]);
    Pushed.rate(0.0, inside, &y, &mut rate);
    let mut companion = method.companion(&y, &rate);
    let first = companion.clone();
    for k in 0..n {
        method.step(&mut Pushed, (f64::from(k) * h, h, inside), &mut y, &mut companion, &mut rate);
    }
    assert!((y[0] - start[0]).abs() > 0.1, "it has moved");
    let back = method.inverse();
    for k in (1..=n).rev() {
        back.step(&mut Pushed, (f64::from(k) * h, -h, inside), &mut y, &mut companion, &mut rate);
    }
    let gaps = y.iter().zip(start).chain(companion.iter().zip([first[0], first[1]]));
    gaps.map(|(found, start)| (found - start).abs()).fold(0.0, f64::max)
}

/// A step and its inverse differ by a few roundings; over `n` steps they add up, and a damped one
/// multiplies them by `1/|1 - 2η|` each time.
#[test]
fn steps_are_undone_to_round_off() {
    for method in Reversible::ALL {
        let gap = there_and_back(method, 0.01, 1000);
        assert!(gap < 1e-11, "{method:?}: {gap:e}");
    }
    let damped = Reversible::Leapfrog { damping: 0.99 };
    let gap = there_and_back(damped, 0.01, 200);
    assert!(gap < 1e-12 / 0.98_f64.powi(200), "{gap:e}");
}

/// `y' = -y + cos t` from 1: `(cos t + sin t + e^-t)/2`.
struct Driven;

impl Rates<f64> for Driven {
    fn dim(&self) -> usize {
        1
    }

    fn rate(&mut self, t: f64, _: f64, y: &[f64], dy: &mut [f64]) {
        dy[0] = -y[0] + t.cos();
    }
}

fn error(method: Reversible, n: u32) -> f64 {
    let options = Options::fixed(2.0 / f64::from(n));
    let mut system = Driven;
    let mut reversing = Reversing::new(&mut system, method, &options.stepping);
    let end = integrate(&mut reversing, &mut NoEvents, (0.0, 2.0), &[1.0], &options, &mut ()).expect("valid");
    assert_eq!(end.stats.evaluations, u64::from(n) + 1);
    (end.y[0] - 0.5 * (2.0_f64.cos() + 2.0_f64.sin() + (-2.0_f64).exp())).abs()
}

#[test]
fn the_orders_are_those_of_the_papers() {
    let methods = Reversible::ALL.map(|method| (method, 2.0));
    for (method, order) in methods.into_iter().chain([(Reversible::Leapfrog { damping: 0.8 }, 1.0)]) {
        let slope = (error(method, 64) / error(method, 512)).log2() / 3.0;
        assert!((slope - order).abs() < 0.1, "{method:?}: {slope}");
    }
    let options = Options::adaptive(Adaptive::new(1e-6, 1e-6, 1));
    let mut system = Driven;
    let mut reversing = Reversing::new(&mut system, Reversible::Heun, &options.stepping);
    let refused = integrate(&mut reversing, &mut NoEvents, (0.0, 2.0), &[1.0], &options, &mut ());
    assert_eq!(refused, Err(Invalid::NoErrorEstimate { method: "reversible_heun" }));
}

/// x(1) = x0 exp(-k): the derivatives travel with the state; by steps of 1/1000 to some 1e-6.
#[test]
fn sensitivities_travel_along() {
    let text = "param k = 0.5, x0 = 2.0\ntime t in 0..1\nstate x = x0\nx' = -k*x\noutput last = x(end)\n\
                solve { dt = 0.001, adjoint = forward }\n";
    let model = Model::parse(text).expect("it checks");
    for method in Reversible::ALL {
        let run = model.bind().method(method.name()).build().expect("it compiles");
        let gradient = run.grad("last").expect("an output").expect("it has a gradient");
        for (name, expected) in [("k", -2.0 * (-0.5_f64).exp()), ("x0", (-0.5_f64).exp())] {
            let slope = gradient.get(name).expect("a param")[0];
            assert!((slope - expected).abs() < 1e-6, "{method:?}: {slope} by {name} for {expected}");
        }
    }
}
