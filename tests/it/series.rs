//! Taylor coefficients: against high-precision values, against nested forward mode, along flows.

use crate::op_samples::{Stream, samples};
use nodec::ad::{expand, jvp, series, taylor};
use nodec::ir::builder::Builder;
use nodec::ir::eval::eval;
use nodec::ir::func::{Attr, Func, ValueId};
use nodec::ir::op::{Domain, Op};
use nodec::ir::tensor::Tensor;
use nodec::ir::types::{DType, Type};
use nodec::ir::verify::verify;
use nodec::lower::loops::{Prim, Stmt};
use std::sync::Arc;

/// The inner series without its constant term.
const INNER: [f64; 8] = [0.3, -0.2, 0.1, 0.05, -0.03, 0.02, -0.01, 0.01];

/// Coefficients 0..=8 of `f(x0 + Σ INNER[k-1] τ^k)`. Made with mpmath 1.3 at 60 digits: the Taylor
/// coefficients of `f` at `x0` from `mpmath.taylor`, composed with the inner polynomial by Horner's
/// rule, printed with 17 digits.
#[rustfmt::skip]
const COMPOSED: [(&str, f64, [f64; 9]); 22] = [
    ("exp", 0.5, [1.6487212707001281, 0.49461638121003844, -0.25555179695851986, 0.073368096546155703, 0.15059007906257295, -0.041844133670051577, 0.0036274821914346157, 0.0085646839276325236, 0.0092857891084471063]),
    ("expm1", 0.5, [0.64872127070012815, 0.49461638121003844, -0.25555179695851986, 0.073368096546155703, 0.15059007906257295, -0.041844133670051577, 0.0036274821914346157, 0.0085646839276325236, 0.0092857891084471063]),
    ("log", 0.75, [-0.28768207245178093, 0.4, -0.34666666666666667, 0.26133333333333333, -0.071288888888888889, 0.037781333333333333, -0.0056525432098765432, -0.011719720634920635, 0.022430356543209877]),
    ("log1p", 0.5, [0.40546510810816438, 0.2, -0.15333333333333333, 0.096, 0.0053777777777777778, -0.010424888888888889, 0.01471920987654321, -0.013016245502645503, 0.012158949135802469]),
    ("sqrt", 0.75, [0.86602540378443865, 0.17320508075688773, -0.13279056191361393, 0.084293139301685362, 0.0018282758524338149, -0.0047612152199171138, 0.0086773179458004354, -0.0084169714644138602, 0.0092489141711405709]),
    ("sin", 0.5, [0.479425538604203, 0.26327476856711181, -0.19709066161526368, 0.11257466697678277, 0.027967900340600759, -0.033558678001404583, 0.029312155703705928, -0.016584992616917338, 0.0093111195065420818]),
    ("cos", 0.5, [0.87758256189037272, -0.1438276615812609, 0.056393892435773828, 0.0068698147767209764, -0.071869050757528612, 0.023005114450064015, 0.001476774403206999, -0.011531315025322736, 0.00522333169382118]),
    ("tan", 0.5, [0.54630248984379051, 0.38953392312285745, -0.19584827645771396, 0.066872268000371619, 0.097104076675018303, -0.007509823149280654, -0.0017626937389309215, -0.00233163791722134, 0.018795585825977633]),
    ("asin", 0.25, [0.25268025514207865, 0.30983866769659335, -0.19416556508986517, 0.092703729374820731, 0.054504064299694066, -0.020756073070144354, 0.01291415234433631, -0.0080253139646776973, 0.012630821290716242]),
    ("acos", 0.25, [1.318116071652818, -0.30983866769659335, 0.19416556508986517, -0.092703729374820731, -0.054504064299694066, 0.020756073070144354, -0.01291415234433631, 0.0080253139646776973, -0.012630821290716242]),
    ("atan", 0.5, [0.46364760900080612, 0.24, -0.1888, 0.117248, 0.01154816, -0.02699487232, 0.031846450517333333, -0.023679147189394286, 0.0146405443207168]),
    ("sinh", 0.5, [0.52109530549374736, 0.33828778956191424, -0.20207590429405753, 0.08657119503444195, 0.07246329951375312, -0.025040334198142106, 0.010152977889511324, -0.0037988167743818461, 0.011466737251584418]),
    ("cosh", 0.5, [1.1276259652063808, 0.15632859164812421, -0.053475892664462337, -0.013203098488286248, 0.078126779548819835, -0.016803799471909472, -0.0065254956980767086, 0.01236350070201437, -0.0021809481431373118]),
    ("tanh", 0.5, [0.46211715726000976, 0.23593431988977822, -0.18999833575544691, 0.11971305038243901, 0.0094000452762119868, -0.02951696761719702, 0.034297434327350086, -0.024240404292680037, 0.013150513903560073]),
    ("sigmoid", 0.5, [0.62245933120185456, 0.070501113660478347, -0.049590798208673331, 0.026520173507995563, 0.0097749118006408107, -0.0078656073618420411, 0.0061275538327885351, -0.0033408608973340831, 0.0024596693466573327]),
    ("softplus", 0.5, [0.97407698418010668, 0.18673779936055637, -0.11391669919129916, 0.047886704811254344, 0.043358642918595605, -0.020364302454758099, 0.0093146996961676436, -0.0020646260681723836, 0.0038843458847418322]),
    ("erf", 0.5, [0.52049987781304654, 0.26363477368063344, -0.21530173183918397, 0.13665069102446167, 0.0093919888123725662, -0.035133507810194349, 0.040181736581988353, -0.027447767490070277, 0.013695743876030934]),
    ("lgamma", 1.5, [-0.12078223763524522, 0.010946992193572956, 0.034768104228795265, -0.056168719533877546, 0.056499346748247494, -0.015809610476133257, -0.0059963444926995594, 0.014239607904151092, -0.010294287242138161]),
    ("digamma", 1.5, [0.036489973978576521, 0.28044066016340379, -0.22425628909948026, 0.1495489283615381, -0.0085541008070041579, -0.0057527527349433669, 0.017651914662812632, -0.019340479502586342, 0.019549634946295545]),
    ("x^2.5", 0.75, [0.48713928962874674, 0.48713928962874674, -0.17861773953054047, -0.022733166849341514, 0.22359693393959475, -0.040861243614059276, -0.026149276223352881, 0.039080623215094822, -0.0040061186492595057]),
    ("x^3", 0.75, [0.421875, 0.50625, -0.135, -0.07425, 0.255375, -0.010125, -0.05975, 0.054525, 0.0027]),
    ("x^-2", 0.75, [1.7777777777777778, -1.4222222222222222, 1.8014814814814815, -2.066962962962963, 1.8488888888888889, -1.73056, 1.4790942551440329, -1.1637511374485597, 0.84771518331961591]),
];

fn finish(b: Builder, rows: &[ValueId]) -> Func {
    let named = rows.iter().enumerate().map(|(k, c)| (Arc::from(format!("c{k}")), *c));
    let func = b.finish(named.collect());
    verify(&func).unwrap();
    func
}

fn apply(b: &mut Builder, name: &str, x: ValueId) -> ValueId {
    match name {
        "x^2.5" => {
            let p = b.splat_like(2.5, x);
            b.binary(Op::Pow, x, p)
        }
        "x^3" => b.pow_int(x, 3),
        "x^-2" => b.pow_int(x, -2),
        name => b.unary(Op::by_name(name).unwrap(), x),
    }
}

/// The tolerance is that of the design trial of the method: 5e-15, about 20 ulps of coefficients
/// of order 1.
#[test]
fn elementary_functions_of_a_series_match_high_precision_coefficients() {
    for (name, x0, expected) in &COMPOSED {
        let mut b = Builder::new(*name);
        let x = b.param("x", Type::scalar(DType::F64));
        let y = apply(&mut b, name, x);
        let terms = INNER.map(|c| b.scalar(c, DType::F64)).to_vec();
        let row = series(&mut b, &[(x, terms)], &[y], 8).unwrap().remove(0);
        let func = finish(b, &row);
        let values = eval(&func, &[Tensor::scalar(*x0)]).unwrap();
        for (k, (value, expected)) in values.iter().zip(expected).enumerate() {
            let error = (value.data[0] - expected).abs();
            assert!(error <= 5e-15, "{name}, order {k}: {} for {expected}", value.data[0]);
        }
    }
}

/// The second inner series without its constant term.
const INNER_2: [f64; 8] = [-0.4, 0.3, 0.2, -0.1, 0.25, -0.15, 0.05, 0.1];

/// Coefficients of `f(x0 + Σ INNER[k-1] τ^k, y0 + Σ INNER_2[k-1] τ^k)`, made like [`COMPOSED`] with 60
/// digits.
#[rustfmt::skip]
const OF_TWO: [(Op, f64, f64, [f64; 9]); 3] = [
    (Op::Mul, 0.5, 1.25, [0.625, 0.175, -0.22, 0.395, -0.0275, 0.0275, 0.092, -0.0995, 0.1315]),
    (Op::Div, 0.5, 1.25, [0.4, 0.368, -0.13824, -0.1165568, 0.008999424, -0.02158815232, -0.0110781825024, 0.038679686316032, -0.01278711828709376]),
    (Op::Pow, 0.75, 1.25, [0.6979536443265747, 0.42929232251334423, -0.34233276592898548, 0.10368235124005953, 0.17038173551686936, -0.19942561194944164, 0.13190828781463286, 0.011594750006278691, -0.09511187233757154]),
];

/// The same of the derivatives of the digamma function, `polygamma(n, 1.5 + ..)`.
#[rustfmt::skip]
const POLYGAMMA: [(u32, [f64; 9]); 2] = [
    (1, [0.93480220054467931, -0.248638993270296, 0.22916842537697367, -0.18305925068358075, 0.064033790581732869, -0.029543395722191619, -0.00050301602558542731, 0.017013765133906952, -0.024034010155239619]),
    (2, [-0.82879664423432, 0.42272731020073117, -0.43815944900051258, 0.39937506171123697, -0.21794692633867922, 0.13495732811991749, -0.052928689752983308, -0.0065377797393528058, 0.040534364547841699]),
];

#[test]
fn functions_of_two_series_match_high_precision_coefficients() {
    let check = |name: &str, b: Builder, row: &[ValueId], args: &[f64], expected: &[f64; 9], within: f64| {
        let args: Vec<Tensor> = args.iter().map(|x| Tensor::scalar(*x)).collect();
        let values = eval(&finish(b, row), &args).unwrap();
        for (k, (value, expected)) in values.iter().zip(expected).enumerate() {
            let error = (value.data[0] - expected).abs();
            assert!(error <= within, "{name}, order {k}: {} for {expected}", value.data[0]);
        }
    };
    let scalar = Type::scalar(DType::F64);
    for (op, x0, y0, expected) in &OF_TWO {
        let mut b = Builder::new("f");
        let (x, y) = (b.param("x", scalar.clone()), b.param("y", scalar.clone()));
        let value = b.binary(*op, x, y);
        let [xs, ys] = [INNER, INNER_2].map(|terms| terms.map(|c| b.scalar(c, DType::F64)).to_vec());
        let row = series(&mut b, &[(x, xs), (y, ys)], &[value], 8).unwrap().remove(0);
        check(op.def().name, b, &row, &[*x0, *y0], expected, 5e-15);
    }
    for (n, expected) in &POLYGAMMA {
        let mut b = Builder::new("f");
        let x = b.param("x", scalar.clone());
        let value = b.must(Op::Polygamma, &[x], Attr::Index(*n));
        let terms = INNER.map(|c| b.scalar(c, DType::F64)).to_vec();
        let row = series(&mut b, &[(x, terms)], &[value], 8).unwrap().remove(0);
        // Derivatives up to polygamma(10), of which the function itself is good to some ulps.
        check("polygamma", b, &row, &[1.5], expected, 5e-14);
    }
}

/// At `x = 0` a power that is no whole number has coefficients up to its exponent, a whole one all:
/// `(0.3 τ - 0.2 τ² + ..)^n` begins at order `n`; `x^2.5` has zeros to order 2.
#[test]
fn powers_of_a_series_that_begins_at_zero_have_the_coefficients_that_exist() {
    let coefficients = |name: &str| {
        let mut b = Builder::new(name);
        let x = b.param("x", Type::scalar(DType::F64));
        let y = apply(&mut b, name, x);
        let terms = INNER.map(|c| b.scalar(c, DType::F64)).to_vec();
        let row = series(&mut b, &[(x, terms)], &[y], 4).unwrap().remove(0);
        let values = eval(&finish(b, &row), &[Tensor::scalar(0.0)]).unwrap();
        values.iter().map(|value| value.data[0]).collect::<Vec<_>>()
    };
    let cube = coefficients("x^3");
    assert_eq!(cube[..3], [0.0; 3]);
    // 0.3³ and 3·0.3²·(-0.2)
    assert!((cube[3] - 0.027).abs() <= 1e-17 && (cube[4] + 0.054).abs() <= 1e-17, "{cube:?}");
    let broken = coefficients("x^2.5");
    assert_eq!(broken[..3], [0.0; 3]);
    assert!(!broken[3].is_finite() && !broken[4].is_finite(), "{broken:?}");
}

/// Orders of a product, a square and a quotient: as many products as there are terms, each of which takes one
/// multiply-add, and what ends the sum.
#[test]
fn coefficients_take_one_product_a_term() {
    let products = |op: fn(&mut Builder, ValueId, ValueId) -> ValueId, order: usize| {
        let mut b = Builder::new("f");
        let scalar = Type::scalar(DType::F64);
        let (x, z) = (b.param("x", scalar.clone()), b.param("z", scalar.clone()));
        let mut terms = |name: &str| {
            (1..=order).map(|k| b.param(format!("{name}{k}"), scalar.clone())).collect::<Vec<_>>()
        };
        let (xs, zs) = (terms("x"), terms("z"));
        let y = op(&mut b, x, z);
        let row = series(&mut b, &[(x, xs), (z, zs)], &[y], order).unwrap().remove(0);
        let func = nodec::opt::optimise(finish(b, &row[order..]));
        let lowered = nodec::lower::lower(&func, nodec::lower::loops::Target::new(true)).unwrap();
        let count = |wanted: &dyn Fn(&Prim) -> bool| {
            let prims = lowered.body.iter().filter_map(|stmt| match stmt {
                Stmt::Let { prim, .. } => Some(prim),
                Stmt::Load { .. } | Stmt::Store { .. } | Stmt::Loop(_) => None,
            });
            prims.filter(|prim| wanted(prim)).count()
        };
        let fused = count(&|prim| matches!(prim, Prim::Fma | Prim::Mul));
        (fused, count(&|prim| matches!(prim, Prim::Add | Prim::Sub)), count(&|prim| *prim == Prim::Div))
    };
    // x_8 z_0 + ..: nine terms, five and four, and the sum of these.
    assert_eq!(products(Builder::mul, 8), (9, 1, 0));
    // 2 (x_8 x_0 + .. + x_5 x_3) + x_4²: five terms, and four doubled factors.
    assert_eq!(products(|b, x, _| b.mul(x, x), 8), (9, 0, 0));
    // Orders 1 to 4 of a quotient: 1 + 2 + 3 + 4 terms and a product with the reciprocal for each, and from
    // order 2 on a difference before it.
    assert_eq!(products(Builder::div, 4), (14, 3, 2));
}

#[test]
fn every_elementary_function_is_in_the_table() {
    use nodec::ir::op::{Derivative, Signature};
    for op in Op::ALL {
        let smooth = matches!(op.def().derivative, Derivative::Elementwise(_));
        let unary = matches!(op.def().signature, Signature::Float(1));
        if smooth && unary && *op != Op::Abs {
            assert!(COMPOSED.iter().any(|(name, ..)| *name == op.def().name), "{}", op.def().name);
        }
    }
}

/// Coefficient k of `f(x + τ v)` times `k!` is the k-fold directional derivative.
#[test]
fn series_of_every_op_are_nested_tangents() {
    const UNIT: Domain = Domain { lo: -1.0, hi: 1.0, singular: "" };
    for sample in Op::ALL.iter().flat_map(|op| samples(*op)) {
        let floats = sample.floats();
        if !sample.smooth() || floats.is_empty() {
            continue;
        }
        let mut b = Builder::from_func(&sample.func);
        let y = sample.func.results[0].value;
        let mut args = sample.args.clone();
        let mut stream = Stream(23);
        let mut seeds = Vec::new();
        for i in floats {
            let ty = sample.args[i].ty.clone();
            args.push(stream.tensor(&ty, &UNIT));
            seeds.push((sample.func.params[i].value, b.param(format!("v{i}"), ty)));
        }
        let inputs: Vec<_> = seeds.iter().map(|(x, v)| (*x, vec![*v])).collect();
        let row = series(&mut b, &inputs, &[y], 4).unwrap().remove(0);
        let mut nested = vec![y];
        let mut factorial = 1.0;
        for k in 1..=4 {
            let last = *nested.last().unwrap();
            nested.push(jvp(&mut b, &seeds, &[last]).unwrap()[0]);
            factorial *= f64::from(k);
        }
        assert_eq!(factorial, 24.0);
        let count = row.len();
        let func = finish(b, &[row, nested].concat());
        let values = eval(&func, &args).unwrap();
        let mut factorial = 1.0;
        for k in 0..count {
            factorial *= (k as f64).max(1.0);
            for (c, d) in values[k].data.iter().zip(&values[count + k].data) {
                // Nested tangents of order 4 add terms up to 1e3 times the result.
                assert!(
                    (c * factorial - d).abs() <= 1e-11 * d.abs().max(1.0),
                    "{} order {k}: {} {d}",
                    sample.func,
                    c * factorial
                );
            }
        }
    }
}

/// z' = sin z + t z at z = 0.3, t = 0.2.
fn example(b: &mut Builder) -> (ValueId, ValueId, ValueId) {
    let z = b.param("z", Type::scalar(DType::F64));
    let t = b.param("t", Type::scalar(DType::F64));
    let sin = b.unary(Op::Sin, z);
    let product = b.mul(t, z);
    let f = b.add(sin, product);
    (z, t, f)
}

/// Derivatives of the solution, from symbolic differentiation: Kelly et al.'s example as checked in
/// the design notes (ten decimals).
const ALONG_FLOW: [f64; 5] = [0.3, 0.3555202067, 0.7107454674, 1.4948384228, 3.5923289127];

#[test]
fn derivatives_along_a_flow_match_symbolic_differentiation() {
    let mut b = Builder::new("flow");
    let (z, t, f) = example(&mut b);
    let one = b.scalar(1.0, DType::F64);
    let row = taylor(&mut b, &[(z, f), (t, one)], &[z], 4).unwrap().remove(0);
    let requests: Vec<ValueId> =
        (0..5).map(|k| b.must(Op::FlowDerivative, &[z, z, f, t, one], Attr::Order(k))).collect();
    let args = [Tensor::scalar(0.3), Tensor::scalar(0.2)];
    let values = eval(&finish(b.clone(), &row), &args).unwrap();
    let expanded = expand(finish(b, &requests)).unwrap();
    let derivatives = eval(&expanded, &args).unwrap();
    let mut factorial = 1.0;
    for (k, expected) in ALONG_FLOW.iter().enumerate() {
        factorial *= (k as f64).max(1.0);
        assert!((values[k].data[0] * factorial - expected).abs() < 1e-10, "order {k}");
        assert!((derivatives[k].data[0] - expected).abs() < 1e-10, "order {k}");
    }
}

/// The number of nodes grows with the square of the order: a product of n-vectors has about k new
/// products at order k.
#[test]
fn the_cost_is_quadratic_in_the_order() {
    let nodes = |order: usize| {
        let mut b = Builder::new("flow");
        let (z, t, f) = example(&mut b);
        let one = b.scalar(1.0, DType::F64);
        let row = taylor(&mut b, &[(z, f), (t, one)], &[z], order).unwrap().remove(0);
        finish(b, &row).nodes.len() as f64
    };
    let ratio = nodes(32) / nodes(16);
    assert!((3.0..4.5).contains(&ratio), "{ratio}");
}
