//! Ways through the tree: what an expression is made of, and the expressions of an item.

use super::{Arg, Block, Expr, ExprKind, ForClause, IndexExpr, Item, ItemKind, Jump, Type, TypeKind, Use};

impl Expr {
    /// The expressions directly inside this one, in the order of the text.
    pub fn children(&self) -> Vec<&Expr> {
        match &self.kind {
            ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Str(_) | ExprKind::Bool(_) => Vec::new(),
            ExprKind::Name(_) | ExprKind::Error => Vec::new(),
            ExprKind::Paren(of) | ExprKind::Unary(_, of) | ExprKind::Prime(of) | ExprKind::Lambda(_, of) => {
                vec![of]
            }
            ExprKind::Field { base, name: _ } => vec![base],
            ExprKind::Tuple(args) | ExprKind::Array(args) => of_args(args),
            ExprKind::Binary { lhs, rhs, .. } | ExprKind::Range(lhs, rhs) | ExprKind::Pipe(lhs, rhs) => {
                vec![lhs, rhs]
            }
            ExprKind::Call { callee, args } => std::iter::once(&**callee).chain(of_args(args)).collect(),
            ExprKind::Index { base, indices } => {
                let indices = indices.iter().filter_map(|index| match index {
                    IndexExpr::At(at) | IndexExpr::From(at, _) | IndexExpr::To(at, _) => Some(at),
                    IndexExpr::All(_) => None,
                });
                std::iter::once(&**base).chain(indices).collect()
            }
            ExprKind::If { condition, then, otherwise } => vec![condition, then, otherwise],
            ExprKind::Fold(fold) => {
                let mut parts = vec![&fold.init, &fold.range];
                parts.extend(of_block(&fold.body));
                parts
            }
        }
    }

    /// Calls `visit` on this expression and everything inside it, outermost first.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        visit(self);
        for child in self.children() {
            child.walk(visit);
        }
    }
}

fn of_args(args: &[Arg]) -> Vec<&Expr> {
    let mut parts = Vec::new();
    for arg in args {
        match arg {
            Arg::Positional(value) | Arg::Named(_, value) | Arg::Spread(value, _) => parts.push(value),
            Arg::Comprehension(value, clauses) => {
                parts.push(value);
                parts.extend(clauses.iter().flat_map(of_clause));
            }
        }
    }
    parts
}

fn of_clause(clause: &ForClause) -> impl Iterator<Item = &Expr> {
    std::iter::once(&clause.range).chain(clause.condition.as_deref())
}

fn of_block(block: &Block) -> impl Iterator<Item = &Expr> {
    block.lets.iter().map(|binding| &*binding.value).chain(std::iter::once(&*block.value))
}

fn of_type(ty: &Type) -> Vec<&Expr> {
    match &ty.kind {
        TypeKind::Name(_) => Vec::new(),
        TypeKind::Tensor { element: _, dims } => dims.iter().map(|dim| &dim.value).collect(),
        TypeKind::Fn { params, result } => params.iter().chain([&**result]).flat_map(of_type).collect(),
        TypeKind::Record(fields) => fields.iter().flat_map(|(_, ty)| of_type(ty)).collect(),
    }
}

impl Item {
    /// The outermost expressions of the item, sizes in types included, in the order of the text;
    /// those of the items inside a layer or a system too.
    pub fn exprs(&self) -> Vec<&Expr> {
        let mut found: Vec<&Expr> = Vec::new();
        match &self.kind {
            ItemKind::Use(Use::Module { .. } | Use::File { .. }) | ItemKind::Error => {}
            ItemKind::Const(decls) | ItemKind::Input(decls) | ItemKind::Output(decls) => {
                for decl in decls {
                    found.extend(decl.ty.as_deref().into_iter().flat_map(of_type));
                    found.extend(decl.value.as_deref());
                }
            }
            ItemKind::Param(decls) => {
                for decl in decls {
                    found.extend(decl.ty.as_deref().into_iter().flat_map(of_type));
                    found.extend(
                        [&decl.constraint, &decl.value, &decl.prior].into_iter().flat_map(Option::as_deref),
                    );
                }
            }
            ItemKind::State(unknowns) | ItemKind::Algebraic(unknowns) | ItemKind::Discrete(unknowns) => {
                for unknown in unknowns {
                    found.extend(unknown.ty.as_deref().into_iter().flat_map(of_type));
                    found.extend(unknown.value.as_deref());
                }
            }
            ItemKind::Time { name: _, interval } => found.push(interval),
            ItemKind::Let(binding) => {
                found.extend(binding.ty.as_deref().into_iter().flat_map(of_type));
                found.push(&binding.value);
            }
            ItemKind::Data(data) => {
                found.push(&data.source);
                for field in &data.fields {
                    found.extend(of_type(&field.ty));
                    found.extend(field.value.as_deref());
                }
            }
            ItemKind::Random { name: _, ty, distribution: value }
            | ItemKind::Noise { name: _, ty, value }
            | ItemKind::Channel { name: _, ty, value } => {
                found.extend(ty.as_deref().into_iter().flat_map(of_type));
                found.push(value);
            }
            ItemKind::Control { name: _, value }
            | ItemKind::Loss { name: _, value }
            | ItemKind::Metric { name: _, value } => found.push(value),
            ItemKind::Fn(function) => {
                for param in &function.params {
                    found.extend(param.ty.as_deref().into_iter().flat_map(of_type));
                    found.extend(param.value.as_deref());
                }
                found.extend(function.result.as_deref().into_iter().flat_map(of_type));
                found.extend(of_block(&function.body));
            }
            ItemKind::Layer(container) | ItemKind::System(container) => {
                for param in container.params.iter().flatten() {
                    found.extend(param.ty.as_deref().into_iter().flat_map(of_type));
                    found.extend(param.value.as_deref());
                }
                found.extend(container.items.iter().flat_map(Item::exprs));
            }
            ItemKind::Event(event) => {
                found.push(&event.trigger);
                for jump in &event.body {
                    match jump {
                        Jump::Assign { target, value } => found.extend([&**target, &**value]),
                        Jump::Stop(_) => {}
                        Jump::Let(binding) => found.push(&binding.value),
                    }
                }
            }
            ItemKind::Plot { curves, versus } => found.extend(curves.iter().chain(versus.as_deref())),
            ItemKind::Export { file: _, columns } => found.extend(columns),
            ItemKind::Settings { group: _, entries } | ItemKind::Profile { name: _, entries } => {
                found.extend(entries.iter().map(|entry| &*entry.value));
            }
            ItemKind::Sweep { target, values } => found.extend([&**target, &**values]),
            ItemKind::Ensemble { count, draws } => {
                found.push(count);
                found.extend(draws.iter().flat_map(|draw| [&*draw.target, &*draw.distribution]));
            }
            ItemKind::Equation { lhs, rhs } => found.extend([&**lhs, &**rhs]),
            ItemKind::Likelihood { data, distribution } => found.extend([&**data, &**distribution]),
        }
        found
    }

    /// The names that the item declares in its space; a layer or a system declares its own.
    pub fn declares(&self) -> Vec<&super::Ident> {
        match &self.kind {
            ItemKind::Const(decls) | ItemKind::Input(decls) | ItemKind::Output(decls) => {
                decls.iter().map(|decl| &decl.name).collect()
            }
            ItemKind::Param(decls) => decls.iter().map(|decl| &decl.name).collect(),
            ItemKind::State(unknowns) | ItemKind::Algebraic(unknowns) | ItemKind::Discrete(unknowns) => {
                unknowns.iter().filter(|unknown| unknown.primes == 0).map(|unknown| &unknown.name).collect()
            }
            ItemKind::Time { name, .. }
            | ItemKind::Random { name, .. }
            | ItemKind::Noise { name, .. }
            | ItemKind::Control { name, .. }
            | ItemKind::Channel { name, .. } => vec![name],
            ItemKind::Let(binding) => binding.pattern.names(),
            ItemKind::Data(data) => vec![&data.name],
            ItemKind::Fn(function) => function.name.iter().collect(),
            ItemKind::Layer(container) | ItemKind::System(container) => vec![&container.name],
            ItemKind::Loss { name, .. } | ItemKind::Metric { name, .. } => name.iter().collect(),
            ItemKind::Use(Use::Module { path: _, names }) => names.iter().flatten().collect(),
            ItemKind::Use(Use::File { file: _, alias }) => alias.iter().collect(),
            ItemKind::Event(_)
            | ItemKind::Plot { .. }
            | ItemKind::Export { .. }
            | ItemKind::Settings { .. }
            | ItemKind::Profile { .. }
            | ItemKind::Sweep { .. }
            | ItemKind::Ensemble { .. }
            | ItemKind::Equation { .. }
            | ItemKind::Likelihood { .. }
            | ItemKind::Error => Vec::new(),
        }
    }
}

impl super::Pattern {
    /// The names it binds, in the order of the text.
    pub fn names(&self) -> Vec<&super::Ident> {
        match self {
            super::Pattern::Name(name) => vec![name],
            super::Pattern::Tuple(parts, _) => parts.iter().flat_map(super::Pattern::names).collect(),
        }
    }
}
