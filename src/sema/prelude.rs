//! The functions a program may call without declaring them, and what those mean in the IR.
//!
//! Elementwise functions that are ops of their own are named by their op; the others are small
//! graphs made here. Which shapes a function takes is the business of `infer`.

use crate::ir::builder::Builder;
use crate::ir::func::{Attr, ValueId};
use crate::ir::op::Op;
use crate::ir::types::Shape;

/// An elementwise function of one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Map {
    /// An op.
    Op(Op),
    /// `max(x, 0)`
    Relu,
    /// `x * Φ(x)` with the normal distribution function `Φ(x) = (1 + erf(x/√2))/2`.
    Gelu,
    /// `x * sigmoid(x)`
    Silu,
    /// `log(x)/log(10)`
    Log10,
    /// `log(x)/log(2)`
    Log2,
    /// `arsinh x`, by `log1p(a + (√(1 + a²) - 1))` with `a = |x|`.
    Asinh,
    /// `arcosh x`, by `log1p(y + √y √(y + 2))` with `y = x - 1`.
    Acosh,
    /// `artanh x = (log1p(x) - log1p(-x))/2`
    Atanh,
    /// `-floor(-x)`
    Ceil,
}

/// A reduction over axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// `Σ x`
    Sum,
    /// `Π x`
    Product,
    /// `Σ x / n`
    Mean,
    /// Largest.
    Max,
    /// Smallest.
    Min,
    /// `Σ x²`
    SumSq,
    /// `√(Σ x²)`
    Norm,
    /// `log Σ exp x`
    LogSumExp,
}

/// A distribution with a density.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// `normal(mean, standard deviation)`
    Normal,
    /// `lognormal(mean of the logarithm, standard deviation of the logarithm)`
    Lognormal,
    /// `uniform(lo, hi)`
    Uniform,
    /// `exponential(rate)`
    Exponential,
    /// `cauchy(location, scale)`
    Cauchy,
    /// `laplace(location, scale)`
    Laplace,
    /// `gamma(shape, rate)`
    Gamma,
    /// `beta(a, b)`
    Beta,
    /// `student_t(degrees of freedom, location, scale)`
    StudentT,
    /// `bernoulli(probability)`
    Bernoulli,
    /// `categorical(probabilities)`
    Categorical,
    /// `poisson(rate)`
    Poisson,
    /// `rademacher()`
    Rademacher,
}

/// How the entries of a weight are drawn, independently. With a weight of shape `[O, I, ..]`, a
/// unit of the layer reads `fan_in = I*..` numbers and is read by `fan_out = O*..`; a vector of
/// `n` has `fan_in = fan_out = n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initialiser {
    /// Uniform on ±√(6/(fan_in + fan_out)). Source: X. Glorot, Y. Bengio, Understanding the
    /// difficulty of training deep feedforward neural networks, AISTATS 2010, equation 16.
    Glorot,
    /// Normal with variance 2/fan_in. Source: K. He, X. Zhang, S. Ren, J. Sun, Delving deep into
    /// rectifiers, ICCV 2015, equation 10.
    He,
    /// Uniform on ±1/√fan_in. Source: Y. LeCun, L. Bottou, G. Orr, K.-R. Müller, Efficient
    /// backprop, 1998, section 4.6, up to the factor √3 that common libraries leave out.
    FanIn,
}

/// Functions with a shape rule of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the function of the same name in the language")]
pub enum Special {
    Dot,
    Outer,
    Trace,
    Concat,
    Stack,
    Reshape,
    Flatten,
    Transpose,
    Reverse,
    Len,
    Zeros,
    Ones,
    Mse,
    Softmax,
    Clamp,
    Hypot,
    Grad,
    Jac,
    Jvp,
    Vjp,
    Div,
    JacFrob2,
    Laplacian,
    Hvp,
    Ddt,
    Taylor,
    StopGradient,
    LogProb,
    Inverse,
    Solve,
    Split,
    Diff,
    Pad,
    Eye,
    Linspace,
    Logspace,
    Cumsum,
    Einsum,
    Argmax,
    Argmin,
    CrossEntropy,
    LogSoftmax,
    Any,
    All,
    Var,
    Std,
    Kl,
    Sample,
    Det,
    Inv,
    Eigh,
    BatchMean,
}

/// What a name of the prelude does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    /// Elementwise, one operand.
    Map(Map),
    /// A reduction; with two operands the elementwise op beside it, if there is one.
    Reduce(Reduction, Option<Op>),
    /// Anything else.
    Special(Special),
    /// A distribution; only where a density is meant.
    Distribution(Distribution),
    /// How starting values of params are drawn.
    Initialiser(Initialiser),
    /// Named in the language, not built yet; what to use instead.
    NotYet(&'static str),
}

/// The names, in alphabetical order within each kind.
pub const FUNCTIONS: &[(&str, Builtin)] = &[
    ("abs", Builtin::Map(Map::Op(Op::Abs))),
    ("acos", Builtin::Map(Map::Op(Op::Acos))),
    ("acosh", Builtin::Map(Map::Acosh)),
    ("asin", Builtin::Map(Map::Op(Op::Asin))),
    ("asinh", Builtin::Map(Map::Asinh)),
    ("atan", Builtin::Map(Map::Op(Op::Atan))),
    ("atanh", Builtin::Map(Map::Atanh)),
    ("ceil", Builtin::Map(Map::Ceil)),
    ("cos", Builtin::Map(Map::Op(Op::Cos))),
    ("cosh", Builtin::Map(Map::Op(Op::Cosh))),
    ("erf", Builtin::Map(Map::Op(Op::Erf))),
    ("digamma", Builtin::Map(Map::Op(Op::Digamma))),
    ("exp", Builtin::Map(Map::Op(Op::Exp))),
    ("expm1", Builtin::Map(Map::Op(Op::Expm1))),
    ("floor", Builtin::Map(Map::Op(Op::Floor))),
    ("gelu", Builtin::Map(Map::Gelu)),
    ("lgamma", Builtin::Map(Map::Op(Op::Lgamma))),
    ("log", Builtin::Map(Map::Op(Op::Log))),
    ("log10", Builtin::Map(Map::Log10)),
    ("log1p", Builtin::Map(Map::Op(Op::Log1p))),
    ("log2", Builtin::Map(Map::Log2)),
    ("relu", Builtin::Map(Map::Relu)),
    ("sigmoid", Builtin::Map(Map::Op(Op::Sigmoid))),
    ("sign", Builtin::Map(Map::Op(Op::Sign))),
    ("silu", Builtin::Map(Map::Silu)),
    ("sin", Builtin::Map(Map::Op(Op::Sin))),
    ("sinh", Builtin::Map(Map::Op(Op::Sinh))),
    ("softplus", Builtin::Map(Map::Op(Op::Softplus))),
    ("sqrt", Builtin::Map(Map::Op(Op::Sqrt))),
    ("tan", Builtin::Map(Map::Op(Op::Tan))),
    ("tanh", Builtin::Map(Map::Op(Op::Tanh))),
    ("logsumexp", Builtin::Reduce(Reduction::LogSumExp, None)),
    ("max", Builtin::Reduce(Reduction::Max, Some(Op::Max))),
    ("mean", Builtin::Reduce(Reduction::Mean, None)),
    ("min", Builtin::Reduce(Reduction::Min, Some(Op::Min))),
    ("norm", Builtin::Reduce(Reduction::Norm, None)),
    ("product", Builtin::Reduce(Reduction::Product, None)),
    ("sum", Builtin::Reduce(Reduction::Sum, None)),
    ("sumsq", Builtin::Reduce(Reduction::SumSq, None)),
    ("all", Builtin::Special(Special::All)),
    ("any", Builtin::Special(Special::Any)),
    ("argmax", Builtin::Special(Special::Argmax)),
    ("argmin", Builtin::Special(Special::Argmin)),
    ("batch_mean", Builtin::Special(Special::BatchMean)),
    ("clamp", Builtin::Special(Special::Clamp)),
    ("concat", Builtin::Special(Special::Concat)),
    ("cross_entropy", Builtin::Special(Special::CrossEntropy)),
    ("cumsum", Builtin::Special(Special::Cumsum)),
    ("ddt", Builtin::Special(Special::Ddt)),
    ("det", Builtin::Special(Special::Det)),
    ("diff", Builtin::Special(Special::Diff)),
    ("div", Builtin::Special(Special::Div)),
    ("dot", Builtin::Special(Special::Dot)),
    ("eigh", Builtin::Special(Special::Eigh)),
    ("einsum", Builtin::Special(Special::Einsum)),
    ("eye", Builtin::Special(Special::Eye)),
    ("flatten", Builtin::Special(Special::Flatten)),
    ("grad", Builtin::Special(Special::Grad)),
    ("hvp", Builtin::Special(Special::Hvp)),
    ("hypot", Builtin::Special(Special::Hypot)),
    ("inv", Builtin::Special(Special::Inv)),
    ("inverse", Builtin::Special(Special::Inverse)),
    ("jac", Builtin::Special(Special::Jac)),
    ("jac_frob2", Builtin::Special(Special::JacFrob2)),
    ("jvp", Builtin::Special(Special::Jvp)),
    ("kl", Builtin::Special(Special::Kl)),
    ("laplacian", Builtin::Special(Special::Laplacian)),
    ("len", Builtin::Special(Special::Len)),
    ("linspace", Builtin::Special(Special::Linspace)),
    ("log_prob", Builtin::Special(Special::LogProb)),
    ("log_softmax", Builtin::Special(Special::LogSoftmax)),
    ("logspace", Builtin::Special(Special::Logspace)),
    ("mse", Builtin::Special(Special::Mse)),
    ("ones", Builtin::Special(Special::Ones)),
    ("outer", Builtin::Special(Special::Outer)),
    ("pad", Builtin::Special(Special::Pad)),
    ("reshape", Builtin::Special(Special::Reshape)),
    ("reverse", Builtin::Special(Special::Reverse)),
    ("sample", Builtin::Special(Special::Sample)),
    ("softmax", Builtin::Special(Special::Softmax)),
    ("solve", Builtin::Special(Special::Solve)),
    ("split", Builtin::Special(Special::Split)),
    ("stack", Builtin::Special(Special::Stack)),
    ("std", Builtin::Special(Special::Std)),
    ("stop_gradient", Builtin::Special(Special::StopGradient)),
    ("taylor", Builtin::Special(Special::Taylor)),
    ("trace", Builtin::Special(Special::Trace)),
    ("transpose", Builtin::Special(Special::Transpose)),
    ("var", Builtin::Special(Special::Var)),
    ("vjp", Builtin::Special(Special::Vjp)),
    ("zeros", Builtin::Special(Special::Zeros)),
    ("bernoulli", Builtin::Distribution(Distribution::Bernoulli)),
    ("beta", Builtin::Distribution(Distribution::Beta)),
    ("categorical", Builtin::Distribution(Distribution::Categorical)),
    ("cauchy", Builtin::Distribution(Distribution::Cauchy)),
    ("exponential", Builtin::Distribution(Distribution::Exponential)),
    ("gamma", Builtin::Distribution(Distribution::Gamma)),
    ("laplace", Builtin::Distribution(Distribution::Laplace)),
    ("lognormal", Builtin::Distribution(Distribution::Lognormal)),
    ("normal", Builtin::Distribution(Distribution::Normal)),
    ("poisson", Builtin::Distribution(Distribution::Poisson)),
    ("rademacher", Builtin::Distribution(Distribution::Rademacher)),
    ("student_t", Builtin::Distribution(Distribution::StudentT)),
    ("uniform", Builtin::Distribution(Distribution::Uniform)),
    ("fan_in", Builtin::Initialiser(Initialiser::FanIn)),
    ("glorot", Builtin::Initialiser(Initialiser::Glorot)),
    ("he", Builtin::Initialiser(Initialiser::He)),
    ("cubic", Builtin::NotYet("declare the path: `control u = cubic(ts, xs)`")),
    ("heatmap", Builtin::NotYet("plot curves or pairs")),
    ("hermite", Builtin::NotYet("declare the path: `control u = hermite(ts, xs)`")),
    ("linear", Builtin::NotYet("declare the path: `control u = linear(ts, xs)`")),
    ("wiener", Builtin::NotYet("declare the noise: `noise W = wiener(ito)`")),
];

/// Numbers with a name.
pub const NUMBERS: &[(&str, f64)] = &[("pi", std::f64::consts::PI)];

/// The function of this name.
pub fn function(name: &str) -> Option<Builtin> {
    FUNCTIONS.iter().find(|(known, _)| *known == name).map(|(_, builtin)| *builtin)
}

/// A scalar in every place of `shape`; anything else as it is.
pub fn spread(b: &mut Builder, x: ValueId, shape: &Shape) -> ValueId {
    if b.shape(x).rank() == 0 && shape.rank() > 0 { b.broadcast(x, shape.clone(), &[]) } else { x }
}

impl Map {
    /// The function as IR.
    pub fn build(self, b: &mut Builder, x: ValueId) -> ValueId {
        match self {
            Map::Op(op) => b.unary(op, x),
            Map::Relu => {
                let zero = b.zeros_like(x);
                b.binary(Op::Max, x, zero)
            }
            Map::Gelu => {
                let scaled = b.scale(std::f64::consts::FRAC_1_SQRT_2, x);
                let erf = b.unary(Op::Erf, scaled);
                let one = b.splat_like(1.0, x);
                let sum = b.add(one, erf);
                let product = b.mul(x, sum);
                b.scale(0.5, product)
            }
            Map::Silu => {
                let gate = b.unary(Op::Sigmoid, x);
                b.mul(x, gate)
            }
            Map::Log10 => {
                let log = b.unary(Op::Log, x);
                b.scale(std::f64::consts::LOG10_E, log)
            }
            Map::Log2 => {
                let log = b.unary(Op::Log, x);
                b.scale(std::f64::consts::LOG2_E, log)
            }
            Map::Asinh => asinh(b, x),
            Map::Acosh => {
                let one = b.splat_like(1.0, x);
                let y = b.sub(x, one);
                let two = b.splat_like(2.0, x);
                let above = b.add(y, two);
                // Two roots, since the square of a large number has none.
                let (low, high) = (b.unary(Op::Sqrt, y), b.unary(Op::Sqrt, above));
                let root = b.mul(low, high);
                let sum = b.add(y, root);
                b.unary(Op::Log1p, sum)
            }
            Map::Atanh => {
                let minus = b.neg(x);
                let (up, down) = (b.unary(Op::Log1p, x), b.unary(Op::Log1p, minus));
                let apart = b.sub(up, down);
                b.scale(0.5, apart)
            }
            Map::Ceil => {
                let minus = b.neg(x);
                let below = b.unary(Op::Floor, minus);
                b.neg(below)
            }
        }
    }

    /// A harmless operand, where value and derivatives are finite: what the side of an `if` that
    /// is not taken is computed from. `None` if no operand is harmful.
    pub fn safe_operand(self) -> Option<f64> {
        match self {
            Map::Op(op) => safe_operand(op),
            Map::Log10 | Map::Log2 => Some(1.0),
            Map::Acosh => Some(2.0),
            Map::Silu | Map::Gelu | Map::Asinh | Map::Atanh => Some(0.0),
            Map::Relu | Map::Ceil => None,
        }
    }
}

/// `arsinh x`. The sign is chosen rather than taken of `x`, so that the slope at 0 is 1.
fn asinh(b: &mut Builder, x: ValueId) -> ValueId {
    let (zero, one, minus) = (b.zeros_like(x), b.splat_like(1.0, x), b.neg(x));
    let is_negative = b.binary(Op::Lt, x, zero);
    let a = b.select(is_negative, minus, x);
    // a²/(1 + √(1 + a²)) is √(1 + a²) - 1 without cancellation; above 1 in terms of 1/a, whose
    // square does not overflow.
    let is_large = b.binary(Op::Lt, one, a);
    let (large, small) = (b.select(is_large, a, one), b.select(is_large, one, a));
    let ratio = b.div(small, large);
    let square = b.mul(ratio, ratio);
    let sum = b.add(one, square);
    let root = b.unary(Op::Sqrt, sum);
    let hypotenuse = b.mul(large, root);
    let below = b.add(one, hypotenuse);
    let part = b.div(a, below);
    let excess = b.mul(a, part);
    let sum = b.add(a, excess);
    let value = b.unary(Op::Log1p, sum);
    let mirrored = b.neg(value);
    b.select(is_negative, mirrored, value)
}

/// See [`Map::safe_operand`]; for a unary op.
fn safe_operand(op: Op) -> Option<f64> {
    match op {
        Op::Log | Op::Sqrt | Op::Lgamma | Op::Digamma => Some(1.0),
        Op::Abs | Op::Sign | Op::Floor | Op::Neg => None,
        // Every derivative is bounded and 0 at the infinities, and a layer that is computed anyway, as
        // one that is compared, is not computed again for a side.
        Op::Tanh | Op::Sigmoid | Op::Softplus => None,
        _ => Some(0.0),
    }
}

impl Reduction {
    /// What changes nothing when it is reduced with other numbers; for a mean, with their sum.
    pub fn neutral(self) -> f64 {
        match self {
            Reduction::Sum | Reduction::Mean | Reduction::SumSq | Reduction::Norm => 0.0,
            Reduction::Product => 1.0,
            Reduction::Max | Reduction::LogSumExp => f64::NEG_INFINITY,
            Reduction::Min => f64::INFINITY,
        }
    }

    /// The reduction over `axes` (ascending). The operand has no empty axis among them for `Max`,
    /// `Min`, `Mean` and `LogSumExp`.
    pub fn build(self, b: &mut Builder, x: ValueId, axes: &[u32]) -> ValueId {
        if axes.is_empty() {
            return match self {
                Reduction::Sum | Reduction::Product | Reduction::Mean => x,
                Reduction::Max | Reduction::Min | Reduction::LogSumExp => x,
                Reduction::SumSq => b.mul(x, x),
                Reduction::Norm => b.unary(Op::Abs, x),
            };
        }
        let attr = || Attr::Axes(axes.into());
        match self {
            Reduction::Sum => b.sum_axes(x, axes),
            Reduction::Product => b.must(Op::Product, &[x], attr()),
            Reduction::Mean => {
                let n: usize = axes.iter().map(|axis| b.shape(x).dims()[*axis as usize]).product();
                let sum = b.sum_axes(x, axes);
                let n = b.splat_like(n as f64, sum);
                b.div(sum, n)
            }
            Reduction::Max => b.must(Op::ReduceMax, &[x], attr()),
            Reduction::Min => b.must(Op::ReduceMin, &[x], attr()),
            Reduction::SumSq => {
                let square = b.mul(x, x);
                b.sum_axes(square, axes)
            }
            Reduction::Norm => {
                // At zero the slope of the root is infinite; of its subgradients this one is zero.
                let sum = Reduction::SumSq.build(b, x, axes);
                let (zero, one) = (b.splat_like(0.0, sum), b.splat_like(1.0, sum));
                let is_zero = b.binary(Op::Eq, sum, zero);
                let safe = b.select(is_zero, one, sum);
                let root = b.unary(Op::Sqrt, safe);
                b.select(is_zero, zero, root)
            }
            // m + log Σ exp(x − m) with m = max x, which no derivative passes through: exp of a
            // large x would overflow, and the sum does not depend on m.
            Reduction::LogSumExp => {
                let max = b.must(Op::ReduceMax, &[x], attr());
                let max = b.unary(Op::StopGradient, max);
                let shape = b.shape(x).clone();
                let kept: Vec<u32> = (0..shape.rank() as u32).filter(|axis| !axes.contains(axis)).collect();
                let spread = b.broadcast(max, shape, &kept);
                let shifted = b.sub(x, spread);
                let exp = b.unary(Op::Exp, shifted);
                let sum = b.sum_axes(exp, axes);
                let log = b.unary(Op::Log, sum);
                b.add(max, log)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_function_has_two_rows() {
        for (position, (name, _)) in FUNCTIONS.iter().enumerate() {
            assert!(FUNCTIONS[..position].iter().all(|(other, _)| other != name), "{name}");
        }
    }
}
