//! Arrays, parts of arrays, fields.

use crate::base::span::Span;
use crate::sema::decide::{Uncounted, n_turns};
use crate::sema::dim::{Dim, Symbol};
use crate::sema::elaborate::MAX_TURNS;
use crate::sema::errors;
use crate::sema::infer::{size, to_real};
use crate::sema::prelude::Reduction;
use crate::sema::resolve::{Binding, Checker, ScopeId};
use crate::sema::typed::{Elem, Expr, Kind, Loop, Phase, Pick, Ty};
use crate::syntax::ast::{self, ExprKind, ForClause, Ident, IndexExpr, Pattern};

impl<'a> Checker<'a> {
    /// Parts of one type under a new leading axis.
    pub(super) fn stacked(&mut self, parts: Vec<Expr>, span: Span) -> Option<Expr> {
        if parts.is_empty() {
            return self.fail(errors::unknown_size(span, "an empty array"));
        }
        let all_int = parts.iter().all(|part| part.ty.elem == Elem::Int);
        let all_bool = parts.iter().all(|part| part.ty.elem == Elem::Bool);
        let parts: Vec<Expr> = if all_int || all_bool {
            parts
        } else {
            let parts: Vec<Option<Expr>> = parts.into_iter().map(|part| self.real(part, "[...]")).collect();
            parts.into_iter().collect::<Option<_>>()?
        };
        let first = &parts[0];
        let differs =
            |checker: &mut Self, part: &Expr| !checker.same_sizes(&part.ty.dims, &first.ty.dims, part.span);
        if let Some(other) = parts.iter().find(|part| differs(self, part)) {
            let (a, b) = (self.story(first), self.story(other));
            let diagnostic =
                errors::unequal_shapes("[...]", span, (first.span, &first.ty, a), (other.span, &other.ty, b));
            return self.fail(diagnostic);
        }
        let mut dims = vec![Dim::number(parts.len() as i64)];
        dims.extend(first.ty.dims.iter().cloned());
        let ty = Ty { elem: first.ty.elem, dims };
        let phase = parts.iter().map(|part| part.phase).max().unwrap_or(Phase::Static);
        Some(Expr { kind: Kind::Stack(parts), ty, phase, span })
    }

    /// A comprehension: stacked, or reduced.
    pub(super) fn comprehension(
        &mut self,
        body: &'a ast::Expr,
        clauses: &'a [ForClause],
        reduction: Option<Reduction>,
        span: Span,
        scope: ScopeId,
    ) -> Option<Expr> {
        let inner = self.open(scope);
        let mut loops: Vec<Loop> = Vec::new();
        for clause in clauses {
            loops.push(self.clause(clause, inner)?);
        }
        let body = self.infer(body, inner)?;
        let phase = body.phase;
        let ty = match reduction {
            Some(_) => {
                let body_ty = &body.ty;
                if !body_ty.is_scalar() {
                    return self.not_scalar("the body of a reduction", &body);
                }
                Ty::scalar(Elem::Real)
            }
            None => {
                let ty = self.settled_ty(body.ty.clone());
                let turning = |dim: &Dim| loops.iter().any(|one| dim.symbols().contains(&one.symbol));
                if ty.dims.iter().any(turning) {
                    return self.fail(errors::shape_of_each_turn(body.span, &ty));
                }
                let mut dims = vec![self.count_of(&loops, span)?];
                dims.extend(ty.dims);
                Ty { elem: ty.elem, dims }
            }
        };
        let body = if reduction.is_some() { to_real(body) } else { body };
        Some(Expr { kind: Kind::Comprehension { loops, body: Box::new(body), reduction }, ty, phase, span })
    }

    /// How many entries an array over `loops` has: one for every turn of all of them whose conditions
    /// hold, the last loop turning fastest.
    fn count_of(&mut self, loops: &[Loop], span: Span) -> Option<Dim> {
        let ends = || loops.iter().flat_map(|one| [&one.lo, &one.hi]);
        let depends = ends().any(|end| loops.iter().any(|one| end.symbols().contains(&one.symbol)));
        if !depends && loops.iter().all(|one| one.condition.is_none()) {
            let is_ragged = |symbol: &Symbol| self.ragged.contains_key(&symbol.id);
            if loops.len() > 1 && ends().any(|end| end.symbols().iter().any(is_ragged)) {
                let instead = "nest the brackets: `[[... for j in r] for i in s]`";
                return self.fail(errors::not_yet(span, "several `for`s over a ragged axis are", instead));
            }
            let mut count = Dim::number(1);
            for one in loops {
                count = count.times(&self.not_negative(one.hi.minus(&one.lo), span)?);
            }
            return Some(count);
        }
        match n_turns(loops, &|dim| self.settled(dim), MAX_TURNS) {
            Ok(count) => Some(Dim::number(count as i64)),
            Err(Uncounted::Unknown) => self.fail(errors::uncounted(span)),
            Err(Uncounted::TooMany) => self.fail(errors::too_large(span, "a comprehension", MAX_TURNS)),
        }
    }

    fn clause(&mut self, clause: &'a ForClause, scope: ScopeId) -> Option<Loop> {
        let name = match &clause.pattern {
            Pattern::Name(name) => name.name.clone(),
            Pattern::Tuple(..) => "element".into(),
        };
        let symbol = self.symbol(name.clone());
        let index = size(Dim::symbol(symbol.clone()), clause.pattern.span());
        let (lo, hi) = match &clause.range.unparenthesised().kind {
            ExprKind::Range(lo, hi) => {
                let what = "an end of a range";
                let (lo, hi) = (self.size_of(lo, scope, what), self.size_of(hi, scope, what));
                self.scopes[scope].loops.push(symbol.clone());
                if let Pattern::Name(name) = &clause.pattern {
                    self.bind(scope, &name.name, Binding::Size(Dim::symbol(symbol.clone())));
                } else {
                    let diagnostic =
                        errors::wrong_kind(clause.pattern.span(), "a range has no parts", "a name");
                    return self.fail(diagnostic);
                }
                (lo?, hi?)
            }
            _ => {
                let range = self.infer(&clause.range, scope)?;
                let Some(count) = range.ty.dims.first().cloned() else {
                    return self.misfit("for", &range, "a range or an array");
                };
                self.scopes[scope].loops.push(symbol.clone());
                let element = self.element_at(range, index);
                self.bind_pattern(&clause.pattern, element, scope)?;
                (Dim::number(0), count)
            }
        };
        self.loop_ranges.insert(symbol.id, (lo.clone(), hi.clone()));
        let condition = match &clause.condition {
            None => None,
            Some(condition) => {
                let condition = self.infer(condition, scope)?;
                let mut decidable = condition.ty == Ty::scalar(Elem::Bool);
                condition.walk(&mut |part| {
                    decidable &= matches!(part.kind, Kind::Size(_) | Kind::Bool(_) | Kind::Elementwise(..));
                    decidable
                });
                if !decidable {
                    return self.fail(errors::undecided(condition.span));
                }
                Some(condition)
            }
        };
        Some(Loop { symbol, lo, hi, condition })
    }

    /// `base[i]` for a static index.
    fn element_at(&mut self, base: Expr, index: Expr) -> Expr {
        let Kind::Size(at) = index.kind else { crate::bug!("a loop variable is a static integer") };
        let ty = Ty { elem: base.ty.elem, dims: base.ty.dims[1..].to_vec() };
        let mut picks = vec![Pick::At(at)];
        picks.extend(ty.dims.iter().map(|dim| Pick::Range(Dim::number(0), dim.clone())));
        let (phase, span) = (base.phase, base.span);
        Expr { kind: Kind::Index(Box::new(base), picks), ty, phase, span }
    }

    /// `base[i, a..b, :, _]` of an array.
    pub(super) fn index_of(
        &mut self,
        base: Expr,
        indices: &'a [IndexExpr],
        span: Span,
        scope: ScopeId,
    ) -> Option<Expr> {
        let given = indices.iter().filter(|index| !is_new_axis(index)).count();
        if given > base.ty.dims.len() {
            return self.fail(errors::too_many_indices(span, &base.ty, given));
        }
        let mut axes = base.ty.dims.clone().into_iter();
        let (mut picks, mut dims) = (Vec::new(), Vec::new());
        let mut gathered: Option<(usize, Expr)> = None;
        for index in indices {
            if is_new_axis(index) {
                picks.push(Pick::New);
                dims.push(Dim::number(1));
                continue;
            }
            let axis = axes.next().expect("indices were counted");
            let what = "an index";
            let pick = match index {
                IndexExpr::At(expr) => match &expr.unparenthesised().kind {
                    ExprKind::Range(lo, hi) => {
                        let (lo, hi) = (self.size_of(lo, scope, what), self.size_of(hi, scope, what));
                        self.range_pick(lo?, hi?, &axis, expr.span)?
                    }
                    _ => match self.element_pick(expr, &axis, scope)? {
                        Element::Static(at) => Pick::At(at),
                        Element::Known(index) if gathered.is_some() => {
                            let instead = "give the entry taken first a name with `let`";
                            let what = "two indices that are not static are";
                            return self.fail(errors::not_yet(index.span, what, instead));
                        }
                        Element::Known(index) => {
                            gathered = Some((dims.len(), index));
                            Pick::Range(Dim::number(0), axis)
                        }
                    },
                },
                IndexExpr::From(lo, span) => {
                    let lo = self.size_of(lo, scope, what)?;
                    self.range_pick(lo, axis.clone(), &axis, *span)?
                }
                IndexExpr::To(hi, span) => {
                    let hi = self.size_of(hi, scope, what)?;
                    self.range_pick(Dim::number(0), hi, &axis, *span)?
                }
                IndexExpr::All(_) => Pick::Range(Dim::number(0), axis),
            };
            if let Pick::Range(lo, hi) = &pick {
                dims.push(hi.minus(lo));
            }
            picks.push(pick);
        }
        for axis in axes {
            picks.push(Pick::Range(Dim::number(0), axis.clone()));
            dims.push(axis);
        }
        // An entry of a list of sizes is a size.
        if let [Pick::At(at)] = picks.as_slice()
            && let Some(at) = self.settled(at).as_number()
            && let Some(parts) = self.static_parts(&base)
            && let Some(part) = usize::try_from(at).ok().and_then(|at| parts.into_iter().nth(at))
        {
            return Some(Expr { span, ..part });
        }
        let ty = Ty { elem: base.ty.elem, dims };
        let phase = base.phase;
        let parts = Expr { kind: Kind::Index(Box::new(base), picks), ty, phase, span };
        match gathered {
            Some((axis, index)) => self.gathered(parts, axis, index, span),
            None => Some(parts),
        }
    }

    fn range_pick(&mut self, lo: Dim, hi: Dim, axis: &Dim, span: Span) -> Option<Pick> {
        let outside = |dim: &Dim| {
            dim.as_number().is_some_and(|n| n < 0) || axis.minus(dim).as_number().is_some_and(|rest| rest < 0)
        };
        if let Some(bad) = [&lo, &hi].into_iter().find(|dim| outside(dim)) {
            return self.fail(errors::out_of_bounds(span, &bad.to_string(), &axis.to_string()));
        }
        if hi.minus(&lo).as_number().is_some_and(|n| n < 0) {
            return self.fail(errors::out_of_bounds(span, &format!("{lo}..{hi}"), &axis.to_string()));
        }
        Some(Pick::Range(lo, hi))
    }

    fn element_pick(&mut self, expr: &'a ast::Expr, axis: &Dim, scope: ScopeId) -> Option<Element> {
        if let ExprKind::Str(_) = expr.unparenthesised().kind {
            return self.fail(errors::wrong_kind(
                expr.span,
                "an index is a whole number",
                "a number, not text",
            ));
        }
        let index = self.infer(expr, scope)?;
        let Kind::Size(at) = index.kind else {
            if index.ty.elem == Elem::Int {
                return Some(Element::Known(index));
            }
            return self.fail(errors::not_a_size(expr.span, "an index"));
        };
        let low = at.as_number().is_some_and(|n| n < 0);
        let high = axis.minus(&at).as_number().is_some_and(|rest| rest <= 0);
        if low || high {
            return self.fail(errors::out_of_bounds(expr.span, &at.to_string(), &axis.to_string()));
        }
        Some(Element::Static(at))
    }

    /// `obs.t`
    pub(super) fn data_field_of(
        &mut self,
        set: usize,
        data_name: &str,
        name: &Ident,
        span: Span,
    ) -> Option<Expr> {
        self.data_set(set);
        let data = self.data_sets[set].data;
        let Some(position) = data.fields.iter().position(|field| field.name.name == name.name) else {
            let known: Vec<&str> = data.fields.iter().map(|field| &*field.name.name).collect();
            return self.fail(errors::unknown_field(name.span, data_name, &name.name, &known));
        };
        let fields = self.data_sets[set].fields.as_ref()?;
        let def = fields[position]?;
        Some(self.named(def, span))
    }

    /// `A.T`
    pub(super) fn field_of(&mut self, base: Expr, name: &Ident, span: Span) -> Option<Expr> {
        match (&*name.name, base.ty.dims.len()) {
            ("T", 2) => Some(transposed(base, span)),
            ("T", _) => self.misfit(".T", &base, "a matrix"),
            (other, _) => self.fail(errors::wrong_kind(
                name.span,
                format!("there is no field `{other}` here"),
                "a field of a data set, or `.T`",
            )),
        }
    }
}

/// What an index is that takes one entry.
enum Element {
    /// A static integer.
    Static(Dim),
    /// Integers that are known later.
    Known(Expr),
}

/// A matrix with rows and columns exchanged.
pub(super) fn transposed(base: Expr, span: Span) -> Expr {
    let dims = base.ty.dims.iter().rev().cloned().collect();
    let axes = (0..base.ty.dims.len() as u32).rev().collect();
    let ty = Ty { elem: base.ty.elem, dims };
    Expr { phase: base.phase, kind: Kind::Permute(Box::new(base), axes), ty, span }
}

fn is_new_axis(index: &IndexExpr) -> bool {
    matches!(index, IndexExpr::At(expr) if matches!(&expr.kind, ExprKind::Name(name) if &**name == "_"))
}
