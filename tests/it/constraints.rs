//! The sets of params: their bijections against numbers from elsewhere, and fits that end inside.
//!
//! The references of the first test are the formulas of the Stan Reference Manual 2.32, sections
//! 10.6, 10.7 and 10.9, and Cayley's with an explicit inverse, in mpmath 1.3 with 40 digits.

use nodec::Model;
use nodec::ir::builder::Builder;
use nodec::ir::constraint::Constraint;
use nodec::ir::eval::eval;
use nodec::ir::tensor::Tensor;
use nodec::ir::types::{DType, Shape, Type};
use nodec::{Fit, Run};
use std::ops::ControlFlow;

fn built(set: Constraint, u: &[f64], shape: &[usize]) -> Vec<f64> {
    let mut b = Builder::new("set");
    let ty = Type::new(DType::F64, &[u.len()]);
    let free = b.param("u", ty.clone());
    let value = set.build(&mut b, free, &Shape::new(shape));
    let func = b.finish(vec![("value".into(), value)]);
    eval(&func, &[Tensor::new(ty, u.to_vec())]).unwrap().remove(0).data
}

#[track_caller]
fn near(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    let is_near = |(f, e): (&f64, &f64)| (f - e).abs() <= tolerance * e.abs().max(1.0);
    assert!(found.iter().zip(expected).all(is_near), "{found:?}\n{expected:?}");
}

const U: [f64; 3] = [0.5, -1.25, 2.0];

#[test]
fn bijections_are_those_of_the_references() {
    let simplex = [0.35466124439244339, 0.080862567765107671, 0.49718897683972331, 0.067287211002725623];
    near(&built(Constraint::Simplex, &U, &[4]), &simplex, 4e-16);
    let ordered = [0.5, 0.7865047968601901, 8.1755608957908403];
    near(&built(Constraint::Ordered, &U, &[3]), &ordered, 4e-16);
    #[rustfmt::skip]
    let factor = [
        1.0, 0.0, 0.0,
        0.46211715726000976, 0.88681888397007391, 0.0,
        -0.8482836399575129, 0.51049321698108324, 0.14075347809818874,
    ];
    near(&built(Constraint::CorrCholesky, &U, &[3, 3]), &factor, 1e-15);
    #[rustfmt::skip]
    let rotation = [
        0.46788990825688073, 0.88073394495412844, -0.073394495412844037,
        0.58715596330275229, -0.24770642201834862, 0.77064220183486239,
        0.66055045871559633, -0.4036697247706422, -0.63302752293577982,
    ];
    near(&built(Constraint::Orthogonal, &U, &[3, 3]), &rotation, 1e-15);
}

/// There and back, by rows where a set has them; the conditions of the sets cost a few digits.
#[test]
fn the_way_back_is_the_inverse() {
    let u: Vec<f64> = (0..6).map(|k| (f64::from(k) * 1.7).sin() * 1.5).collect();
    let sets = [
        (Constraint::Free, vec![2, 3]),
        (Constraint::Positive, vec![2, 3]),
        (Constraint::Interval(-1.0, 3.0), vec![2, 3]),
        (Constraint::Simplex, vec![2, 4]),
        (Constraint::Ordered, vec![2, 3]),
        (Constraint::CorrCholesky, vec![4, 4]),
        (Constraint::Orthogonal, vec![4, 4]),
    ];
    for (set, dims) in sets {
        let shape = Shape::new(&dims);
        assert_eq!(set.n_free(&shape), 6, "{set}");
        let value = built(set, &u, &dims);
        near(&set.free(&value, &shape).unwrap_or_else(|| panic!("{set}: {value:?}")), &u, 1e-13);
        let zero = vec![0.0; 6];
        near(&built(set, &zero, &dims), &set.middle(&shape), 1e-15);
        near(&set.free(&set.middle(&shape), &shape).unwrap(), &zero, 1e-15);
    }
}

#[test]
fn what_lies_outside_has_no_free_numbers() {
    let outside = |set: Constraint, values: &[f64], dims: &[usize]| {
        assert_eq!(set.free(values, &Shape::new(dims)), None, "{set} {values:?}");
    };
    outside(Constraint::Positive, &[0.0], &[]);
    outside(Constraint::Interval(0.0, 1.0), &[1.0], &[]);
    outside(Constraint::Simplex, &[0.5, 0.6], &[2]);
    outside(Constraint::Simplex, &[0.0, 1.0], &[2]);
    outside(Constraint::Ordered, &[1.0, 1.0], &[2]);
    outside(Constraint::CorrCholesky, &[1.0, 0.0, 0.6, 0.6], &[2, 2]);
    outside(Constraint::CorrCholesky, &[1.0, 0.0, 0.8, -0.6], &[2, 2]);
    // A reflection, and half a turn.
    outside(Constraint::Orthogonal, &[1.0, 0.0, 0.0, -1.0], &[2, 2]);
    outside(Constraint::Orthogonal, &[-1.0, 0.0, 0.0, -1.0], &[2, 2]);
    outside(Constraint::Orthogonal, &[1.0, 0.1, 0.0, 1.0], &[2, 2]);
    outside(Constraint::Simplex, &[f64::NAN, 1.0], &[2]);
    outside(Constraint::Orthogonal, &[f64::NAN; 4], &[2, 2]);
}

/// One number in a row of a simplex, or a rotation of a line, has nothing that could move.
#[test]
fn sets_of_one_point_have_no_free_numbers() {
    for (set, dims) in [(Constraint::Simplex, vec![3, 1]), (Constraint::Orthogonal, vec![1, 1])] {
        assert_eq!(set.n_free(&Shape::new(&dims)), 0);
        let expected = set.middle(&Shape::new(&dims));
        assert_eq!(built(set, &[], &dims), expected);
    }
}

fn fitted(text: &str) -> (Fit, Run) {
    let text = format!(
        "time t in 0..1\nstate x = 1.0\nx' = -x\n{text}\ntrain {{ optimizer = lbfgs(), steps = 200 }}"
    );
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/lotka_volterra");
    let run = Model::from_text("model.node", &text, folder).and_then(|model| model.bind().build());
    let mut run = run.unwrap_or_else(|error| panic!("{error}"));
    let fit = run.fit(|_| ControlFlow::Continue(())).unwrap_or_else(|error| panic!("{error}"));
    (fit, run)
}

/// The density is that of 5, 3 and 10 draws of three kinds: the optimum is the shares, and the errors are
/// √(p(1 - p)/n), those of the multinomial distribution.
#[test]
fn shares_are_fitted_with_their_standard_errors() {
    let (fit, _) = fitted("param p: [3] in simplex ~ beta([6, 4, 11], 1)\nloss nothing = 0*x(end)");
    near(&fit.params[0].values, &[5.0 / 18.0, 3.0 / 18.0, 10.0 / 18.0], 1e-7);
    assert!(fit.errors.is_err(), "a loss is no density");
    let (fit, run) = fitted(
        "data pelts = csv(\"hudson_bay.csv\") { year: [T] }\npelts.year ~ normal(1910, 5)\n\
         param p: [3] in simplex ~ beta([6, 4, 11], 1)",
    );
    let error = |n: f64| (n / 18.0 * (1.0 - n / 18.0) / 18.0).sqrt();
    near(&fit.errors.unwrap()[0].values, &[error(5.0), error(3.0), error(10.0)], 1e-6);
    assert_eq!((run.n_free(), run.params()[0].values.len()), (2, 3));
}

/// What rises already is its own best fit in order.
#[test]
fn levels_stay_in_order() {
    let (fit, _) = fitted("param c: [3] in ordered\nloss l = sumsq(c - [-1, 0.5, 4])");
    near(&fit.params[0].values, &[-1.0, 0.5, 4.0], 1e-6);
}

/// For the density of a normal distribution with a correlation matrix C the objective log det C + tr(C⁻¹ S)
/// is least at C = S, which has the factor below: 0.6 and 0.8; -0.3, (0.5 + 0.18)/0.8 and the rest.
#[test]
fn a_correlation_is_fitted_by_its_factor() {
    let (fit, _) = fitted(
        "param L: [3, 3] in corr_cholesky\nconst S = [[1, 0.6, -0.3], [0.6, 1, 0.5], [-0.3, 0.5, 1]]\n\
         loss l = 2*sum(log(L[i, i]) for i in 0..3) + trace(solve(L @ L.T, S))",
    );
    let last = [-0.3, 0.85, (1.0_f64 - 0.09 - 0.7225).sqrt()];
    near(&fit.params[0].values, &[1.0, 0.0, 0.0, 0.6, 0.8, 0.0, last[0], last[1], last[2]], 1e-6);
}

/// The rotation by 2 radians, from that by 0.
#[test]
fn a_rotation_is_fitted() {
    let (fit, _) = fitted(
        "param Q: [2, 2] in orthogonal\nconst R = [[cos(2), -sin(2)], [sin(2), cos(2)]]\n\
         loss l = sumsq(Q - R)",
    );
    let (sin, cos) = 2.0_f64.sin_cos();
    near(&fit.params[0].values, &[cos, -sin, sin, cos], 1e-6);
}
