//! Gradients through whole runs, by every way there is, against closed forms.

use nodec::{Model, Run, Way};

fn run(text: &str, settings: &[(&str, &str)]) -> Run {
    let model = Model::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let set = |binder: nodec::Binder, (key, value): &(&str, &str)| binder.setting(key, value);
    settings.iter().fold(model.bind(), set).build().unwrap_or_else(|error| panic!("{error}"))
}

/// Checks a scalar and its derivatives by every way, at tolerances of 1e-10, to a thousand of these.
fn check(text: &str, name: &str, value: f64, by: &[(&str, &[f64])]) {
    let run = run(text, &[("solve.rtol", "1e-10"), ("solve.atol", "1e-10"), ("solve.method", "dop853")]);
    for way in Way::ALL {
        let gradient = run.gradient_by(Some(name), way).unwrap_or_else(|| panic!("no `{name}`"));
        let gradient = gradient.unwrap_or_else(|error| panic!("{}: {error}", way.name));
        assert!((gradient.value - value).abs() < 1e-7, "{name}: {} for {value}", gradient.value);
        for (param, exact) in by {
            let found = gradient.get(param).unwrap_or_else(|| panic!("no `{param}`"));
            for (found, exact) in found.iter().zip(*exact) {
                let error = (found - exact).abs() / exact.abs().max(1.0);
                assert!(error < 1e-7, "{}, {name}, {param}: {found} for {exact}", way.name);
            }
        }
    }
}

/// z' = A z. The values are integrals of matrix exponentials, by mpmath 1.3 with 30 digits: with
/// λ(s) = exp(Aᵀ(T - s)) w, ∂(w·z(T))/∂z0 = λ(0), ∂/∂A = ∫ λ zᵀ; those of ∫|Az|² by differences of it
/// with a distance of 1e-10.
const LINEAR: &str = "
    param A: [2, 2] = [[-0.3, 1.1], [-0.7, 0.2]], z0: [2] = [1, -0.5]
    time t in 0..1.5
    state z: [2] = z0
    z' = A @ z
    channel trace' = div(z')
    channel kinetic' = sumsq(z')
    channel frobenius' = jac_frob2(z')
    const w: [2] = [0.6, 1.3]
    output last = dot(w, z(end))
    output entropy = trace(end), energy = kinetic(end), norm2 = frobenius(end)
    output density = -sumsq(z0)/2 - log(2*pi) - trace(end)
";

#[test]
fn a_linear_system_has_the_gradients_of_its_matrix_exponential() {
    let by_a = [-0.39537162832640332, 0.19420216988737267, 0.56540500105464625, -2.0726121802280276];
    let by_z = [-0.94440871626592177, 1.401827645540731];
    check(LINEAR, "last", -1.6453225390362873, &[("A", &by_a), ("z0", &by_z)]);
}

/// A Gaussian under a linear flow: ∫ tr A = T tr A, ∫‖A‖² = T‖A‖², and the density of the image is that
/// of z0 less the trace.
#[test]
fn a_gaussian_under_a_linear_flow_has_the_integrals_of_the_closed_form() {
    check(LINEAR, "entropy", -0.15, &[("A", &[1.5, 0.0, 0.0, 1.5]), ("z0", &[0.0, 0.0])]);
    check(LINEAR, "norm2", 1.5 * 1.83, &[("A", &[-0.9, 3.3, -2.1, 0.6]), ("z0", &[0.0, 0.0])]);
    let by_a = [0.247123153887053, 1.55959628308064, -1.65898192786105, 2.53985254851678];
    check(
        LINEAR,
        "energy",
        1.928081356590073,
        &[("A", &by_a), ("z0", &[2.69821633844728, -2.31589274946574])],
    );
    let density = -0.625 - (2.0 * std::f64::consts::PI).ln() + 0.15;
    check(LINEAR, "density", density, &[("A", &[-1.5, 0.0, 0.0, -1.5]), ("z0", &[-1.0, 0.5])]);
}

/// The probes' estimates have these means: of T eᵀAe and T|Aᵀe|² over 400 probes, with standard errors
/// T·√(2(‖S‖² - Σ s_ii²)/400) for random signs, S the symmetric part of A, or AAᵀ (Hutchinson, 1989). In
/// one dimension there is nothing to estimate.
#[test]
fn estimates_of_a_linear_flow_have_the_exact_means() {
    let settings = [
        ("solve.trace", "hutchinson(rademacher, probes = 400)"),
        ("solve.method", "rk4"),
        ("solve.dt", "0.5"),
    ];
    let of = |name: &str| run(LINEAR, &settings).grad(name).unwrap().unwrap();
    // S = [[-0.3, 0.2], [0.2, 0.2]]; AAᵀ has 0.43 beside its diagonal.
    let (trace_error, norm_error) = (1.5 * 2.0 * 0.2 / 20.0, 1.5 * 2.0 * 0.43 / 20.0);
    let (trace, norm) = (of("entropy"), of("norm2"));
    assert!((trace.value + 0.15).abs() < 4.0 * trace_error, "{}", trace.value);
    assert!((norm.value - 1.5 * 1.83).abs() < 4.0 * norm_error, "{}", norm.value);
    // ∂/∂A of T eᵀAe is T eeᵀ, with T on the diagonal whatever the signs.
    let by_a = trace.get("A").unwrap();
    assert!((by_a[0] - 1.5).abs() < 1e-12 && (by_a[3] - 1.5).abs() < 1e-12, "{by_a:?}");
    assert!(by_a[1].abs() < 4.0 * 1.5 / 20.0, "{by_a:?}");
    let one = "
        param a = -0.7
        time t in 0..2
        state z = 1.0
        z' = a*z
        channel trace' = div(z')
        channel frobenius' = jac_frob2(z')
        output l = trace(end), n = frobenius(end)
    ";
    let run = run(one, &[("solve.trace", "hutchinson(rademacher)")]);
    let (l, n) = (run.grad("l").unwrap().unwrap(), run.grad("n").unwrap().unwrap());
    assert!((l.value + 1.4).abs() < 1e-12 && (l.get("a").unwrap()[0] - 2.0).abs() < 1e-12, "{l:?}");
    assert!((n.value - 0.98).abs() < 1e-12 && (n.get("a").unwrap()[0] + 2.8).abs() < 1e-12, "{n:?}");
}

/// R_2 and R_3 of z' = a z are a⁴ ∫z² and a⁶ ∫z², with ∫z² = (exp(2aT) - 1)/(2a).
#[test]
fn derivatives_along_an_exponential_are_powers() {
    let text = "
        param a = -0.8
        time t in 0..1.5
        state z = 1.0
        z' = a*z
        channel r2' = (z'')^2
        channel r3' = (z''')^2
        output second = r2(end), third = r3(end)
    ";
    let (a, end) = (-0.8_f64, 1.5_f64);
    let of = |power: i32| {
        // a^(2K)/(2a) (e - 1) with e = exp(2 a T).
        let e = (2.0 * a * end).exp();
        let p = 2 * power - 1;
        let value = 0.5 * a.powi(p) * (e - 1.0);
        (value, 0.5 * (f64::from(p) * a.powi(p - 1) * (e - 1.0) + a.powi(p) * 2.0 * end * e))
    };
    check(text, "second", of(2).0, &[("a", &[of(2).1])]);
    check(text, "third", of(3).0, &[("a", &[of(3).1])]);
}

/// A field that is a polynomial of time of degree 3 has a solution of degree 4: the fifth derivative is
/// nothing but zero, whatever the coefficients, and so is its gradient.
#[test]
fn derivatives_above_the_degree_of_a_polynomial_vanish() {
    let text = "
        param c: [4] = [0.5, -1.0, 2.0, 0.75]
        time t in 0..2
        state z = 0.3
        z' = c[0] + c[1]*t + c[2]*t^2 + c[3]*t^3
        channel r4' = (z'''')^2
        channel r5' = (z''''')^2
        channel r6' = (z'''''')^2
        output fourth = r4(end), fifth = r5(end), sixth = r6(end)
    ";
    // z'''' = 6 c[3].
    check(text, "fourth", 72.0 * 0.75 * 0.75, &[("c", &[0.0, 0.0, 0.0, 144.0 * 0.75])]);
    let run = run(text, &[]);
    for name in ["fifth", "sixth"] {
        let gradient = run.grad(name).unwrap().unwrap();
        assert_eq!((gradient.value, gradient.get("c").unwrap()), (0.0, &[0.0; 4][..]), "{name}");
    }
}

/// From the point nearest to the centre, at distance 1 with velocity v, an orbit returns after
/// 2π a^(3/2), with 1/a = 2 - v².
#[test]
fn the_period_of_an_orbit_has_the_derivative_of_keplers_law() {
    let text = "
        param v = 1.1
        time t in 0..20
        state q: [2] = [1, 0], q' = [0, v]
        q'' = -q/norm(q)^3
        when q[1] > 0 and t > 5 { stop }
        output period = end
    ";
    check(text, "period", 8.9482731245366021, &[("v", &[37.378862418950363])]);
}

/// There and back again, through a run forwards and one backwards, is the identity.
#[test]
fn a_run_there_and_back_has_no_derivative_but_one() {
    let text = "
        param a: [2] = [0.4, -0.3], k = 1.7
        time t in 0..1
        state x: [2] = a, s = 0.0
        discrete turned = 0.0
        x' = (1 - 2*turned)*[sin(x[1]) + k*x[0]*x[1], cos(k*x[0]) - x[1]^2]
        s' = 1
        at 0.5 { turned := 1 }
        output first = x(end)[0], second = x(end)[1]
    ";
    check(text, "first", 0.4, &[("a", &[1.0, 0.0]), ("k", &[0.0])]);
    check(text, "second", -0.3, &[("a", &[0.0, 1.0]), ("k", &[0.0])]);
}
