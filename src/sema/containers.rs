//! Layers and systems: each instance is a space of its own, with sizes, arguments and a path.
//!
//! An instance is made by `param net = MLP[2, 2](hidden = [64])`, alone or in an array. Its items
//! are looked into when they are needed, like those of the file.

use crate::base::span::Span;
use crate::sema::dim::Dim;
use crate::sema::errors;
use crate::sema::infer::Value;
use crate::sema::infer::call::Given;
use crate::sema::resolve::{Binding, Callable, Checker, ScopeId};
use crate::sema::space::SpaceId;
use crate::syntax::ast::{self, Arg, ExprKind, IndexExpr, ItemKind};
use std::sync::Arc;

/// A layer or a system as declared, with what its names see.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Template<'a> {
    pub container: &'a ast::Container,
    /// Where it is declared.
    pub home: ScopeId,
    /// Whether it is a system.
    pub is_system: bool,
}

/// An instance in [`Checker::instances`].
pub(crate) type InstanceId = usize;

/// One layer or system in use.
#[derive(Clone, Debug)]
pub(crate) struct Instance<'a> {
    pub template: Template<'a>,
    pub space: SpaceId,
    /// `net.fc[0]`
    pub path: Arc<str>,
    /// The sizes, as given or left open.
    pub sizes: Vec<Dim>,
    /// Where it is made.
    pub span: Span,
    /// The instance whose items made it.
    pub owner: Option<InstanceId>,
}

/// Most layers and systems of one program.
const MAX_INSTANCES: usize = 10_000;

impl<'a> Checker<'a> {
    /// What a `param` is, if it is made of layers or systems: `Some(None)` if wrong.
    #[allow(clippy::option_option, reason = "a number, a wrong instance, an instance")]
    pub(crate) fn instances(
        &mut self,
        value: &'a ast::Expr,
        path: &str,
        scope: ScopeId,
    ) -> Option<Option<Value<'a>>> {
        let value = value.unparenthesised();
        match &value.kind {
            ExprKind::Call { callee, args } => {
                let (template, sizes) = self.template(callee, scope)?;
                let made = self.instantiate(template, sizes, args, path, value.span, scope);
                Some(made.map(|instance| Value::Callable(Callable::Instance(instance))))
            }
            ExprKind::Index { .. } | ExprKind::Name(_) | ExprKind::Field { .. } => {
                let (template, _) = self.template(value, scope)?;
                let name = &template.container.name.name;
                self.report(errors::layer_without_call(value.span, name, self.text(value.span)));
                Some(None)
            }
            ExprKind::Array(args) => match args.as_slice() {
                [Arg::Comprehension(body, clauses)] => {
                    if !self.makes_instances(body, scope) {
                        return None;
                    }
                    let mut parts = Vec::new();
                    let turned = self.turns(clauses, scope, &mut |checker, scope| {
                        let path = format!("{path}[{}]", parts.len());
                        parts.push(checker.instances(body, &path, scope)??);
                        Some(())
                    });
                    Some(turned.map(|()| Value::List(parts)))
                }
                parts => {
                    let instances = parts.iter().any(|part| match part {
                        Arg::Positional(part) => self.makes_instances(part, scope),
                        Arg::Named(..) | Arg::Spread(..) | Arg::Comprehension(..) => false,
                    });
                    if !instances {
                        return None;
                    }
                    let made: Vec<Option<Value<'a>>> = parts
                        .iter()
                        .enumerate()
                        .map(|(number, part)| {
                            let Arg::Positional(part) = part else {
                                return self.fail(errors::not_a_layer(value.span));
                            };
                            match self.instances(part, &format!("{path}[{number}]"), scope) {
                                Some(made) => made,
                                None => self.fail(errors::not_a_layer(part.span)),
                            }
                        })
                        .collect();
                    Some(made.into_iter().collect::<Option<_>>().map(Value::List))
                }
            },
            _ => None,
        }
    }

    /// Whether an expression is a layer or a system with its arguments.
    fn makes_instances(&mut self, expr: &'a ast::Expr, scope: ScopeId) -> bool {
        match &expr.unparenthesised().kind {
            ExprKind::Call { callee, .. } => self.template(callee, scope).is_some(),
            ExprKind::Array(args) => args.iter().any(|arg| match arg {
                Arg::Positional(part) | Arg::Comprehension(part, _) => self.makes_instances(part, scope),
                Arg::Named(..) | Arg::Spread(..) => false,
            }),
            _ => false,
        }
    }

    /// The layer or system that `Dense` or `Dense[2, 64]` names.
    #[allow(clippy::type_complexity, reason = "a template and its sizes")]
    pub(crate) fn template(
        &mut self,
        callee: &'a ast::Expr,
        scope: ScopeId,
    ) -> Option<(Template<'a>, Option<&'a [IndexExpr]>)> {
        let callee = callee.unparenthesised();
        match &callee.kind {
            ExprKind::Index { base, indices } => match self.template(base, scope)? {
                (template, None) => Some((template, Some(indices))),
                (_, Some(_)) => None,
            },
            ExprKind::Name(name) => match self.lookup(name, callee.span, scope)? {
                Binding::Callable(Callable::Template(template)) => Some((template, None)),
                _ => None,
            },
            ExprKind::Field { base, name } => {
                let ExprKind::Name(module) = &base.kind else { return None };
                let Some(Binding::Module(space)) = self.lookup(module, base.span, scope) else { return None };
                match self.given_by(space, module, name)? {
                    Binding::Callable(Callable::Template(template)) => Some((template, None)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// A new instance. Sizes and arguments are in `scope`.
    pub(crate) fn instantiate(
        &mut self,
        template: Template<'a>,
        sizes: Option<&'a [IndexExpr]>,
        args: &'a [Arg],
        path: &str,
        span: Span,
        scope: ScopeId,
    ) -> Option<InstanceId> {
        let container = template.container;
        let name = &container.name;
        let owner = self.owner_of(scope);
        let mut around = owner;
        while let Some(instance) = around {
            if std::ptr::eq(self.instances[instance].template.container, container) {
                return self.fail(errors::recursion(&name.name, span, name.span));
            }
            around = self.instances[instance].owner;
        }
        if self.instances.len() >= MAX_INSTANCES {
            return self.fail(errors::too_large(span, "the list of layers", MAX_INSTANCES));
        }
        let written = sizes.unwrap_or_default();
        let sizes = self.sizes_of_instance(container, sizes, span, scope)?;
        let inner = self.open(template.home);
        for (generic, size) in container.generics.iter().zip(written) {
            if let IndexExpr::At(size) = size {
                self.written_sizes.insert((inner, generic.name.clone()), size.span);
            }
        }
        for (generic, size) in container.generics.iter().zip(&sizes) {
            self.bind(inner, &generic.name, Binding::Size(size.clone()));
        }
        let given = self.given(args, None)?;
        let params = container.params.as_deref().unwrap_or_default();
        let arguments = self.arguments(&name.name, params, &given, span)?;
        let mut fine = true;
        for (param, argument, from_caller) in arguments {
            let from = if from_caller { scope } else { inner };
            fine &= self.take_argument(&name.name, param, argument, from, inner).is_some();
        }
        if !fine {
            return None;
        }
        let space = self.open_space(&container.items, Some(inner), path);
        self.instances.push(Instance { template, space, path: path.into(), sizes, span, owner });
        let instance = self.instances.len() - 1;
        self.spaces[space].instance = Some(instance);
        self.check_items(template);
        Some(instance)
    }

    fn sizes_of_instance(
        &mut self,
        container: &'a ast::Container,
        sizes: Option<&'a [IndexExpr]>,
        span: Span,
        scope: ScopeId,
    ) -> Option<Vec<Dim>> {
        let (name, generics) = (&container.name, &container.generics);
        let Some(sizes) = sizes else {
            let open = generics.iter().map(|generic| self.open_size(&generic.name, &name.name, span));
            return Some(open.collect());
        };
        if sizes.len() != generics.len() {
            let names: Vec<&str> = generics.iter().map(|generic| &*generic.name).collect();
            return self.fail(errors::wrong_number_of_sizes(
                span,
                &name.name,
                &names,
                sizes.len(),
                name.span,
            ));
        }
        let sizes: Vec<Option<Dim>> = sizes
            .iter()
            .zip(generics)
            .map(|(size, generic)| match size {
                IndexExpr::At(expr) if matches!(&expr.kind, ExprKind::Name(name) if &**name == "_") => {
                    Some(self.open_size(&generic.name, &name.name, expr.span))
                }
                IndexExpr::At(expr) => {
                    let size = self.size_of(expr, scope, "a size")?;
                    self.not_negative(size, expr.span)
                }
                IndexExpr::From(_, span) | IndexExpr::To(_, span) | IndexExpr::All(span) => {
                    self.fail(errors::not_a_size(*span, "a size"))
                }
            })
            .collect();
        sizes.into_iter().collect()
    }

    /// The instance whose items `scope` belongs to.
    pub(crate) fn owner_of(&self, scope: ScopeId) -> Option<InstanceId> {
        let mut at = Some(scope);
        while let Some(scope) = at {
            if let Some(space) = self.scopes[scope].space {
                return self.spaces[space].instance;
            }
            at = self.scopes[scope].parent;
        }
        None
    }

    /// Refuses items that a layer or a system cannot hold. Said once for each declaration.
    fn check_items(&mut self, template: Template<'a>) {
        let (noun, holds) = match template.is_system {
            false => ("layer", "`param`, `const`, `let`, `fn` and other layers"),
            true => ("system", "what moves and what it is made of"),
        };
        for item in &template.container.items {
            let head = crate::sema::errors::head(item.span, self.text(item.span));
            let fits = match &item.kind {
                ItemKind::Param(_) | ItemKind::Const(_) | ItemKind::Let(_) | ItemKind::Fn(_) => true,
                ItemKind::Layer(_) | ItemKind::System(_) | ItemKind::Error => true,
                ItemKind::State(_) | ItemKind::Algebraic(_) | ItemKind::Discrete(_) => template.is_system,
                ItemKind::Time { .. } | ItemKind::Channel { .. } | ItemKind::Equation { .. } => {
                    template.is_system
                }
                ItemKind::Noise { .. } | ItemKind::Control { .. } | ItemKind::Event(_) => template.is_system,
                ItemKind::Random { .. } => template.is_system,
                ItemKind::Settings { group, .. } => template.is_system && *group == ast::SettingsGroup::Solve,
                ItemKind::Use(_) | ItemKind::Input(_) | ItemKind::Output(_) | ItemKind::Data(_) => false,
                ItemKind::Loss { .. } | ItemKind::Metric { .. } | ItemKind::Likelihood { .. } => false,
                ItemKind::Plot { .. } | ItemKind::Export { .. } | ItemKind::Profile { .. } => false,
                ItemKind::Sweep { .. } | ItemKind::Ensemble { .. } => false,
            };
            if !fits {
                self.report(errors::not_in_a_container(head, noun, holds));
            }
        }
    }

    /// What a layer does when it is called.
    pub(crate) fn call_instance(
        &mut self,
        instance: InstanceId,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<Value<'a>> {
        let Instance { template, space, .. } = self.instances[instance].clone();
        if template.is_system {
            return self.run_system(instance, given, span, scope);
        }
        let name = &template.container.name;
        let mut nameless = template.container.items.iter().filter_map(|item| match &item.kind {
            ItemKind::Fn(function) if function.name.is_none() => Some(function),
            _ => None,
        });
        let Some(function) = nameless.next() else {
            return self.fail(errors::layer_without_fn(span, &name.name, name.span));
        };
        let home = self.spaces[space].home;
        if let Some(result) = &function.result {
            self.layer_calls.insert(span, (result, home));
        }
        self.inline(function, &name.name, home, given, span, scope)
    }

    /// `net.W`: an item of an instance.
    pub(crate) fn member(&mut self, instance: InstanceId, name: &ast::Ident) -> Option<Binding<'a>> {
        let Instance { template, space, .. } = self.instances[instance].clone();
        let container = &template.container.name;
        match self.within(space, |checker| checker.global(&name.name, name.span)) {
            Some(Binding::Value(def)) if self.defs[def].phase == crate::sema::typed::Phase::Time => {
                self.fail(errors::state_of_a_system(name.span, &container.name, &name.name))
            }
            Some(binding) => Some(binding),
            None => {
                let known: Vec<Arc<str>> = self.spaces[space].globals.names().cloned().collect();
                let known: Vec<&str> = known.iter().map(|name| &**name).collect();
                self.fail(errors::unknown_member(name.span, &container.name, &name.name, &known))
            }
        }
    }

    /// The name that a used file gives.
    pub(crate) fn given_by(
        &mut self,
        space: SpaceId,
        module: &str,
        name: &ast::Ident,
    ) -> Option<Binding<'a>> {
        match self.within(space, |checker| checker.global(&name.name, name.span)) {
            Some(binding) => Some(binding),
            None => {
                let known: Vec<Arc<str>> = self.spaces[space].globals.names().cloned().collect();
                let known: Vec<&str> = known.iter().map(|name| &**name).collect();
                self.fail(errors::not_in_the_module(name.span, module, &name.name, &known))
            }
        }
    }
}
