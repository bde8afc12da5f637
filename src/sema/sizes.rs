//! Sizes that are found out from use: unknowns in polynomials, solved one at a time.
//!
//! `param net = MLP(hidden = [64])` leaves the sizes of `MLP` open. Where two sizes must be equal,
//! an open one that appears linearly is solved for, and the place is remembered.

use crate::base::span::Span;
use crate::sema::dim::{Dim, Symbol};
use crate::sema::errors;
use crate::sema::errors::Story;
use crate::sema::resolve::{Binding, Checker, ScopeId};
use crate::sema::typed::Ty;
use crate::syntax::ast::{self, ExprKind};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A size that was left open.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    /// As declared: `I`.
    pub name: Arc<str>,
    /// What has it: `MLP`.
    pub owner: Arc<str>,
    /// Where it is left open.
    pub span: Span,
    /// What it turned out to be, and where.
    pub found: Option<(Dim, Span)>,
}

/// What open sizes have turned out to be, by symbol.
pub type Sizes = BTreeMap<u32, Dim>;

impl<'a> Checker<'a> {
    /// A size to be found out.
    pub(crate) fn open_size(&mut self, name: &Arc<str>, owner: &Arc<str>, span: Span) -> Dim {
        let symbol = self.symbol(name.clone());
        let open = Open { name: name.clone(), owner: owner.clone(), span, found: None };
        self.open_sizes.insert(symbol.id, open);
        Dim::symbol(symbol)
    }

    /// `dim` with what is known of open sizes.
    pub(crate) fn settled(&self, dim: &Dim) -> Dim {
        if self.open_sizes.is_empty() || dim.as_number().is_some() {
            return dim.clone();
        }
        let found = |symbol: &Symbol| {
            let (dim, _) = self.open_sizes.get(&symbol.id)?.found.as_ref()?;
            Some(self.settled(dim))
        };
        dim.substituted(&found)
    }

    /// `ty` with what is known of open sizes.
    pub(crate) fn settled_ty(&self, ty: Ty) -> Ty {
        if self.open_sizes.is_empty() {
            return ty;
        }
        Ty { elem: ty.elem, dims: ty.dims.iter().map(|dim| self.settled(dim)).collect() }
    }

    /// Whether two sizes are equal, or can be made so by an open one. `span` is what asks.
    pub(crate) fn same_size(&mut self, a: &Dim, b: &Dim, span: Span) -> bool {
        if a == b {
            return true;
        }
        if self.open_sizes.is_empty() {
            return false;
        }
        let difference = self.settled(a).minus(&self.settled(b));
        if difference.as_number() == Some(0) {
            return true;
        }
        for symbol in difference.symbols() {
            if self.open_sizes.get(&symbol.id).is_none_or(|open| open.found.is_some()) {
                continue;
            }
            // c*s + rest = 0
            let Some((coefficient, rest)) = difference.linear_in(&symbol) else { continue };
            let Some(solution) = rest.divided(-coefficient) else { continue };
            if solution.as_number().is_some_and(|n| n < 0) {
                continue;
            }
            let open = self.open_sizes.get_mut(&symbol.id).expect("it was found just before");
            open.found = Some((solution, span));
            return true;
        }
        false
    }

    /// Whether two lists of sizes are equal, or can be made so.
    pub(crate) fn same_sizes(&mut self, a: &[Dim], b: &[Dim], span: Span) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.same_size(a, b, span))
    }

    /// Whether two types are equal, or can be made so.
    pub(crate) fn same_ty(&mut self, a: &Ty, b: &Ty, span: Span) -> bool {
        a.elem == b.elem && self.same_sizes(&a.dims, &b.dims, span)
    }

    /// `dim/n`, if that is a whole number: exact, or by what it says about an open size.
    pub(crate) fn divided_size(&mut self, dim: &Dim, n: i64, span: Span) -> Option<Dim> {
        let dim = self.settled(dim);
        if let Some(quotient) = dim.divided(n) {
            return Some(quotient);
        }
        let is_open = |symbol: &Symbol| self.open_sizes.get(&symbol.id).is_some_and(|o| o.found.is_none());
        if n <= 0 || !dim.symbols().iter().any(is_open) {
            return None;
        }
        let owner = dim.symbols().iter().find_map(|symbol| self.open_sizes.get(&symbol.id)).cloned()?;
        let name: Arc<str> = format!("{dim}/{n}").into();
        let quotient = self.open_size(&name, &owner.owner, owner.span);
        self.same_size(&dim, &quotient.times_number(n), span).then_some(quotient)
    }

    /// What fixed the first open size that the type names.
    pub(crate) fn size_story(&self, ty: &ast::Type, scope: ScopeId) -> Option<Story> {
        let ast::TypeKind::Tensor { dims, .. } = &ty.kind else { return None };
        let named = dims.iter().filter_map(|dim| match &dim.value.unparenthesised().kind {
            ExprKind::Name(name) => Some(name),
            _ => None,
        });
        named.filter_map(|name| Some((name, self.local_size(name, scope)?))).find_map(
            |(name, (dim, scope))| {
                if let Some(open) = dim.as_symbol().and_then(|symbol| self.open_sizes.get(&symbol.id)) {
                    let (dim, span) = open.found.as_ref()?;
                    let text =
                        format!("`{}` of `{}` is {} by this", open.name, open.owner, self.settled(dim));
                    return Some(Story { span: *span, text, help: None });
                }
                // Sizes inside a library are its own affair.
                let span = self.written_sizes.get(&(scope, name.clone()));
                let span = *span.filter(|span| span.source == self.files.main.source)?;
                let text = format!("because `{name}` is {} here", self.settled(&dim));
                let help = Some("sizes that are left away are inferred from use".to_owned());
                Some(Story { span, text, help })
            },
        )
    }

    /// The size that a generic stands for, as it was bound, and in which scope.
    fn local_size(&self, name: &str, scope: ScopeId) -> Option<(Dim, ScopeId)> {
        let mut at = Some(scope);
        while let Some(scope) = at {
            let local = self.scopes[scope].names.iter().rev().find(|(known, _)| **known == *name);
            if let Some((_, binding)) = local {
                return match binding {
                    Binding::Size(dim) => Some((dim.clone(), scope)),
                    _ => None,
                };
            }
            at = self.scopes[scope].parent;
        }
        None
    }

    /// Says which sizes stayed open.
    pub(crate) fn report_open_sizes(&mut self) {
        let mut said: Vec<Span> = Vec::new();
        let open: Vec<Open> = self.open_sizes.values().filter(|open| open.found.is_none()).cloned().collect();
        for Open { name, owner, span, .. } in open {
            if !said.contains(&span) {
                said.push(span);
                self.report(errors::open_size(span, &owner, &name));
            }
        }
    }

    /// What all open sizes turned out to be.
    pub(crate) fn found_sizes(&self) -> Sizes {
        let found = |open: &Open| open.found.as_ref().map(|(dim, _)| self.settled(dim));
        let open = self.open_sizes.iter().filter_map(|(id, open)| Some((*id, found(open)?)));
        // A ragged axis is as long as the longest example.
        let longest = |name: &Arc<str>| Some(Dim::number(*self.known.sizes.get(name)? as i64));
        let ragged = self.ragged.iter().filter_map(|(id, axis)| Some((*id, longest(&axis.name)?)));
        open.chain(ragged).collect()
    }
}
