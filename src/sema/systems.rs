//! Systems as functions: what a call of one stands for.

use crate::base::span::Span;
use crate::sema::containers::{InstanceId, Template};
use crate::sema::errors;
use crate::sema::infer::Value;
use crate::sema::infer::call::Given;
use crate::sema::resolve::{Callable, Checker, ScopeId};
use crate::syntax::ast;

impl<'a> Checker<'a> {
    /// `cnf(z = x)`
    pub(crate) fn run_system(
        &mut self,
        _instance: InstanceId,
        _given: &[Given<'a>],
        span: Span,
        _scope: ScopeId,
    ) -> Option<Value<'a>> {
        self.no_systems(span)
    }

    /// `inverse(cnf)(z = x)`
    pub(crate) fn run_inverse(
        &mut self,
        _instance: InstanceId,
        _given: &[Given<'a>],
        span: Span,
        _scope: ScopeId,
    ) -> Option<Value<'a>> {
        self.no_systems(span)
    }

    /// `Truth()`
    pub(crate) fn anonymous_system(
        &mut self,
        _template: Template<'a>,
        _callee: &'a ast::Expr,
        _args: &'a [ast::Arg],
        span: Span,
        _scope: ScopeId,
    ) -> Option<Value<'a>> {
        self.no_systems(span)
    }

    /// `inverse(cnf)`
    pub(crate) fn inverse_of(
        &mut self,
        name: &str,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<Value<'a>> {
        let [system] = self.positional(name, given, span, "a system")?;
        match self.evaluate(system, scope)? {
            Value::Callable(Callable::Instance(instance)) if self.instances[instance].template.is_system => {
                Some(Value::Callable(Callable::Inverse(instance)))
            }
            _ => self.fail(errors::wrong_kind(system.span, "only a system has an inverse", "a system")),
        }
    }

    /// `solve(cnf, z = x)`
    pub(crate) fn solve_of(
        &mut self,
        _name: &str,
        _given: &[Given<'a>],
        span: Span,
        _scope: ScopeId,
    ) -> Option<Value<'a>> {
        self.no_systems(span)
    }

    fn no_systems(&mut self, span: Span) -> Option<Value<'a>> {
        let instead = "write its lines at the top level: the file is the system";
        self.fail(errors::not_yet(span, "systems inside a file are", instead))
    }
}
