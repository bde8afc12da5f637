//! Phases: static < run < example < time. A value that is known too late for its place is
//! refused, with the name that makes it late.

use crate::sema::errors;
use crate::sema::resolve::Checker;
use crate::sema::typed::{Def, DefId, DefKind, Elem, Expr, Kind, Phase};
use std::collections::BTreeSet;
use std::fmt::Display;

impl Checker<'_> {
    /// Whether `expr` is known by `latest`. `place` is what needs it: `a loss`.
    pub(crate) fn require(&mut self, expr: &Expr, latest: Phase, place: impl Display) -> Option<()> {
        if expr.phase <= latest {
            return Some(());
        }
        let place = place.to_string();
        let culprit = culprit(expr, latest);
        let name = self.text(culprit.span);
        if culprit.phase == Phase::Time {
            let callable = match &culprit.kind {
                Kind::Def(def) => !matches!(self.defs[*def].kind, DefKind::Local),
                Kind::Rate(_) | Kind::ChannelRate(_) | Kind::Flow(..) => true,
                _ => false,
            };
            let times = self.data_times();
            return self.fail(errors::varies_with_time(
                culprit.span,
                name,
                &place,
                times.as_deref(),
                callable,
            ));
        }
        let known = match culprit.phase {
            Phase::Example => "with the data",
            _ => "at run time",
        };
        self.fail(errors::known_too_late(culprit.span, name, known, &place))
    }

    /// The data field that holds times: one called like the time variable, `t`, `time` or `times`;
    /// else the first vector of reals.
    fn data_times(&mut self) -> Option<String> {
        for set in 0..self.data_sets.len() {
            self.data_set(set);
        }
        let time = self.space().time.map(|(name, _)| name.name.to_string());
        let vectors = self.data_sets.iter().flat_map(|set| {
            let fields = set.fields.iter().flatten().flatten();
            fields
                .map(|def| &self.defs[*def])
                .filter(|def| def.ty.elem == Elem::Real && def.ty.dims.len() == 1)
        });
        let vectors: Vec<&Def> = vectors.collect();
        let is_time = |def: &&&Def| {
            let field = def.name.rsplit('.').next().unwrap_or(&def.name);
            Some(field) == time.as_deref() || matches!(field, "t" | "time" | "times")
        };
        vectors.iter().find(is_time).or_else(|| vectors.first()).map(|def| def.name.to_string())
    }
}

/// The innermost first part of `expr` that is later than `latest`.
fn culprit(expr: &Expr, latest: Phase) -> &Expr {
    let mut found = None;
    expr.walk(&mut |part| {
        let late = part.phase > latest;
        if late && found.is_none() && is_leaf(&part.kind) {
            found = Some(part);
        }
        late && found.is_none()
    });
    found.unwrap_or(expr)
}

fn is_leaf(kind: &Kind) -> bool {
    matches!(kind, Kind::Def(_) | Kind::Rate(_) | Kind::ChannelRate(_) | Kind::Flow(..))
}

/// Calls `visit` on every expression that `expr` is made of, looking through the names that have a
/// value, each once; where `visit` says no, not what is inside.
pub(crate) fn reach(
    defs: &crate::base::index::IndexVec<DefId, Def>,
    expr: &Expr,
    visit: &mut dyn FnMut(&Expr) -> bool,
) {
    let mut seen = BTreeSet::new();
    reach_unseen(defs, expr, visit, &mut seen);
}

fn reach_unseen(
    defs: &crate::base::index::IndexVec<DefId, Def>,
    expr: &Expr,
    visit: &mut dyn FnMut(&Expr) -> bool,
    seen: &mut BTreeSet<DefId>,
) {
    let looks_through = |def: DefId| {
        matches!(
            defs[def].kind,
            DefKind::Let | DefKind::Output | DefKind::Local | DefKind::Const | DefKind::Control
        )
    };
    let mut inside = Vec::new();
    expr.walk(&mut |part| {
        let go_on = visit(part);
        if go_on {
            match &part.kind {
                Kind::Def(def) | Kind::Derivative { by: def, .. } if looks_through(*def) => inside.push(*def),
                _ => {}
            }
        }
        go_on
    });
    for def in inside {
        if seen.insert(def)
            && let Some(value) = &defs[def].value
        {
            reach_unseen(defs, value, visit, seen);
        }
    }
}
