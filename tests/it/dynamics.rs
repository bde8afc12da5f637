//! What moves a system: constraints, mass matrices, noises, events and paths, as the functions that
//! are extracted from the text. Expected numbers are worked out by hand beside the programs.

use crate::sema::{check, close, run, system};
use nodec::ir::func::Func;
use nodec::ir::program::Program;
use nodec::ir::system::{Calculus, Condition, Trigger, UnknownKind};

/// What a function of the motion gives: `moving` are the time, a time inside the piece, states and channels,
/// `fixed` params and data, of which the args are made.
fn now(program: &Program, func: &Func, moving: &[&[f64]], fixed: &[&[f64]]) -> Vec<Vec<f64>> {
    let system = &program.systems[0];
    let start = run(&program.solves[0].start, fixed);
    let args = start[2 + system.states.len() + system.channels.len()..].iter().map(Vec::as_slice);
    let inputs: Vec<&[f64]> = moving.iter().copied().chain(args).chain(fixed.iter().copied()).collect();
    run(func, &inputs)
}

const ROBERTSON: &str = "
param k1 = 0.04, k2 = 3e7, k3 = 1e4
time t in 0..1e5
state x = 1.0, y = 0.0
algebraic z = 0.0
x' = -k1*x + k3*y*z
y' =  k1*x - k3*y*z - k2*y^2
0  = x + y + z - 1
";

#[test]
fn a_constraint_is_a_row_without_rates() {
    let program = system(ROBERTSON);
    let system = &program.systems[0];
    let kinds: Vec<UnknownKind> = system.states.iter().map(|state| state.kind).collect();
    assert_eq!(kinds, [UnknownKind::Rate, UnknownKind::Rate, UnknownKind::Algebraic]);
    assert_eq!(system.constraints, [false, false, true]);
    assert!(system.mass.is_none(), "the identity on the rates, zero on the constraint");
    let now: &[&[f64]] = &[&[0.0], &[0.0], &[0.5], &[1e-5], &[0.25], &[0.04], &[3e7], &[1e4]];
    let rows = run(&system.field, now);
    close(&rows[0], &[-0.04 * 0.5 + 1e4 * 1e-5 * 0.25]);
    close(&rows[1], &[0.04 * 0.5 - 1e4 * 1e-5 * 0.25 - 3e7 * 1e-10]);
    close(&rows[2], &[0.5 + 1e-5 + 0.25 - 1.0]);
}

#[test]
fn a_zero_row_of_the_mass_matrix_is_a_constraint() {
    let program = system(
        "param C = 2.0, G = [[2, -1], [-1, 1]]
         time t in 0..1
         state v: [2] = [0, 0]
         C*[[1, 0], [0, 0]] @ v' + G @ v = [sin(t), 0]",
    );
    let system = &program.systems[0];
    assert_eq!(system.constraints, [false, true]);
    assert!(system.rates.is_none());
    let g: &[f64] = &[2.0, -1.0, -1.0, 1.0];
    let (moving, fixed): (&[&[f64]], &[&[f64]]) = (&[&[0.5], &[0.5], &[3.0, 5.0]], &[&[2.0], g]);
    let mass = system.mass.as_ref().expect("C is not 1");
    close(&now(&program, mass, moving, fixed)[0], &[2.0, 0.0, 0.0, 0.0]);
    // C v0' = sin t - 2 v0 + v1; the residual of the second row is -v0 + v1.
    close(&now(&program, &system.field, moving, fixed)[0], &[0.5_f64.sin() - 6.0 + 5.0, -3.0 + 5.0]);
}

#[test]
fn a_line_that_is_linear_in_its_primes_is_solved_for_rates() {
    let program = system(
        "param m = [[2, 1], [1, 3]], k = 4.0
         time t in 0..1
         state q: [2] = [1, 0], q': [2] = [0, 0]
         m @ q'' = -k*q",
    );
    let system = &program.systems[0];
    assert_eq!(system.constraints, [false; 4]);
    let moving: &[&[f64]] = &[&[0.0], &[0.0], &[5.0, -5.0], &[1.0, 2.0]];
    let fixed: &[&[f64]] = &[&[2.0, 1.0, 1.0, 3.0], &[4.0]];
    let mass = now(&program, system.mass.as_ref().expect("m is no identity"), moving, fixed).remove(0);
    close(&mass, &[1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 2.0, 1.0, 0.0, 0.0, 1.0, 3.0]);
    close(&now(&program, &system.field, moving, fixed)[1], &[-20.0, 20.0]);
    // The inverse of m is [[3, -1], [-1, 2]]/5.
    let rates = now(&program, system.rates.as_ref().expect("m can be solved away"), moving, fixed);
    close(&rates[0], &[1.0, 2.0]);
    close(&rates[1], &[(-60.0 - 20.0) / 5.0, (20.0 + 40.0) / 5.0]);
}

#[test]
fn elimination_exchanges_rows() {
    let program = system(
        "time t in 0..1
         param a = 0.0
         state x = 1.0, y = 2.0
         a*x' + 2*y' = 6
         3*x' + a*y' = 12",
    );
    let system = &program.systems[0];
    let moving: &[&[f64]] = &[&[0.0], &[0.0], &[1.0], &[2.0]];
    let rates = now(&program, system.rates.as_ref().expect("two rates"), moving, &[&[0.0]]);
    close(&rates[0], &[4.0]);
    close(&rates[1], &[3.0]);
}

#[test]
fn a_line_with_one_prime_of_coefficient_one_needs_no_mass_matrix() {
    let program = system(
        "time t in 0..1
         state x = 0.0, x' = 1.0
         x'' + 0.5*x' + x = sin(t)",
    );
    let system = &program.systems[0];
    assert!(system.mass.is_none());
    close(&run(&system.field, &[&[0.0], &[0.0], &[3.0], &[2.0]])[1], &[-1.0 - 3.0]);
}

#[test]
fn primes_of_solved_lines_are_substituted_in_constraints_however_they_enter() {
    let program = system(
        "time t in 0..1
         state x = 2.0
         algebraic z = 0.0
         x' = -3*x
         0 = z - x'^2",
    );
    close(&run(&program.systems[0].field, &[&[0.0], &[0.0], &[2.0], &[1.0]])[1], &[1.0 - 36.0]);
}

#[test]
fn noise_is_taken_apart_into_drift_and_diffusion() {
    let program = system(
        "noise W: [2] = wiener(ito)
         noise B = wiener(ito)
         time t in 0..1
         state s: [2] = [1, 1], r = 0.0
         s' = 0.05*s + 0.2*s*W' + [1, 0]*B'
         r' = -r + s[0]*B'",
    );
    let system = &program.systems[0];
    assert_eq!(system.noises.len(), 2);
    assert_eq!(system.noises[0].calculus, Calculus::Ito);
    assert_eq!(&*system.noises[0].path, "W");
    let now: &[&[f64]] = &[&[0.0], &[0.0], &[10.0, 20.0], &[3.0]];
    close(&run(&system.field, now)[0], &[0.5, 1.0]);
    close(&run(&system.field, now)[1], &[-3.0]);
    let diffusion = run(system.diffusion.as_ref().expect("two noises"), now).remove(0);
    close(&diffusion, &[2.0, 0.0, 1.0, 0.0, 4.0, 0.0, 0.0, 0.0, 10.0]);
}

#[test]
fn events_have_roots_and_simultaneous_jumps() {
    let program = system(
        "const g = 9.81
         param e in unit = 0.8
         time t in 0..60
         state x = 10.0, v = 0.0
         discrete bounces: int = 0
         x' = v
         v' = -g
         when x < 0 { let w = -e*v; x := 0; v := w; bounces := bounces + 1 }
         when bounces >= 10 { stop }
         when not (x > 1 and v <= 2) or t > 3 { x := v; v := x }",
    );
    let system = &program.systems[0];
    assert_eq!(system.states[2].kind, UnknownKind::Discrete);
    let now: &[&[f64]] = &[&[0.5], &[0.5], &[-0.25], &[-7.0], &[9.0], &[0.8]];
    let [bounce, last, swap] = system.events.as_slice() else { panic!("three events") };
    let roots = |event: &nodec::ir::system::Event| match &event.trigger {
        Trigger::When { roots, condition } => (run(roots, now).remove(0), condition.clone()),
        other => panic!("{other:?}"),
    };
    let root = |root, strict| Condition::Root { root, strict };
    let (values, condition) = roots(bounce);
    close(&values, &[0.25]);
    assert_eq!(condition, root(0, true));
    let after = run(&bounce.jump, now);
    close(&after.concat(), &[0.0, 5.6, 10.0]);
    assert!(!bounce.stop && last.stop);
    assert_eq!(&*last.name, "bounces >= 10");
    let (values, condition) = roots(last);
    close(&values, &[-1.0]);
    assert_eq!(condition, root(0, false));
    let (values, condition) = roots(swap);
    close(&values, &[-1.25, 9.0, -2.5]);
    let both = Condition::And(Box::new(root(0, true)), Box::new(root(1, false)));
    let turned = Condition::Not(Box::new(both));
    assert_eq!(condition, Condition::Or(Box::new(turned), Box::new(root(2, true))));
    close(&run(&swap.jump, now).concat(), &[-7.0, -0.25, 9.0]);
    // A discrete rests.
    close(&run(&system.field, now)[2], &[0.0]);
}

#[test]
fn events_at_times_and_parts_that_jump() {
    let program = system(
        "param dt = 6.0
         time t in 0..24
         state c: [3] = [0, 0, 0], x = 1.0, x' = 0.0
         c' = -c
         x'' = -x
         every dt { c[1] := c[1] + 100; c[0] := c[1] }
         at [1, 5] { x' := 2*x' }",
    );
    let system = &program.systems[0];
    let [every, at] = system.events.as_slice() else { panic!("two events") };
    match (&every.trigger, &at.trigger) {
        (Trigger::Every(period), Trigger::At(times)) => {
            close(&run(period, &[&[6.0]])[0], &[6.0]);
            close(&run(times, &[&[6.0]])[0], &[1.0, 5.0]);
        }
        other => panic!("{other:?}"),
    }
    let now: &[&[f64]] = &[&[6.0], &[6.0], &[1.0, 2.0, 3.0], &[4.0], &[5.0], &[6.0]];
    close(&run(&every.jump, now).concat(), &[2.0, 102.0, 3.0, 4.0, 5.0]);
    close(&run(&at.jump, now).concat(), &[1.0, 2.0, 3.0, 4.0, 10.0]);
}

#[test]
fn a_path_is_asked_for_on_the_piece_that_is_meant() {
    let program = system(
        "const ts = [0, 1, 3]
         control u = linear(ts, [[0, 1], [2, 1], [0, 5]])
         time t in 0..3
         state x: [2] = u(start)
         x' = u + 10*u'
         output late = u(2.0)[1] + u'(0.5)[0]",
    );
    let system = &program.systems[0];
    // At the knot 1 the slope is (2, 0) before and (-1, 2) after.
    let before = run(&system.field, &[&[1.0], &[0.5], &[0.0, 0.0]]);
    close(&before[0], &[2.0 + 20.0, 1.0]);
    let after = run(&system.field, &[&[1.0], &[1.5], &[0.0, 0.0]]);
    close(&after[0], &[2.0 - 10.0, 1.0 + 20.0]);
    let solve = &program.solves[0];
    close(&run(&solve.stops, &[])[0], &[0.0, 1.0, 3.0]);
    close(&run(&solve.start, &[])[2], &[0.0, 1.0]);
    close(&run(&program.post, &[&[0.0], &[3.0]])[0], &[3.0 + 2.0]);
}

#[test]
fn an_input_may_be_a_path_and_the_ends_of_the_run_stand_in_equations() {
    let program = system(
        "input dose = hermite([0, 1, 2], [0, 4, 4])
         param t1 = 2.0
         time t in 0..t1
         state x = 0.0
         x' = dose/(end - start)",
    );
    assert_eq!(&*program.data[0].path, "dose");
    assert_eq!(program.data[0].value, Some(vec![0.0, 4.0, 4.0]));
    let (moving, fixed): (&[&[f64]], &[&[f64]]) = (&[&[1.0], &[1.5], &[0.0]], &[&[4.0], &[0.0, 8.0, 8.0]]);
    close(&now(&program, &program.systems[0].field, moving, fixed)[0], &[2.0]);
}

#[test]
fn equations_are_counted_by_connected_unknowns() {
    check(
        "time t in 0..1\nstate x = 1.0, y = 0.0, z = 0.0\nx' = -x\ny' = x\n0 = x + y + z - 1",
        &[("E0501", "z")],
    );
    check("time t in 0..1\nstate x = 1.0\nalgebraic z = 0.0\nx' = z", &[("E0501", "z")]);
    check(
        "time t in 0..1\nstate x = 1.0\nalgebraic z = 0.0\nx' = z\n0 = z - x\n0 = z + x",
        &[("E0504", "0 = z + x")],
    );
    check("time t in 0..1\nstate x = 1.0\nx' = -x\n0 = x - 1", &[("E0504", "0 = x - 1")]);
    // Two algebraic unknowns may be determined together only.
    check(
        "time t in 0..1\nstate x = 1.0\nalgebraic a = 0.0, b = 0.0\nx' = a - b\n0 = a + b - x\n0 = a - 2*b",
        &[],
    );
    check(
        "time t in 0..1\nstate x: [2] = [1, 1]\nalgebraic z: [2] = [0, 0]\nx' = -z\n[x[0] - z[0], z[1] - x[1]] = [0, 0]",
        &[],
    );
    check(
        "time t in 0..1\nstate x: [2] = [1, 1]\nalgebraic z: [2] = [0, 0]\nx' = -z\n0 = z[0] - x[1]",
        &[("E0501", "z")],
    );
}

#[test]
fn misused_primes_noises_and_assignments_are_said() {
    let noisy = "noise W = wiener(ito)\ntime t in 0..1\nstate s = 1.0\ns' = W'\n";
    check(&format!("{noisy}output rate = s'"), &[("E0507", "s'")]);
    check(&format!("{noisy}state y = 0.0\ny' = W"), &[("E0507", "W")]);
    check(&format!("{noisy}channel c' = W'\noutput e = c(end)"), &[("E0507", "W'")]);
    check("noise W = wiener()\ntime t in 0..1\nstate s = 1.0\ns' = W'", &[("E0203", "wiener()")]);
    let open = "time t in 0..1\nstate x = 1.0, y = 0.0\n2*x' + x = 0\n";
    check(&format!("{open}y' = x'"), &[("E0508", "x'")]);
    check(&format!("{open}y' = (x^2)'"), &[("E0508", "(x^2)'")]);
    let plain = "time t in 0..1\nstate x: [2] = [1, 1]\ndiscrete n: int = 0\nparam k = 1.0\nx' = -k*x\n";
    check(&format!("{plain}when x[0] == 1 {{ stop }}"), &[("E0509", "x[0] == 1")]);
    check(&format!("{plain}when x < 1 {{ stop }}"), &[("E0514", "x < 1")]);
    check(&format!("{plain}at 1 {{ n := 0.5 }}"), &[("E0308", "0.5")]);
    check(&format!("{plain}at 1 {{ k := 2 }}"), &[("E0515", "k")]);
    check(&format!("{plain}at 1 {{ x' := [1, 1] }}"), &[("E0515", "x'")]);
    check(&format!("{plain}at 1 {{ n := 1; n := 2 }}"), &[("E0515", "n")]);
    check(&format!("{plain}at 1 {{ x[0] := 1; x[2] := 2 }}"), &[("E0309", "2")]);
    check(&format!("{plain}at 1 {{ x := 1 }}"), &[("E0301", "1")]);
    check(&format!("{plain}at x {{ stop }}"), &[("E0401", "x")]);
    check(&format!("{plain}let m = n'"), &[("E0602", "n'")]);
    check(&format!("{plain}n' = 1"), &[("E0511", "n")]);
}
