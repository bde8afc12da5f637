//! The ops: one row each.
//!
//! An [`OpDef`] is everything the project knows of an op. Sema reads its name and signature, the
//! reference evaluator its meaning, `ad` its derivative class, `lower` its lowering; forward,
//! reverse and Taylor mode, batching, documentation and property tests are derived from the row.
//! `ad` never names an op that is not structural, and no back end ever sees one.
//!
//! To add an op, write its `OpDef` in `ops/<family>.rs` and add a line to the list below.

use crate::ir::builder::Builder;
use crate::ir::func::{Attr, ValueId};
use crate::ir::tensor::Tensor;
use crate::ir::types::{Shape, Type};

/// Why operands do not fit an op. `sema` puts it into the user's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShapeError {
    /// Two operands should have equal shapes.
    Unequal(Shape, Shape),
    /// An operand has the wrong element type: position, what was expected.
    Element(usize, &'static str),
    /// An operand has the wrong number of axes: position, what was expected.
    Rank(usize, &'static str),
    /// A range, an axis or a size is out of bounds.
    Bounds(String),
    /// Anything else, in words.
    Other(String),
}

/// How the result type follows from the operand types.
#[derive(Clone, Copy)]
pub enum Signature {
    /// `n` float operands of one type; the result has that type.
    Float(usize),
    /// Two operands of one float or integer type; the result is `bool` of that shape.
    Compare,
    /// `n` bool operands of one shape; the result is `bool` of that shape.
    Logic(usize),
    /// A rule of its own.
    Rule(fn(&[&Type], &Attr) -> Result<Type, ShapeError>),
}

/// The meaning on host numbers. Elementwise ops are given on scalars in `f64` (an `f32` op is
/// evaluated in `f64` and rounded once).
#[derive(Clone, Copy)]
pub enum Eval {
    /// One operand.
    Unary(fn(f64) -> f64),
    /// Two operands.
    Binary(fn(f64, f64) -> f64),
    /// Three operands.
    Ternary(fn(f64, f64, f64) -> f64),
    /// On whole tensors.
    Tensor(fn(&[&Tensor], &Attr, &Type) -> Tensor),
    /// Has no value of its own (a parameter, a request that `ad::expand` resolves).
    None,
}

/// Gives the node of a derivative; the builder is that of the function being differentiated.
pub type Partial = fn(&mut Builder, &[ValueId], ValueId) -> ValueId;

/// Gives the operand cotangent: builder, operand number, operands, attribute, result cotangent.
pub type Transpose = fn(&mut Builder, usize, &[ValueId], &Attr, ValueId) -> ValueId;

/// The derivative class. Forward, reverse and Taylor rules follow from it.
#[derive(Clone, Copy)]
pub enum Derivative {
    /// Locally constant (comparisons, `floor`): derivative zero almost everywhere, by definition.
    Zero,
    /// Linear in all differentiable operands jointly (`add`, `reshape`, `concat`): tangents and
    /// Taylor coefficients go through the op itself, cotangents through the transpose. Operands
    /// that are not floats (indices, conditions) are passed along unchanged.
    Linear(Transpose),
    /// Linear in each of two operands (`mul`, `contract`): product rule and convolution.
    Bilinear(Transpose),
    /// Elementwise: one partial for each operand, as IR in the operands `x` and the result `y`.
    Elementwise(&'static [Partial]),
    /// Stands for an expansion into other ops, made before differentiation and lowering.
    Composite(fn(&mut Builder, &[ValueId], &Attr) -> ValueId),
    /// A leaf (parameter, constant): nothing flows through it.
    Leaf,
    /// No tangent and no cotangent passes (`stop_gradient`).
    Barrier,
    /// A request for a derivative, resolved by `ad::expand`.
    Request,
}

/// How `lower` makes loops of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lowering {
    /// A scalar primitive or a scalar expansion from `lower::math`, applied to every element.
    Scalar(ScalarOp),
    /// A rearrangement of the operand's elements, read through an index map.
    IndexMap,
    /// A reduction over axes.
    Reduce(Monoid),
    /// A sum of products.
    Contract,
    /// A parameter or a constant.
    Leaf,
    /// Gone before lowering.
    Expanded,
}

/// The elementwise meanings that `lower` turns into scalar primitives, each in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is the op of the same name")]
pub enum ScalarOp {
    Add,
    Sub,
    Mul,
    Div,
    Neg,
    Abs,
    Sqrt,
    Min,
    Max,
    Floor,
    Sign,
    PowInt,
    Pow,
    Lt,
    Le,
    Eq,
    And,
    Or,
    Not,
    Select,
    Convert,
    Identity,
    Exp,
    Expm1,
    Log,
    Log1p,
    Sin,
    Cos,
    Tan,
    Tanh,
    Sinh,
    Cosh,
    Atan,
    Asin,
    Acos,
    Sigmoid,
    Softplus,
    Erf,
    Lgamma,
    Digamma,
    Polygamma,
}

impl ScalarOp {
    /// Operations it takes, about: an elementary function those of an exponential in `f32`, a quotient or a
    /// root as many as take its time.
    pub(crate) fn work(self) -> u64 {
        match self {
            ScalarOp::Identity => 0,
            ScalarOp::Add
            | ScalarOp::Sub
            | ScalarOp::Mul
            | ScalarOp::Neg
            | ScalarOp::Abs
            | ScalarOp::Min
            | ScalarOp::Max
            | ScalarOp::Floor
            | ScalarOp::Sign
            | ScalarOp::PowInt
            | ScalarOp::Lt
            | ScalarOp::Le
            | ScalarOp::Eq
            | ScalarOp::And
            | ScalarOp::Or
            | ScalarOp::Not
            | ScalarOp::Select
            | ScalarOp::Convert => 1,
            ScalarOp::Div | ScalarOp::Sqrt => 8,
            ScalarOp::Pow
            | ScalarOp::Exp
            | ScalarOp::Expm1
            | ScalarOp::Log
            | ScalarOp::Log1p
            | ScalarOp::Sin
            | ScalarOp::Cos
            | ScalarOp::Tan
            | ScalarOp::Tanh
            | ScalarOp::Sinh
            | ScalarOp::Cosh
            | ScalarOp::Atan
            | ScalarOp::Asin
            | ScalarOp::Acos
            | ScalarOp::Sigmoid
            | ScalarOp::Softplus
            | ScalarOp::Erf
            | ScalarOp::Lgamma
            | ScalarOp::Digamma
            | ScalarOp::Polygamma => 20,
        }
    }
}

/// The operation of a reduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Monoid {
    /// Sum, in ascending index order.
    Sum,
    /// Product.
    Product,
    /// Largest.
    Max,
    /// Smallest.
    Min,
}

/// Where property tests sample an operand, and what is singular there.
#[derive(Clone, Copy, Debug)]
pub struct Domain {
    /// Lower end of the sampled interval.
    pub lo: f64,
    /// Upper end.
    pub hi: f64,
    /// Points where the op or a derivative is singular, in words; empty if there is none.
    pub singular: &'static str,
}

/// One row of the op table. No field is optional.
pub struct OpDef {
    /// The spelling in printed IR and, where the language has it, in the language.
    pub name: &'static str,
    /// One paragraph.
    pub doc: &'static str,
    /// Where the definition or the rule is published; `"elementary"` for school mathematics.
    pub source: &'static str,
    /// Result type.
    pub signature: Signature,
    /// Meaning.
    pub eval: Eval,
    /// Derivative class.
    pub derivative: Derivative,
    /// Lowering.
    pub lowering: Lowering,
    /// Sampling domain of each operand (the last one repeats).
    pub domain: &'static [Domain],
}

macro_rules! ops {
    ($($variant:ident => $family:ident :: $row:ident,)*) => {
        /// An op; its row is [`Op::def`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "the row's `doc` says what it is")]
        pub enum Op { $($variant,)* }

        impl Op {
            /// Every op, in table order.
            pub const ALL: &'static [Op] = &[$(Op::$variant,)*];

            /// The row.
            pub fn def(self) -> &'static OpDef {
                match self { $(Op::$variant => &crate::ir::ops::$family::$row,)* }
            }
        }
    };
}

ops! {
    // Leaves.
    Param => leaf::PARAM,
    Constant => leaf::CONSTANT,
    Iota => leaf::IOTA,
    // Identity with an identity of its own: the variable of a derivative operator.
    Variable => leaf::VARIABLE,
    StopGradient => leaf::STOP_GRADIENT,
    Convert => leaf::CONVERT,
    // Arithmetic.
    Add => arith::ADD,
    Sub => arith::SUB,
    Mul => arith::MUL,
    Div => arith::DIV,
    Neg => arith::NEG,
    PowInt => arith::POW_INT,
    Pow => arith::POW,
    // Elementary functions.
    Exp => elementary::EXP,
    Expm1 => elementary::EXPM1,
    Log => elementary::LOG,
    Log1p => elementary::LOG1P,
    Sqrt => elementary::SQRT,
    Sin => elementary::SIN,
    Cos => elementary::COS,
    Tan => elementary::TAN,
    Asin => elementary::ASIN,
    Acos => elementary::ACOS,
    Atan => elementary::ATAN,
    Sinh => elementary::SINH,
    Cosh => elementary::COSH,
    Tanh => elementary::TANH,
    Sigmoid => elementary::SIGMOID,
    Softplus => elementary::SOFTPLUS,
    Erf => elementary::ERF,
    Lgamma => gamma::LGAMMA,
    Digamma => gamma::DIGAMMA,
    Polygamma => gamma::POLYGAMMA,
    // Choice.
    Lt => select::LT,
    Le => select::LE,
    Eq => select::EQ,
    And => select::AND,
    Or => select::OR,
    Not => select::NOT,
    Select => select::SELECT,
    Min => select::MIN,
    Max => select::MAX,
    Abs => select::ABS,
    Sign => select::SIGN,
    Floor => select::FLOOR,
    // Layout.
    Reshape => layout::RESHAPE,
    Permute => layout::PERMUTE,
    Broadcast => layout::BROADCAST,
    Slice => layout::SLICE,
    Pad => layout::PAD,
    Concat => layout::CONCAT,
    Reverse => layout::REVERSE,
    Windows => windows::WINDOWS,
    Gather => layout::GATHER,
    ScatterAdd => layout::SCATTER_ADD,
    // Reductions.
    Sum => reduce::SUM,
    Product => reduce::PRODUCT,
    ReduceMax => reduce::MAX,
    ReduceMin => reduce::MIN,
    // Contraction.
    Contract => contract::CONTRACT,
    // Requests for derivatives.
    Jvp => transform::JVP,
    Vjp => transform::VJP,
    Divergence => transform::DIVERGENCE,
    JacFrob2 => transform::JAC_FROB2,
    Jacobian => transform::JACOBIAN,
    FlowDerivative => transform::FLOW_DERIVATIVE,
}

impl Op {
    /// The op with this printed name.
    pub fn by_name(name: &str) -> Option<Op> {
        Op::ALL.iter().copied().find(|op| op.def().name == name)
    }
}
