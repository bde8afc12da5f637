//! Gradients through events, against closed forms and differences of whole runs.

use nodec::{Gradient, Model, Run};

fn run(text: &str, settings: &[(&str, &str)]) -> Run {
    let model = Model::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let set = |binder: nodec::Binder, (key, value): &(&str, &str)| binder.setting(key, value);
    settings.iter().fold(model.bind(), set).build().unwrap_or_else(|error| panic!("{error}"))
}

fn flat(gradient: &Gradient) -> Vec<f64> {
    gradient.by.iter().flat_map(|param| param.values.clone()).collect()
}

const ADJOINTS: [&str; 6] =
    ["discrete", "checkpoint(3)", "backsolve()", "backsolve(norm = seminorm)", "interpolating()", "forward"];

const BALL: &str = "
    const g = 9.81
    param e in unit = 0.8, h = 10.0
    time t in 0..60
    state x = h, v = 0.0
    discrete bounces: int = 0
    discrete hit: [10] = zeros(10)
    x' = v
    v' = -g
    when x < 0 {
      x := 0
      v := -e*v
      bounces := bounces + 1
      hit := [if k == bounces then t else hit[k] for k in 0..10]
    }
    when bounces >= 10 { stop }
    output hit_0 = hit(end)[0], hit_1 = hit(end)[1], hit_2 = hit(end)[2], hit_3 = hit(end)[3]
    output hit_4 = hit(end)[4], hit_5 = hit(end)[5], hit_6 = hit(end)[6], hit_7 = hit(end)[7]
    output hit_8 = hit(end)[8], hit_9 = hit(end)[9]
";

/// With `T = √(2h/g)` bounce k is at `T (1 + 2 Σ e^i)`, `i = 1 .. k`.
#[test]
fn the_bounces_of_a_ball_have_the_gradients_of_the_closed_form() {
    let (g, e, h) = (9.81_f64, 0.8_f64, 10.0_f64);
    let fall = (2.0 * h / g).sqrt();
    for adjoint in ADJOINTS {
        for method in ["dopri5", "tsit5"] {
            let settings = [
                ("solve.rtol", "1e-12"),
                ("solve.atol", "1e-12"),
                ("solve.method", method),
                ("solve.adjoint", adjoint),
            ];
            let run = run(BALL, &settings);
            for bounce in 0..10_u32 {
                let (mut when, mut by_e) = (1.0, 0.0);
                for i in 1..=bounce {
                    when += 2.0 * e.powi(i as i32);
                    by_e += 2.0 * f64::from(i) * e.powi(i as i32 - 1);
                }
                let gradient = run.grad(&format!("hit_{bounce}")).unwrap().unwrap();
                let found = flat(&gradient);
                let wanted = [fall * by_e, fall * when / (2.0 * h)];
                assert!((gradient.value - fall * when).abs() < 1e-10);
                for (found, wanted) in found.iter().zip(wanted) {
                    assert!((found - wanted).abs() < 1e-10, "{method} {adjoint} {bounce}: {found} {wanted}");
                }
            }
        }
    }
}

struct Closed {
    text: &'static str,
    gradient: fn() -> Vec<f64>,
}

const CLOSED: &[Closed] = &[
    // The time and the speed of a fall: √(2h/g), √(2gh). The end that the file gives is not reached.
    Closed {
        text: "
            param h = 7.0, g = 9.81, t1 = 30.0
            time t in 0..t1
            state x = h, v = 0.0
            x' = v
            v' = -g
            channel path' = -v
            when x <= 0 { stop }
            loss value = end + 2*v(end) + 3*path(end)
        ",
        gradient: || {
            let (h, g) = (7.0_f64, 9.81_f64);
            let (t, v) = ((2.0 * h / g).sqrt(), -(2.0 * g * h).sqrt());
            vec![t / (2.0 * h) + v / h + 3.0, -t / (2.0 * g) + v / g, 0.0]
        },
    },
    // Doses at learned times, of an amount that depends on the time: x(2) = e^(-2k) + Σ a τ e^(-k(2-τ)).
    Closed {
        text: "
            param tau: [2] = [0.4, 1.3], a = 0.8, k = 0.9
            time t in 0..2
            state x = 1.0
            x' = -k*x
            at tau { x := x + a*t }
            loss value = x(end)
        ",
        gradient: || {
            let (a, k) = (0.8_f64, 0.9_f64);
            let share = |tau: f64| (-k * (2.0 - tau)).exp();
            let by_tau = |tau: f64| a * share(tau) * (1.0 + k * tau);
            let by_a = 0.4 * share(0.4) + 1.3 * share(1.3);
            let by_k = -2.0 * (-2.0 * k).exp() - a * (0.4 * 1.6 * share(0.4) + 1.3 * 0.7 * share(1.3));
            vec![by_tau(0.4), by_tau(1.3), by_a, by_k]
        },
    },
    // A period counted from a learned start: x(T) = e^(-(T-t0)) + d Σ e^(-(T - t0 - i p)), i = 1, 2, 3.
    Closed {
        text: "
            param t0 = 0.2, p = 0.5, d = 1.2
            time t in t0..2
            state x = 1.0
            x' = -x
            every p { x := x + d }
            loss value = x(end)
        ",
        gradient: || {
            let (t0, p, d) = (0.2_f64, 0.5_f64, 1.2_f64);
            let share = |i: f64| (-(2.0 - t0 - i * p)).exp();
            let all = share(1.0) + share(2.0) + share(3.0);
            let by_p = d * (share(1.0) + 2.0 * share(2.0) + 3.0 * share(3.0));
            vec![share(0.0) + d * all, by_p, all]
        },
    },
    // A switch: u rests until x passes c, at τ = c/a, from where x'= b: x(2) = c + b (2 - c/a), with the
    // integral c²/(2a) + c (2 - τ) + b (2 - τ)²/2 and a second event of the same condition.
    Closed {
        text: "
            param a = 1.5, b = 0.4, c = 1.2
            time t in 0..2
            state x = 0.0
            discrete u = 0.0
            discrete when_ = 0.0
            x' = a + u
            channel area' = x
            when x > c { u := b - a }
            when x > c { when_ := t }
            loss value = x(end) + area(end) + 5*when_(end)
        ",
        gradient: || {
            let (a, b, c) = (1.5_f64, 0.4_f64, 1.2_f64);
            let rest = 2.0 - c / a;
            // d(c²/(2a) + c r + b r²/2) with r = 2 - c/a.
            let (r_a, r_c) = (c / (a * a), -1.0 / a);
            let by_rest = b + c + b * rest;
            vec![
                by_rest * r_a - c * c / (2.0 * a * a) - 5.0 * c / (a * a),
                rest + rest * rest / 2.0,
                1.0 + by_rest * r_c + c / a + rest + 5.0 / a,
            ]
        },
    },
    // Backwards in time: x = e^(k(3 - t)) reaches c at 3 - ln(c)/k.
    Closed {
        text: "
            param k = 0.5, c = 1.7
            time t in 3..0
            state x = 1.0
            x' = -k*x
            when x > c { stop }
            loss value = end
        ",
        gradient: || {
            let (k, c) = (0.5_f64, 1.7_f64);
            vec![c.ln() / (k * k), -1.0 / (k * c)]
        },
    },
    // A jump at a knot at which the slope of the rate switches, both at s. With u = t up to s and
    // s + m (t - s) after it, x(2) = q s²/2 + s r + m r²/2 with r = 2 - s.
    Closed {
        text: "
            param s = 0.7, m = 0.6, q = 1.4
            time t in 0..2
            control u = linear([0, s, 2], [0, s, s + m*(2 - s)])
            state x = 0.0
            x' = u
            at s { x := q*x }
            loss value = x(end)
        ",
        gradient: || {
            let (s, m, q) = (0.7_f64, 0.6_f64, 1.4_f64);
            let r = 2.0 - s;
            vec![q * s - s + r - m * r, r * r / 2.0, s * s / 2.0]
        },
    },
];

/// These problems do not amplify errors, so a thousand tolerances are ample.
#[test]
fn events_have_the_gradients_of_the_closed_form() {
    for closed in CLOSED {
        for adjoint in ADJOINTS {
            let settings = [("solve.rtol", "1e-11"), ("solve.atol", "1e-11"), ("solve.adjoint", adjoint)];
            let gradient = match run(closed.text, &settings).gradient() {
                Ok(gradient) => flat(&gradient),
                // Knots that depend on params are refused there, not ignored.
                Err(error) => {
                    assert!(adjoint == "forward" && closed.text.contains("linear("), "{error}");
                    continue;
                }
            };
            for (found, wanted) in gradient.iter().zip((closed.gradient)()) {
                assert!(
                    (found - wanted).abs() < 1e-8 * wanted.abs().max(1.0),
                    "{adjoint}: {gradient:?} {:?}\n{}",
                    (closed.gradient)(),
                    closed.text
                );
            }
        }
    }
}

/// A thermostat that turns on and off several times; two conditions, one of them of two comparisons.
const THERMOSTAT: &str = "
    param lo = 18.0, hi = 21.0, power = 12.0, k = 0.35
    time t in 0..9
    state T = 19.0
    discrete on = 1.0
    discrete switches: int = 0
    T' = k*(10 - T) + power*on/(1 + 0.1*sin(t)^2)
    channel heat' = power*on
    when T > hi and t > 0.5 { on := 0, switches := switches + 1 }
    when T < lo { on := 1, switches := switches + 1 }
    loss value = heat(end)/10 + T(end) + T(4.4)
";

/// Central differences: `h² f'''/6`, and the error of a run over `h`.
#[test]
fn a_thermostat_has_the_gradient_of_differences() {
    for adjoint in ADJOINTS {
        let settings = [("solve.rtol", "1e-12"), ("solve.atol", "1e-12"), ("solve.adjoint", adjoint)];
        let run = run(THERMOSTAT, &settings);
        assert!(run.solve().unwrap().end("switches").unwrap()[0] > 4.0);
        let gradient = flat(&run.gradient().unwrap());
        for (number, param) in run.params().iter().enumerate() {
            let value = |h: f64| {
                let mut moved = run.clone();
                assert!(moved.set_param(&param.path, &[param.values[0] + h]));
                moved.solve().unwrap().objective()
            };
            let difference = (value(1e-4) - value(-1e-4)) / 2e-4;
            let error = (difference - gradient[number]).abs() / difference.abs().max(1.0);
            assert!(error < 1e-6, "{adjoint} {}: {difference} {} {error:e}", param.path, gradient[number]);
        }
    }
}

/// What is computed again has the same bits, jumps included.
#[test]
fn checkpoints_give_the_bits_of_the_discrete_gradient_through_events() {
    for text in [BALL, THERMOSTAT] {
        let with = |adjoint| {
            let run = run(text, &[("solve.adjoint", adjoint)]);
            let gradient = if text == BALL { run.grad("hit_9").unwrap() } else { run.gradient() };
            gradient.unwrap()
        };
        let full = with("discrete");
        for adjoint in ["checkpoint(2)", "checkpoint(5)"] {
            let gradient = with(adjoint);
            assert_eq!(gradient.by, full.by, "{adjoint}");
            assert!(gradient.cost.recomputed > 0, "{adjoint}");
        }
    }
}
