//! Folds and scans over what is known at compile time: a range of numbers, a list. Every turn is
//! inferred on its own, so that the shape may change from turn to turn.

use crate::base::span::Span;
use crate::sema::dim::Dim;
use crate::sema::errors;
use crate::sema::infer::{Value, size};
use crate::sema::resolve::{Binding, Checker, ScopeId};
use crate::sema::space::names_in;
use crate::sema::typed::{Expr, Kind};
use crate::syntax::ast::{self, Arg, ExprKind, Fold, ForClause};
use std::cmp::Ordering;

/// Most turns of a fold that is unrolled while it is inferred.
pub(crate) const MAX_UNROLLED_TURNS: usize = 1_000;

/// Most turns of all such folds together: folds in folds multiply.
const MAX_TURNS_IN_ALL: usize = 50_000;

impl<'a> Checker<'a> {
    /// `fold h = x for k in r { … }` and `scan`.
    pub(super) fn fold(&mut self, fold: &'a Fold, span: Span, scope: ScopeId) -> Option<Value<'a>> {
        let Some(turns) = self.static_turns(&fold.range, scope)? else {
            return self.data_fold(fold, span, scope);
        };
        if turns.len() > MAX_UNROLLED_TURNS {
            let what = if fold.scan { "a `scan`" } else { "a `fold`" };
            return self.fail(errors::too_many_turns(fold.range.span, what, MAX_UNROLLED_TURNS));
        }
        let mut carried = self.evaluate(&fold.init, scope)?;
        let mut all = Vec::new();
        for (number, turn) in turns.into_iter().enumerate() {
            self.count_turn(fold.range.span)?;
            let inner = self.open(scope);
            self.bind_pattern(&fold.carried, carried, inner)?;
            self.bind_pattern(&fold.variable, turn, inner)?;
            self.route.push(number);
            let next = self.block(&fold.body, inner);
            self.route.pop();
            carried = next?;
            if fold.scan {
                carried = self.kept(carried, inner);
                all.push(carried.clone());
            }
        }
        match fold.scan {
            true => self.listed(all, span),
            false => Some(carried.at(span)),
        }
    }

    /// The values that a range or a list runs through; `Some(None)` if they are not known at compile
    /// time.
    #[allow(clippy::option_option, reason = "wrong, not static, static")]
    fn static_turns(&mut self, range: &'a ast::Expr, scope: ScopeId) -> Option<Option<Vec<Value<'a>>>> {
        let range = range.unparenthesised();
        match &range.kind {
            // One rule for data, whether their sizes are known yet or not.
            ExprKind::Range(lo, hi) if self.counts_data(lo) || self.counts_data(hi) => Some(None),
            ExprKind::Range(lo, hi) => {
                let what = "an end of a range";
                let (lo, hi) = (self.size_of(lo, scope, what), self.size_of(hi, scope, what));
                let (Some(lo), Some(hi)) = (self.settled(&lo?).as_number(), self.settled(&hi?).as_number())
                else {
                    return Some(None);
                };
                if hi.saturating_sub(lo) > MAX_UNROLLED_TURNS as i64 {
                    // Enough to be too many; the caller says so.
                    let turn = Value::Expr(size(Dim::number(lo), range.span));
                    return Some(Some(vec![turn; MAX_UNROLLED_TURNS + 1]));
                }
                let turn = |n| Value::Expr(size(Dim::number(n), range.span));
                Some(Some((lo..hi).map(turn).collect()))
            }
            ExprKind::Call { callee, args } => {
                let is_reverse = matches!(&callee.kind, ExprKind::Name(name) if &**name == "reverse");
                match (is_reverse, args.as_slice()) {
                    (true, [Arg::Positional(inner)])
                        if matches!(inner.unparenthesised().kind, ExprKind::Range(..)) =>
                    {
                        let turns = self.static_turns(inner, scope)?;
                        Some(turns.map(|turns| turns.into_iter().rev().collect()))
                    }
                    _ => Some(None),
                }
            }
            ExprKind::Name(_) | ExprKind::Array(_) | ExprKind::Field { .. } | ExprKind::Index { .. } => {
                match self.evaluate(range, scope)? {
                    Value::List(parts) => Some(Some(parts)),
                    Value::Expr(expr) => Some(
                        self.static_parts(&expr).map(|parts| parts.into_iter().map(Value::Expr).collect()),
                    ),
                    Value::Record(_) | Value::Tuple(_) | Value::Callable(_) => Some(None),
                }
            }
            _ => Some(None),
        }
    }

    /// Whether a size is one that a data file binds.
    fn counts_data(&self, size: &ast::Expr) -> bool {
        let mut names = names_in(size).into_iter();
        names.any(|(name, _)| self.is_data_size(&name))
    }

    /// The entries of a vector of static integers.
    pub(super) fn static_parts(&self, expr: &Expr) -> Option<Vec<Expr>> {
        match &expr.kind {
            Kind::Stack(parts) if parts.iter().all(|part| matches!(part.kind, Kind::Size(_))) => {
                Some(parts.clone())
            }
            Kind::Def(def) => self.static_parts(self.defs[*def].value.as_ref()?),
            _ => None,
        }
    }

    /// Counts a turn that is written out; one too many is said once, the rest fail silently.
    fn count_turn(&mut self, span: Span) -> Option<()> {
        self.n_turns += 1;
        match self.n_turns.cmp(&MAX_TURNS_IN_ALL) {
            Ordering::Less => Some(()),
            Ordering::Equal => {
                let what = "the sum of all folds and lists";
                self.fail(errors::too_many_turns(span, what, MAX_TURNS_IN_ALL))
            }
            Ordering::Greater => None,
        }
    }

    /// Calls `each` in a scope for every turn of `clauses`, which must be known at compile time.
    pub(crate) fn turns(
        &mut self,
        clauses: &'a [ForClause],
        scope: ScopeId,
        each: &mut dyn FnMut(&mut Self, ScopeId) -> Option<()>,
    ) -> Option<()> {
        let Some((clause, inner_clauses)) = clauses.split_first() else { return each(self, scope) };
        let Some(turns) = self.static_turns(&clause.range, scope)? else {
            return self.fail(errors::not_a_size(clause.range.span, "an end of this range"));
        };
        if turns.len() > MAX_UNROLLED_TURNS {
            return self.fail(errors::too_many_turns(
                clause.range.span,
                "a comprehension of layers or lists",
                MAX_UNROLLED_TURNS,
            ));
        }
        for (number, turn) in turns.into_iter().enumerate() {
            self.count_turn(clause.range.span)?;
            let inner = self.open(scope);
            self.bind_pattern(&clause.pattern, turn, inner)?;
            if let Some(condition) = &clause.condition {
                let truth = self.infer(condition, inner)?;
                match self.decided(&truth) {
                    Some(true) => {}
                    Some(false) => continue,
                    None => return self.fail(errors::undecided(condition.span)),
                }
            }
            self.route.push(number);
            let made = self.turns(inner_clauses, inner, each);
            self.route.pop();
            made?;
        }
        Some(())
    }

    /// Whether the turns of a comprehension must be looked at one by one: it runs over a list, or
    /// its body takes parts of one.
    pub(super) fn is_unrolled(
        &mut self,
        body: &'a ast::Expr,
        clauses: &'a [ForClause],
        scope: ScopeId,
    ) -> bool {
        let ranges = clauses.iter().any(|clause| match &clause.range.unparenthesised().kind {
            ExprKind::Name(name) => self.is_list(name, clause.range.span, scope),
            ExprKind::Field { base, .. } => self.is_instance(base, scope),
            _ => false,
        });
        ranges || self.speaks_of_a_list(body, scope)
    }

    fn is_list(&mut self, name: &str, span: Span, scope: ScopeId) -> bool {
        matches!(self.lookup(name, span, scope), Some(Binding::Aggregate(Value::List(_) | Value::Tuple(_))))
    }

    fn is_instance(&mut self, base: &'a ast::Expr, scope: ScopeId) -> bool {
        use crate::sema::resolve::Callable;
        match &base.unparenthesised().kind {
            ExprKind::Name(name) => matches!(
                self.lookup(name, base.span, scope),
                Some(Binding::Callable(Callable::Instance(_)) | Binding::Aggregate(_))
            ),
            ExprKind::Field { base, .. } | ExprKind::Index { base, .. } => self.is_instance(base, scope),
            _ => false,
        }
    }

    fn speaks_of_a_list(&mut self, expr: &'a ast::Expr, scope: ScopeId) -> bool {
        if let ExprKind::Index { base, .. } = &expr.kind {
            match &base.unparenthesised().kind {
                ExprKind::Name(name) if self.is_list(name, base.span, scope) => return true,
                ExprKind::Field { base, .. } if self.is_instance(base, scope) => return true,
                _ => {}
            }
        }
        crate::sema::equations::children(expr).into_iter().any(|child| self.speaks_of_a_list(child, scope))
    }
}
