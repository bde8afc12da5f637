//! The tree as text, for `nodec show --stage ast` and for comparing trees without their spans.
//!
//! One item a line, as nested lists: `(equation (prime x) (neg (* k x)))`.

use crate::syntax::ast::*;

/// The items of `file`, one a line.
pub fn print(file: &File) -> String {
    file.items.iter().map(|item| print_item(item) + "\n").collect()
}

/// `(head part part …)` without the empty parts.
fn list(head: &str, parts: impl IntoIterator<Item = String>) -> String {
    let mut out = format!("({head}");
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        out.push(' ');
        out.push_str(&part);
    }
    out.push(')');
    out
}

fn each<T>(of: &[T], print: impl Fn(&T) -> String) -> String {
    of.iter().map(print).collect::<Vec<_>>().join(" ")
}

fn maybe<T>(head: &str, of: Option<&T>, print: impl Fn(&T) -> String) -> String {
    of.map_or(String::new(), |inner| list(head, [print(inner)]))
}

fn name(ident: &Ident) -> String {
    ident.name.to_string()
}

fn string(literal: &StrLit) -> String {
    format!("{:?}", literal.value)
}

/// One item.
pub fn print_item(item: &Item) -> String {
    let docs = each(&item.docs, print_doc);
    let kind = print_kind(&item.kind);
    if docs.is_empty() { kind } else { format!("{docs} {kind}") }
}

fn print_doc(doc: &Doc) -> String {
    list("doc", [format!("{:?}", doc.text)])
}

fn print_kind(kind: &ItemKind) -> String {
    let ty = |ty: &Option<Box<Type>>| maybe("type", ty.as_deref(), print_type);
    let expr = print_expr;
    match kind {
        ItemKind::Use(Use::Module { path, names }) => {
            let names = maybe("names", names.as_ref(), |names| each(names, name));
            list("use", [print_path(path), names])
        }
        ItemKind::Use(Use::File { file, alias }) => {
            list("use", [string(file), maybe("as", alias.as_ref(), name)])
        }
        ItemKind::Const(decls) => list("const", [each(decls, print_decl)]),
        ItemKind::Input(decls) => list("input", [each(decls, print_decl)]),
        ItemKind::Output(decls) => list("output", [each(decls, print_decl)]),
        ItemKind::Param(decls) => list("param", [each(decls, print_param)]),
        ItemKind::State(unknowns) => list("state", [each(unknowns, print_unknown)]),
        ItemKind::Algebraic(unknowns) => list("algebraic", [each(unknowns, print_unknown)]),
        ItemKind::Discrete(unknowns) => list("discrete", [each(unknowns, print_unknown)]),
        ItemKind::Time { name: t, interval } => list("time", [name(t), expr(interval)]),
        ItemKind::Let(binding) => print_let(binding),
        ItemKind::Data(data) => {
            list("data", [name(&data.name), expr(&data.source), each(&data.fields, print_field)])
        }
        ItemKind::Random { name: n, ty: t, distribution } => {
            list("random", [name(n), ty(t), expr(distribution)])
        }
        ItemKind::Noise { name: n, ty: t, value } => list("noise", [name(n), ty(t), expr(value)]),
        ItemKind::Control { name: n, value } => list("control", [name(n), expr(value)]),
        ItemKind::Channel { name: n, ty: t, value } => list("channel", [name(n), ty(t), expr(value)]),
        ItemKind::Fn(function) => print_function(function),
        ItemKind::Layer(container) => print_container("layer", container),
        ItemKind::System(container) => print_container("system", container),
        ItemKind::Event(event) => {
            let head = match event.kind {
                EventKind::When => "when",
                EventKind::Every => "every",
                EventKind::At => "at",
            };
            list(head, [expr(&event.trigger), each(&event.body, print_jump)])
        }
        ItemKind::Loss { name: n, value } => list("loss", [maybe("name", n.as_ref(), name), expr(value)]),
        ItemKind::Metric { name: n, value } => list("metric", [maybe("name", n.as_ref(), name), expr(value)]),
        ItemKind::Plot { curves, versus } => {
            list("plot", [each(curves, expr), maybe("vs", versus.as_deref(), expr)])
        }
        ItemKind::Export { file, columns } => list("export", [string(file), each(columns, expr)]),
        ItemKind::Settings { group, entries } => {
            let head = match group {
                SettingsGroup::Solve => "solve",
                SettingsGroup::Train => "train",
                SettingsGroup::Run => "run",
            };
            list(head, [each(entries, print_entry)])
        }
        ItemKind::Profile { name: n, entries } => list("profile", [name(n), each(entries, print_entry)]),
        ItemKind::Sweep { target, values } => list("sweep", [expr(target), expr(values)]),
        ItemKind::Ensemble { count, draws } => list("ensemble", [expr(count), each(draws, print_draw)]),
        ItemKind::Equation { lhs, rhs } => list("equation", [expr(lhs), expr(rhs)]),
        ItemKind::Likelihood { data, distribution } => list("likelihood", [expr(data), expr(distribution)]),
        ItemKind::Error => "(error)".to_string(),
    }
}

fn print_path(path: &Path) -> String {
    path.parts.iter().map(name).collect::<Vec<_>>().join(".")
}

fn print_decl(decl: &Decl) -> String {
    list(
        &decl.name.name,
        [maybe("type", decl.ty.as_deref(), print_type), maybe("=", decl.value.as_deref(), print_expr)],
    )
}

fn print_param(decl: &ParamDecl) -> String {
    let parts = [
        maybe("type", decl.ty.as_deref(), print_type),
        maybe("in", decl.constraint.as_deref(), print_expr),
        maybe("=", decl.value.as_deref(), print_expr),
        maybe("~", decl.prior.as_deref(), print_expr),
    ];
    list(&decl.name.name, parts)
}

fn print_unknown(unknown: &Unknown) -> String {
    let head = format!("{}{}", unknown.name.name, "'".repeat(unknown.primes as usize));
    list(
        &head,
        [maybe("type", unknown.ty.as_deref(), print_type), maybe("=", unknown.value.as_deref(), print_expr)],
    )
}

fn print_let(binding: &Let) -> String {
    let ty = maybe("type", binding.ty.as_deref(), print_type);
    list("let", [print_pattern(&binding.pattern), ty, print_expr(&binding.value)])
}

fn print_field(field: &Field) -> String {
    let docs = each(&field.docs, print_doc);
    list(&field.name.name, [docs, print_type(&field.ty), maybe("=", field.value.as_deref(), print_expr)])
}

fn print_function(function: &Function) -> String {
    let parts = [
        function.name.as_ref().map_or(String::new(), name),
        generics(&function.generics),
        list("params", [each(&function.params, print_decl)]),
        maybe("->", function.result.as_deref(), print_type),
        if function.short { "=".to_string() } else { String::new() },
        print_block(&function.body),
    ];
    list("fn", parts)
}

fn generics(names: &[Ident]) -> String {
    if names.is_empty() { String::new() } else { format!("[{}]", each(names, name)) }
}

fn print_container(head: &str, container: &Container) -> String {
    let params = maybe("params", container.params.as_ref(), |params| each(params, print_decl));
    let items = each(&container.items, print_item);
    list(head, [name(&container.name), generics(&container.generics), params, items])
}

fn print_block(block: &Block) -> String {
    list("block", [each(&block.lets, print_let), print_expr(&block.value)])
}

fn print_jump(jump: &Jump) -> String {
    match jump {
        Jump::Assign { target, value } => list(":=", [print_expr(target), print_expr(value)]),
        Jump::Stop(_) => "(stop)".to_string(),
        Jump::Let(binding) => print_let(binding),
    }
}

fn print_entry(entry: &Entry) -> String {
    list(&print_path(&entry.path), [print_expr(&entry.value)])
}

fn print_draw(draw: &Draw) -> String {
    list("~", [print_expr(&draw.target), print_expr(&draw.distribution)])
}

fn print_pattern(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Name(ident) => name(ident),
        Pattern::Tuple(parts, _) => list("tuple", [each(parts, print_pattern)]),
    }
}

fn print_type(ty: &Type) -> String {
    match &ty.kind {
        TypeKind::Name(ident) => name(ident),
        TypeKind::Tensor { element, dims } => {
            list("tensor", [maybe("of", element.as_ref(), name), each(dims, print_dim)])
        }
        TypeKind::Fn { params, result } => {
            list("fn", [each(params, print_type), list("->", [print_type(result)])])
        }
        TypeKind::Record(fields) => list("record", [each(fields, |(n, ty)| list(&n.name, [print_type(ty)]))]),
    }
}

fn print_dim(dim: &DimExpr) -> String {
    let value = print_expr(&dim.value);
    if dim.ragged { list("?", [value]) } else { value }
}

/// One expression.
pub fn print_expr(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Int(value) => value.to_string(),
        ExprKind::Float(value) => format!("{value:?}"),
        ExprKind::Str(value) => format!("{value:?}"),
        ExprKind::Bool(value) => value.to_string(),
        ExprKind::Name(name) => name.to_string(),
        ExprKind::Paren(inner) => list("paren", [print_expr(inner)]),
        ExprKind::Tuple(args) => list("tuple", [each(args, print_arg)]),
        ExprKind::Array(args) => list("array", [each(args, print_arg)]),
        ExprKind::Unary(UnaryOp::Neg, operand) => list("neg", [print_expr(operand)]),
        ExprKind::Unary(UnaryOp::Not, operand) => list("not", [print_expr(operand)]),
        ExprKind::Binary { op, lhs, rhs, .. } => list(op.symbol(), [print_expr(lhs), print_expr(rhs)]),
        ExprKind::Call { callee, args } => list("call", [print_expr(callee), each(args, print_arg)]),
        ExprKind::Index { base, indices } => list("index", [print_expr(base), each(indices, print_index)]),
        ExprKind::Field { base, name } => list("field", [print_expr(base), name.name.to_string()]),
        ExprKind::Prime(of) => list("prime", [print_expr(of)]),
        ExprKind::Range(from, to) => list("..", [print_expr(from), print_expr(to)]),
        ExprKind::Pipe(value, stage) => list("|>", [print_expr(value), print_expr(stage)]),
        ExprKind::Lambda(pattern, body) => list("->", [print_pattern(pattern), print_expr(body)]),
        ExprKind::If { condition, then, otherwise } => {
            list("if", [condition, then, otherwise].map(|part| print_expr(part)))
        }
        ExprKind::Fold(fold) => print_fold(fold),
        ExprKind::Error => "(error)".to_string(),
    }
}

fn print_fold(fold: &Fold) -> String {
    let parts = [
        print_pattern(&fold.carried),
        print_expr(&fold.init),
        list("for", [print_pattern(&fold.variable), print_expr(&fold.range)]),
        print_block(&fold.body),
    ];
    list(if fold.scan { "scan" } else { "fold" }, parts)
}

fn print_arg(arg: &Arg) -> String {
    match arg {
        Arg::Positional(value) => print_expr(value),
        Arg::Named(name, value) => list("=", [name.name.to_string(), print_expr(value)]),
        Arg::Spread(of, _) => list("spread", [print_expr(of)]),
        Arg::Comprehension(value, clauses) => list("each", [print_expr(value), each(clauses, print_for)]),
    }
}

fn print_for(clause: &ForClause) -> String {
    let condition = maybe("if", clause.condition.as_deref(), print_expr);
    list("for", [print_pattern(&clause.pattern), print_expr(&clause.range), condition])
}

fn print_index(index: &IndexExpr) -> String {
    match index {
        IndexExpr::At(at) => print_expr(at),
        IndexExpr::From(from, _) => list("from", [print_expr(from)]),
        IndexExpr::To(to, _) => list("to", [print_expr(to)]),
        IndexExpr::All(_) => ":".to_string(),
    }
}
