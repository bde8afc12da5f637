//! Expressions as MathML.

use super::escaped;
use crate::base::span::Sources;
use crate::syntax::ast::{Arg, BinaryOp, Expr, ExprKind, ForClause, IndexExpr, Pattern, UnaryOp};

/// `lhs relation rhs` as a formula of its own line.
pub fn formula(lhs: &Expr, relation: &str, rhs: &Expr, sources: &Sources) -> String {
    let math = Math { sources };
    let body = format!("{}<mo>{relation}</mo>{}", math.expr(lhs), math.value(rhs));
    format!("<math displaystyle=\"true\"><mrow>{body}</mrow></math>")
}

/// A name that is defined: `name′ = value`.
pub fn definition(name: &str, primes: usize, value: &Expr, sources: &Sources) -> String {
    let math = Math { sources };
    let body = format!("{}<mo>=</mo>{}", primed(&math.name(name), primes), math.value(value));
    format!("<math displaystyle=\"true\"><mrow>{body}</mrow></math>")
}

/// An expression within a line of text.
pub fn inline(expr: &Expr, sources: &Sources) -> String {
    format!("<math><mrow>{}</mrow></math>", Math { sources }.expr(expr))
}

/// A name within a line of text.
pub fn symbol(name: &str, primes: usize, sources: &Sources) -> String {
    format!("<math><mrow>{}</mrow></math>", primed(&Math { sources }.name(name), primes))
}

fn primed(base: &str, primes: usize) -> String {
    match primes {
        0 => base.to_string(),
        n => format!("<mrow>{base}<mi>{}</mi></mrow>", "′".repeat(n)),
    }
}

struct Math<'a> {
    sources: &'a Sources,
}

impl Math<'_> {
    fn text(&self, expr: &Expr) -> &str {
        self.sources.slice(expr.span)
    }

    fn source(&self, expr: &Expr) -> String {
        let text = self.text(expr).split_whitespace().collect::<Vec<_>>().join(" ");
        format!("<mtext>{}</mtext>", escaped(&text))
    }

    /// `alpha` as α, `x0` and `lambda_k` with an index.
    fn name(&self, name: &str) -> String {
        let digits = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let (base, index) = match name.split_once('_') {
            Some((base, index)) if !base.is_empty() && !index.is_empty() => (base, index),
            _ if !digits.is_empty() && digits.len() < name.len() => name.split_at(digits.len()),
            _ => (name, ""),
        };
        let letter = |part: &str| {
            let greek = GREEK.iter().find(|(word, _)| *word == part).map(|(_, letter)| *letter);
            format!("<mi>{}</mi>", greek.map_or_else(|| escaped(part), str::to_string))
        };
        if index.is_empty() {
            letter(base)
        } else {
            format!("<msub>{}{}</msub>", letter(base), letter(index))
        }
    }

    /// The right side of a formula: lists stand as columns.
    fn value(&self, expr: &Expr) -> String {
        match &expr.kind {
            ExprKind::Array(args) if (2..=12).contains(&args.len()) => self.matrix(args),
            _ => self.expr(expr),
        }
    }

    fn matrix(&self, args: &[Arg]) -> String {
        let rows: Vec<String> = args
            .iter()
            .map(|arg| match arg {
                Arg::Positional(Expr { kind: ExprKind::Array(entries), .. }) => {
                    entries.iter().map(|entry| format!("<mtd>{}</mtd>", self.arg(entry))).collect()
                }
                other => format!("<mtd>{}</mtd>", self.arg(other)),
            })
            .collect();
        let rows: String = rows.iter().map(|row| format!("<mtr>{row}</mtr>")).collect();
        format!("<mrow><mo>[</mo><mtable>{rows}</mtable><mo>]</mo></mrow>")
    }

    fn expr(&self, expr: &Expr) -> String {
        let row = |parts: &[String]| format!("<mrow>{}</mrow>", parts.concat());
        let op = |symbol: &str| format!("<mo>{symbol}</mo>");
        match &expr.kind {
            ExprKind::Int(_) | ExprKind::Float(_) => self.number(expr),
            ExprKind::Str(_) | ExprKind::Bool(_) | ExprKind::Error => self.source(expr),
            ExprKind::Name(name) => self.name(name),
            ExprKind::Paren(inner) => row(&[op("("), self.expr(inner), op(")")]),
            ExprKind::Tuple(args) => row(&[op("("), self.args(args), op(")")]),
            ExprKind::Array(args) => match args.first() {
                Some(Arg::Positional(Expr { kind: ExprKind::Array(_), .. })) => self.matrix(args),
                _ => row(&[op("["), self.args(args), op("]")]),
            },
            ExprKind::Unary(UnaryOp::Neg, of) => row(&[op("−"), self.expr(of)]),
            ExprKind::Unary(UnaryOp::Not, of) => row(&[op("¬"), self.expr(of)]),
            ExprKind::Binary { op: which, lhs, rhs, .. } => self.binary(*which, lhs, rhs),
            ExprKind::Call { callee, args } => self.call(callee, args),
            ExprKind::Index { base, indices } => {
                let index = |index: &IndexExpr| match index {
                    IndexExpr::At(at) => self.expr(at),
                    IndexExpr::From(from, _) => format!("{}<mo>…</mo>", self.expr(from)),
                    IndexExpr::To(to, _) => format!("<mo>…</mo>{}", self.expr(to)),
                    IndexExpr::All(_) => op("∶"),
                };
                let indices: Vec<String> = indices.iter().map(index).collect();
                format!("<msub>{}<mrow>{}</mrow></msub>", self.expr(base), indices.join("<mo>,</mo>"))
            }
            ExprKind::Field { base, name } if &*name.name == "T" => {
                format!("<msup>{}<mi mathvariant=\"normal\">T</mi></msup>", self.expr(base))
            }
            ExprKind::Field { base, name } => {
                row(&[self.expr(base), op("."), format!("<mi>{}</mi>", escaped(&name.name))])
            }
            ExprKind::Prime(_) => {
                let (mut base, mut primes) = (expr, 0);
                while let ExprKind::Prime(of) = &base.kind {
                    base = of;
                    primes += 1;
                }
                primed(&self.expr(base), primes)
            }
            ExprKind::Range(from, to) => row(&[self.expr(from), op("…"), self.expr(to)]),
            ExprKind::Lambda(pattern, body) => row(&[self.pattern(pattern), op("↦"), self.expr(body)]),
            ExprKind::If { condition, then, otherwise } => {
                let case = |value: &Expr, when: String| {
                    format!("<mtr><mtd>{}</mtd><mtd>{when}</mtd></mtr>", self.expr(value))
                };
                let first = case(then, format!("<mrow><mtext>if </mtext>{}</mrow>", self.expr(condition)));
                let second = case(otherwise, "<mtext>otherwise</mtext>".to_string());
                format!("<mrow><mo>{{</mo><mtable columnalign=\"left\">{first}{second}</mtable></mrow>")
            }
            ExprKind::Pipe(value, stage) => row(&[self.expr(value), op("▹"), self.expr(stage)]),
            ExprKind::Fold(_) => self.source(expr),
        }
    }

    /// `1e-6` as a power of ten.
    fn number(&self, expr: &Expr) -> String {
        let text = self.text(expr).replace('_', "\u{202f}");
        match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => {
                let exponent = exponent.trim_start_matches('+').replace('-', "−");
                let power = format!("<msup><mn>10</mn><mn>{exponent}</mn></msup>");
                if mantissa == "1" {
                    power
                } else {
                    format!("<mrow><mn>{mantissa}</mn><mo>⋅</mo>{power}</mrow>")
                }
            }
            None => format!("<mn>{text}</mn>"),
        }
    }

    fn binary(&self, op: BinaryOp, lhs: &Expr, rhs: &Expr) -> String {
        let symbol = match op {
            BinaryOp::Div => {
                let bare = |side: &Expr| self.expr(side.unparenthesised());
                return format!("<mfrac>{}{}</mfrac>", bare(lhs), bare(rhs));
            }
            BinaryOp::Pow => {
                return format!("<msup>{}{}</msup>", self.expr(lhs), self.expr(rhs.unparenthesised()));
            }
            BinaryOp::Mul => self.product_sign(lhs, rhs),
            BinaryOp::MatMul => "\u{2062}",
            BinaryOp::Add => "+",
            BinaryOp::Sub => "−",
            BinaryOp::Eq => "=",
            BinaryOp::Ne => "≠",
            BinaryOp::Lt => "&lt;",
            BinaryOp::Le => "≤",
            BinaryOp::Gt => "&gt;",
            BinaryOp::Ge => "≥",
            BinaryOp::And => "∧",
            BinaryOp::Or => "∨",
        };
        format!("<mrow>{}<mo>{symbol}</mo>{}</mrow>", self.expr(lhs), self.expr(rhs))
    }

    /// Nothing between single letters, a point where two words or numbers would run together.
    fn product_sign(&self, lhs: &Expr, rhs: &Expr) -> &'static str {
        let short = |expr: &Expr| match &expr.kind {
            ExprKind::Name(name) => {
                let base = name.trim_end_matches(|c: char| c.is_ascii_digit());
                base.chars().count() <= 1 || GREEK.iter().any(|(word, _)| *word == base)
            }
            ExprKind::Int(_) | ExprKind::Float(_) => false,
            _ => true,
        };
        let number_first = matches!(lhs.kind, ExprKind::Int(_) | ExprKind::Float(_)) && short(rhs);
        if number_first || (short(lhs) && short(rhs)) { "\u{2062}" } else { "⋅" }
    }

    fn call(&self, callee: &Expr, args: &[Arg]) -> String {
        let name = match &callee.kind {
            ExprKind::Name(name) => &**name,
            _ => "",
        };
        let plain = |at: usize| match args.get(at) {
            Some(Arg::Positional(value)) => Some(value),
            _ => None,
        };
        if let (Some(only), 1) = (plain(0), args.len()) {
            let inside = self.expr(only.unparenthesised());
            match name {
                "sqrt" => return format!("<msqrt>{inside}</msqrt>"),
                "abs" => return format!("<mrow><mo>|</mo>{inside}<mo>|</mo></mrow>"),
                "norm" => return format!("<mrow><mo>‖</mo>{inside}<mo>‖</mo></mrow>"),
                "sumsq" => {
                    return format!("<msup><mrow><mo>‖</mo>{inside}<mo>‖</mo></mrow><mn>2</mn></msup>");
                }
                "exp" => return format!("<msup><mi>e</mi>{inside}</msup>"),
                "div" => return format!("<mrow><mo>∇</mo><mo>⋅</mo>{inside}</mrow>"),
                _ => {}
            }
        }
        if let (Some(of), Some(by), 2) = (plain(0), plain(1), args.len()) {
            let (of, by) = (self.expr(of), self.expr(by));
            match name {
                "grad" => return format!("<mrow><msub><mo>∇</mo>{by}</msub>{of}</mrow>"),
                "div" => return format!("<mrow><msub><mo>∇</mo>{by}</msub><mo>⋅</mo>{of}</mrow>"),
                "jac" => {
                    return format!("<mfrac><mrow><mo>∂</mo>{of}</mrow><mrow><mo>∂</mo>{by}</mrow></mfrac>");
                }
                "laplacian" => return format!("<mrow><msub><mo>Δ</mo>{by}</msub>{of}</mrow>"),
                "dot" => return format!("<mrow><mo>⟨</mo>{of}<mo>,</mo>{by}<mo>⟩</mo></mrow>"),
                _ => {}
            }
        }
        if let (true, [Arg::Comprehension(value, clauses)]) = (name == "sum", args) {
            let under: Vec<String> = clauses.iter().map(|clause| self.clause(clause)).collect();
            return format!(
                "<mrow><munder><mo>∑</mo><mrow>{}</mrow></munder>{}</mrow>",
                under.join("<mo>,</mo>"),
                self.expr(value)
            );
        }
        format!("<mrow>{}<mo>\u{2061}</mo><mo>(</mo>{}<mo>)</mo></mrow>", self.expr(callee), self.args(args))
    }

    fn clause(&self, clause: &ForClause) -> String {
        format!("{}<mo>∈</mo>{}", self.pattern(&clause.pattern), self.expr(&clause.range))
    }

    fn args(&self, args: &[Arg]) -> String {
        args.iter().map(|arg| self.arg(arg)).collect::<Vec<_>>().join("<mo>,</mo>")
    }

    fn arg(&self, arg: &Arg) -> String {
        match arg {
            Arg::Positional(value) => self.expr(value),
            Arg::Named(name, value) => {
                format!("<mrow>{}<mo>=</mo>{}</mrow>", self.name(&name.name), self.expr(value))
            }
            Arg::Spread(of, _) => format!("<mrow><mo>…</mo>{}</mrow>", self.expr(of)),
            Arg::Comprehension(value, clauses) => {
                let clauses: Vec<String> = clauses.iter().map(|clause| self.clause(clause)).collect();
                format!("<mrow>{}<mo>:</mo>{}</mrow>", self.expr(value), clauses.join("<mo>,</mo>"))
            }
        }
    }

    fn pattern(&self, pattern: &Pattern) -> String {
        match pattern {
            Pattern::Name(name) => self.name(&name.name),
            Pattern::Tuple(parts, _) => {
                let parts: Vec<String> = parts.iter().map(|part| self.pattern(part)).collect();
                format!("<mrow><mo>(</mo>{}<mo>)</mo></mrow>", parts.join("<mo>,</mo>"))
            }
        }
    }
}

const GREEK: [(&str, &str); 34] = [
    ("alpha", "α"),
    ("beta", "β"),
    ("gamma", "γ"),
    ("delta", "δ"),
    ("epsilon", "ε"),
    ("eps", "ε"),
    ("zeta", "ζ"),
    ("eta", "η"),
    ("theta", "θ"),
    ("kappa", "κ"),
    ("lambda", "λ"),
    ("mu", "μ"),
    ("nu", "ν"),
    ("xi", "ξ"),
    ("pi", "π"),
    ("rho", "ρ"),
    ("sigma", "σ"),
    ("tau", "τ"),
    ("phi", "φ"),
    ("chi", "χ"),
    ("psi", "ψ"),
    ("omega", "ω"),
    ("Gamma", "Γ"),
    ("Delta", "Δ"),
    ("Theta", "Θ"),
    ("Lambda", "Λ"),
    ("Xi", "Ξ"),
    ("Pi", "Π"),
    ("Sigma", "Σ"),
    ("Phi", "Φ"),
    ("Psi", "Ψ"),
    ("Omega", "Ω"),
    ("iota", "ι"),
    ("upsilon", "υ"),
];
