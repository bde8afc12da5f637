//! `plot heatmap(e, over = data.col, x = a..b, y = c..d)`: a number of the run over the plane.

use crate::base::span::Span;
use crate::ir::program::{Heat, Over};
use crate::sema::errors;
use crate::sema::infer::to_real;
use crate::sema::resolve::Checker;
use crate::sema::typed::{DefId, DefKind, Elem, Expr, Kind, Phase};
use crate::syntax::ast::{self, Arg, ExprKind};

/// Cells along each side, if nothing says how many.
const CELLS: usize = 64;

/// Most cells along a side: each is a run.
const MOST_CELLS: i64 = 1_000;

/// The arguments of a `heatmap`, if `curve` is one.
pub(crate) fn heatmap_args(curve: &ast::Expr) -> Option<&[Arg]> {
    match &curve.unparenthesised().kind {
        ExprKind::Call { callee, args } => match &callee.kind {
            ExprKind::Name(name) if &**name == "heatmap" => Some(args),
            _ => None,
        },
        _ => None,
    }
}

impl<'a> Checker<'a> {
    /// What a `heatmap` draws, and the value that it is of. The place of the value among the results is
    /// the caller's.
    pub(crate) fn heatmap(&mut self, args: &'a [Arg], span: Span) -> Option<(Heat, Expr)> {
        let (mut value, mut over, mut x, mut y, mut points) = (None, None, None, None, None);
        for arg in args {
            let place = match arg {
                Arg::Positional(_) => &mut value,
                Arg::Named(name, _) => match &*name.name {
                    "over" => &mut over,
                    "x" => &mut x,
                    "y" => &mut y,
                    "points" => &mut points,
                    _ => return self.fail(errors::wrong_arguments(name.span, "heatmap", EXPECTED)),
                },
                Arg::Spread(..) | Arg::Comprehension(..) => {
                    return self.fail(errors::wrong_arguments(span, "heatmap", EXPECTED));
                }
            };
            let (Arg::Positional(expr) | Arg::Named(_, expr)) = arg else { continue };
            if place.replace(expr).is_some() {
                return self.fail(errors::wrong_arguments(expr.span, "heatmap", EXPECTED));
            }
        }
        let (Some(value), Some(over), Some(x), Some(y)) = (value, over, x, y) else {
            return self.fail(errors::wrong_arguments(span, "heatmap", EXPECTED));
        };
        let label = self.text(value.span).into();
        let value = to_real(self.infer(value, self.home())?);
        let value = self.scalar(value, "what a heat map shows")?;
        self.require(&value, Phase::Example, "a heat map")?;
        let over_label = self.text(over.span).into();
        let over = self.plane(over)?;
        let (x, y) = (self.extent(x), self.extent(y));
        let points = match points {
            Some(points) => self.cells(points)?,
            None => CELLS,
        };
        Some((Heat { label, value: 0, over, over_label, x: x?, y: y?, points }, value))
    }

    /// What points of the plane are put in place of.
    fn plane(&mut self, over: &'a ast::Expr) -> Option<Over> {
        let found = self.infer(over, self.home())?;
        let two = found.ty.elem == Elem::Real
            && matches!(found.ty.dims.as_slice(), [dim] if dim.as_number() == Some(2));
        let def: Option<DefId> = match found.kind {
            Kind::Def(def) if two => Some(def),
            _ => None,
        };
        let over_what = def.and_then(|def| match self.defs[def].kind {
            DefKind::State(number) if self.own_states().contains(&number) => {
                Some(Over::Start(number - self.own_states().start))
            }
            DefKind::Data(number) if self.has_batch(def) => Some(Over::Port(number)),
            _ => None,
        });
        match over_what {
            Some(over) => Some(over),
            None => {
                let what = format!("`{}` is no point of a plane that runs differ in", self.text(over.span));
                let expected =
                    "a state of two numbers, or such a data field with a `batch` axis: `[batch, 2]`";
                self.fail(errors::wrong_kind(over.span, what, expected))
            }
        }
    }

    /// Whether every example has its own value of this data field.
    fn has_batch(&self, def: DefId) -> bool {
        let sets = self.data_sets.iter();
        let fields = sets.flat_map(|set| set.fields.iter().flatten().zip(&set.data.fields));
        fields.into_iter().any(|(found, field)| *found == Some(def) && field.batch().is_some())
    }

    fn extent(&mut self, range: &'a ast::Expr) -> Option<(f64, f64)> {
        let ExprKind::Range(lo, hi) = &range.unparenthesised().kind else {
            return self.fail(errors::wrong_kind(
                range.span,
                "this is no interval",
                "a range such as `-2..3`",
            ));
        };
        let (lo, hi) =
            (self.static_number(lo, "an end of a heat map"), self.static_number(hi, "an end of a heat map"));
        let (lo, hi) = (lo?, hi?);
        if lo < hi && (hi - lo).is_finite() {
            return Some((lo, hi));
        }
        let message = format!("{lo}..{hi} holds nothing");
        self.fail(errors::wrong_kind(range.span, message, "a lower end below the upper one, both finite"))
    }

    fn cells(&mut self, points: &'a ast::Expr) -> Option<usize> {
        let count = self.size_of(points, self.home(), "the number of cells")?.as_number();
        match count {
            Some(count @ 2..=MOST_CELLS) => Some(count as usize),
            // Sizes are numbers once the data are known.
            None => Some(CELLS),
            Some(_) => {
                let expected = "a whole number from 2 to 1000, the cells along each side";
                self.fail(errors::wrong_kind(points.span, "these are not cells", expected))
            }
        }
    }
}

const EXPECTED: &str = "a number of the run, what the plane stands for and two ranges: `heatmap(e, over = z, x = -1..1, y = -1..1)`";
