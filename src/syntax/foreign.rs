//! What other languages write differently: from a place where the grammar cannot go on to the
//! message that translates.
//!
//! Works on the tokens of one line. Each method knows one habit and gives its message only where
//! the line can hardly mean anything else; `syntax::hints` has the rest.

use crate::base::span::Span;
use crate::diag::{Diagnostic, Edit};
use crate::syntax::errors::foreign;
use crate::syntax::hints::Mishap;
use crate::syntax::token::{HARD_KEYWORDS, Lexeme, Token};

/// Words that head a function elsewhere.
const FUNCTION_WORDS: [&str; 7] = ["def", "function", "func", "fun", "defun", "subroutine", "proc"];
/// Types that head a declaration elsewhere.
const TYPES: [&str; 14] = [
    "float", "double", "int", "real", "Real", "Integer", "integer", "bool", "auto", "f64", "f32", "vector",
    "matrix", "complex",
];
/// Words that take in a module elsewhere.
const IMPORTS: [&str; 6] = ["import", "from", "using", "library", "require", "include"];
/// Modules whose functions are part of the language.
const LIBRARIES: [&str; 14] = [
    "numpy",
    "np",
    "scipy",
    "math",
    "cmath",
    "torch",
    "jax",
    "sympy",
    "matplotlib",
    "deSolve",
    "diffrax",
    "DifferentialEquations",
    "OrdinaryDiffEq",
    "ModelingToolkit",
];
/// Functions that solve elsewhere.
const SOLVERS: [&str; 12] = [
    "solve_ivp",
    "odeint",
    "ode45",
    "ode15s",
    "ode23",
    "ode23s",
    "NDSolve",
    "DSolve",
    "dsolve",
    "lsode",
    "ODEProblem",
    "diffeqsolve",
];
/// Headings of sections, Stan's and Modelica's first.
const SECTIONS: [&str; 13] = [
    "parameters",
    "data",
    "model",
    "functions",
    "equation",
    "equations",
    "algorithm",
    "begin",
    "variables",
    "initial",
    "public",
    "protected",
    "transformed",
];
/// Words that put a whole model into a block elsewhere.
const MODELS: [&str; 5] = ["model", "program", "module", "class", "package"];
/// Words that end a block elsewhere.
const ENDS: [&str; 6] = ["end", "endfunction", "endif", "endfor", "fi", "done"];
/// Functions that show something elsewhere.
const PRINTS: [&str; 7] = ["print", "println", "printf", "disp", "display", "show", "cat"];
/// Units that are hardly ever names, and those that are only after a blank.
const UNITS: [&str; 25] = [
    "ms", "us", "sec", "seconds", "min", "minutes", "hours", "hr", "days", "years", "mm", "cm", "km", "kg",
    "mg", "mV", "mA", "nA", "pA", "Hz", "kHz", "mol", "mM", "uM", "deg",
];
const SHORT_UNITS: [&str; 12] = ["s", "h", "d", "m", "g", "V", "A", "N", "J", "W", "K", "L"];

/// The message for a habit from another language, if the mishap is one.
pub fn explain(mishap: &Mishap) -> Option<Diagnostic> {
    let line = &mishap.line[mishap.line.iter().take_while(|l| l.token == Token::Doc).count()..];
    let found = mishap.tokens.get(mishap.at);
    let at = found.and_then(|found| line.iter().position(|l| l == found)).unwrap_or(line.len());
    let line = Line { mishap, line, at };
    None.or_else(|| line.solver_call())
        .or_else(|| line.import())
        .or_else(|| line.function_word())
        .or_else(|| line.lambda())
        .or_else(|| line.matlab_function())
        .or_else(|| line.elementwise())
        .or_else(|| line.update())
        .or_else(|| line.not_equal())
        .or_else(|| line.definition())
        .or_else(|| line.list_entries())
        .or_else(|| line.brace_list())
        .or_else(|| line.section())
        .or_else(|| line.statement())
        .or_else(|| line.upper_case())
        .or_else(|| line.if_statement())
        .or_else(|| line.question_mark())
        .or_else(|| line.python_choice())
        .or_else(|| line.elif())
        .or_else(|| line.declaration())
        .or_else(|| line.punctuation())
        .or_else(|| line.unit())
}

/// Whether `text` heads a block that goes on over the lines below, which then need no message.
pub fn heads_block(text: &str) -> bool {
    FUNCTION_WORDS.contains(&text) || matches!(text, "while" | "for" | "if" | "class")
}

/// Whether `text` goes on with such a block, or ends it.
pub fn ends_block(text: &str) -> bool {
    ENDS.contains(&text) || matches!(text, "else" | "elif" | "elseif")
}

struct Line<'a> {
    mishap: &'a Mishap<'a>,
    /// Its tokens, docs excluded.
    line: &'a [Lexeme],
    /// The token that does not fit; the number of tokens for the end.
    at: usize,
}

impl Line<'_> {
    fn token(&self, at: usize) -> Option<Token> {
        self.line.get(at).map(|l| l.token)
    }

    fn text(&self, at: usize) -> &str {
        self.line.get(at).map_or("", |l| l.slice(self.mishap.text))
    }

    /// From the token at `from` to that at `to`, both included.
    fn span(&self, from: usize, to: usize) -> Span {
        Span::new(self.mishap.source, self.line[from].lo, self.line[to].hi)
    }

    /// Between two tokens that follow each other.
    fn gap(&self, after: usize) -> Span {
        Span::new(self.mishap.source, self.line[after].hi, self.line[after + 1].lo)
    }

    fn replaced(&self, from: usize, to: usize, text: impl Into<String>) -> Edit {
        Edit { span: self.span(from, to), text: text.into() }
    }

    /// From the token at `from` up to where the next begins.
    fn removed(&self, from: usize) -> Edit {
        let hi = self.line.get(from + 1).map_or(self.line[from].hi, |next| next.lo);
        Edit { span: Span::new(self.mishap.source, self.line[from].lo, hi), text: String::new() }
    }

    fn inserted(&self, at: usize, text: impl Into<String>) -> Edit {
        Edit { span: Span::new(self.mishap.source, at, at), text: text.into() }
    }

    /// Whether no blank stands between the token at `at` and the next.
    fn glued(&self, at: usize) -> bool {
        matches!((self.line.get(at), self.line.get(at + 1)), (Some(a), Some(b)) if a.hi == b.lo)
    }

    fn heads(&self, words: &[&str]) -> bool {
        self.token(0) == Some(Token::Ident) && words.contains(&self.text(0))
    }

    /// Positions of the tokens outside all brackets of the line.
    fn shallow(&self) -> Vec<usize> {
        let mut depth = 0usize;
        let mut found = Vec::new();
        for (at, lexeme) in self.line.iter().enumerate() {
            if lexeme.token.is_closer() {
                depth = depth.saturating_sub(1);
            } else if lexeme.token.closer().is_some() {
                depth += 1;
            } else if depth == 0 {
                found.push(at);
            }
        }
        found
    }

    /// The closer of the bracket at `open`.
    fn closer(&self, open: usize) -> Option<usize> {
        let mut depth = 0usize;
        for (at, lexeme) in self.line.iter().enumerate().skip(open) {
            if lexeme.token.closer().is_some() {
                depth += 1;
            } else if lexeme.token.is_closer() {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
        }
        None
    }

    /// The innermost bracket open before `at`.
    fn opener(&self, at: usize) -> Option<usize> {
        let mut depth = 0usize;
        for (i, lexeme) in self.line[..at].iter().enumerate().rev() {
            if lexeme.token.is_closer() {
                depth += 1;
            } else if lexeme.token.closer().is_some() {
                match depth.checked_sub(1) {
                    Some(less) => depth = less,
                    None => return Some(i),
                }
            }
        }
        None
    }

    fn in_event(&self) -> bool {
        let inside = self.mishap.tokens.len() > self.mishap.line.len();
        let event = |l: &Lexeme| matches!(l.token, Token::When | Token::Every | Token::AtTimes);
        inside && self.mishap.tokens[..self.mishap.at].iter().any(event)
    }

    fn solver_call(&self) -> Option<Diagnostic> {
        let called = |at: usize| matches!(self.token(at + 1), Some(Token::LParen | Token::LBracket));
        let at = (0..self.line.len()).find(|at| SOLVERS.contains(&self.text(*at)) && called(*at))?;
        Some(foreign::solver_call(self.span(at, at), self.text(at)))
    }

    fn import(&self) -> Option<Diagnostic> {
        if !self.heads(&IMPORTS) || self.line.len() < 2 || self.token(1) == Some(Token::Eq) {
            return None;
        }
        let library = (1..self.line.len()).any(|at| LIBRARIES.contains(&self.text(at)));
        Some(foreign::import(self.span(0, 0), self.span(0, self.line.len() - 1), library))
    }

    fn function_word(&self) -> Option<Diagnostic> {
        if let Some(at) = (1..self.line.len()).find(|at| self.text(*at) == "function")
            && self.token(at + 1) == Some(Token::LParen)
        {
            return Some(foreign::function_word(self.span(at, at), "function", self.text(0), Vec::new()));
        }
        if !self.heads(&FUNCTION_WORDS) || self.token(1) != Some(Token::Ident) {
            return None;
        }
        // `function dx = f(x)` names the result first.
        let name = if self.token(2) == Some(Token::Eq) { 3 } else { 1 };
        let body = self.shallow().into_iter().find(|at| self.token(*at) == Some(Token::Colon));
        let edits = match body {
            Some(colon) if name == 1 && self.line.len() > colon + 1 => {
                let last = if self.text(colon + 1) == "return" { colon + 1 } else { colon };
                vec![self.replaced(0, 0, "fn"), self.replaced(colon, last, " =")]
            }
            _ => Vec::new(),
        };
        Some(foreign::function_word(self.span(0, 0), self.text(0), self.text(name), edits))
    }

    fn lambda(&self) -> Option<Diagnostic> {
        let at = (0..self.line.len()).find(|at| self.text(*at) == "lambda")?;
        let colon = (at + 1..self.line.len()).find(|i| self.token(*i) == Some(Token::Colon))?;
        let named = at == 2 && self.token(1) == Some(Token::Eq);
        let edits = if named {
            vec![self.replaced(0, 2, format!("fn {}", self.text(0))), self.replaced(colon, colon, ") =")]
        } else {
            vec![self.removed(at), self.replaced(colon, colon, " ->")]
        };
        let edits = match named {
            // The blank after `lambda` becomes the bracket of the parameters.
            true => {
                let first = self.replaced(0, 2, format!("fn {}(", self.text(0)));
                let first = Edit { span: first.span.to(self.gap(at)), ..first };
                vec![first, edits[1].clone()]
            }
            false => edits,
        };
        Some(foreign::anonymous_function(self.span(at, at), "lambda", named, edits))
    }

    /// `@(x) e`
    fn matlab_function(&self) -> Option<Diagnostic> {
        let at = self.at;
        if self.token(at) != Some(Token::At) || self.token(at + 1) != Some(Token::LParen) {
            return None;
        }
        let close = self.closer(at + 1)?;
        let named = at == 2 && self.token(1) == Some(Token::Eq);
        let after = |text: &str| self.inserted(self.line[close].hi, text);
        let edits = if named {
            vec![self.replaced(0, 2, format!("fn {}", self.text(0))), after(" =")]
        } else {
            vec![self.replaced(at, at, ""), after(" ->")]
        };
        Some(foreign::anonymous_function(self.span(at, at), "@", named, edits))
    }

    /// `x .* y` and `@. x*y`
    fn elementwise(&self) -> Option<Diagnostic> {
        if self.token(self.at) == Some(Token::At) && self.token(self.at + 1) == Some(Token::Dot) {
            let removed = self.removed(self.at + 1).span;
            let edit = Edit { span: self.span(self.at, self.at).to(removed), text: String::new() };
            return Some(foreign::elementwise(self.span(self.at, self.at + 1), "@.", vec![edit]));
        }
        let dotted = |at: usize| {
            let operator = self
                .token(at + 1)
                .is_some_and(|token| token.is_infix() && !matches!(token, Token::Dot | Token::DotDot));
            self.token(at) == Some(Token::Dot) && operator && self.glued(at)
        };
        let dot = self.at.checked_sub(1).filter(|at| dotted(*at))?;
        let edits = (0..self.line.len()).filter(|at| dotted(*at)).map(|at| self.replaced(at, at, ""));
        let text = format!(".{}", self.text(dot + 1));
        Some(foreign::elementwise(self.span(dot, dot + 1), &text, edits.collect()))
    }

    /// `x += 1`, `x++`
    fn update(&self) -> Option<Diagnostic> {
        let operator = |at: usize| {
            matches!(
                self.token(at),
                Some(Token::Plus | Token::Minus | Token::Star | Token::Slash | Token::Caret)
            )
        };
        let last = self.at.checked_sub(1)?;
        let assigns = self.token(self.at) == Some(Token::Eq) && operator(last) && self.glued(last);
        let doubled =
            |first: usize| operator(first) && self.token(first) == self.token(first + 1) && self.glued(first);
        let ends = |at: usize| at + 1 >= self.line.len();
        let first = if assigns {
            last
        } else if doubled(last) && ends(self.at) {
            last
        } else if self.at == self.line.len() && last > 0 && doubled(last - 1) {
            last - 1
        } else {
            return None;
        };
        let target = self.line.get(..first).filter(|target| !target.is_empty())?;
        let target = &self.mishap.text[target[0].lo..target[target.len() - 1].hi];
        let sign = self.text(first);
        let change = if assigns && first + 2 < self.line.len() {
            let (lo, hi) = (self.line[first + 2].lo, self.line[self.line.len() - 1].hi);
            self.mishap.text[lo..hi].to_string()
        } else {
            "1".to_string()
        };
        let line = self.replaced(0, self.line.len() - 1, format!("{target} := {target} {sign} {change}"));
        let span = self.span(first, first + 1);
        Some(foreign::update(span, &format!("{sign}{}", self.text(first + 1)), target, self.in_event(), line))
    }

    fn not_equal(&self) -> Option<Diagnostic> {
        let pair = |first: usize| match (self.token(first)?, self.token(first + 1)?) {
            (Token::Tilde, Token::Eq | Token::EqEq) | (Token::Lt, Token::Gt) if self.glued(first) => {
                Some(first)
            }
            _ => None,
        };
        let first = pair(self.at).or_else(|| pair(self.at.checked_sub(1)?))?;
        let text = format!("{}{}", self.text(first), self.text(first + 1));
        Some(foreign::not_equal(self.span(first, first + 1), &text))
    }

    /// `x' == e`, `x <- e`, `x' := e`
    fn definition(&self) -> Option<Diagnostic> {
        if self.token(self.at) == Some(Token::Becomes) && !self.in_event() {
            let edits = vec![self.replaced(self.at, self.at, "=")];
            return Some(foreign::definition(self.span(self.at, self.at), ":=", edits));
        }
        let complete = self.at == self.line.len() || self.token(self.at) == Some(Token::Semi);
        if !complete || !self.mishap.fits("~") || !self.mishap.fits("=") {
            return None;
        }
        let shallow = self.shallow();
        let equal = shallow.iter().find(|at| self.token(**at) == Some(Token::EqEq));
        if let Some(equal) = equal {
            let mut edits = vec![self.replaced(*equal, *equal, "=")];
            edits.extend(self.arguments_in_brackets());
            return Some(foreign::definition(self.span(*equal, *equal), "==", edits));
        }
        let arrow = |at: &&usize| {
            self.token(**at) == Some(Token::Lt)
                && self.token(**at + 1) == Some(Token::Minus)
                && self.glued(**at)
        };
        let arrow = *shallow.iter().find(arrow)?;
        let edits = vec![self.replaced(arrow, arrow + 1, "=")];
        Some(foreign::definition(self.span(arrow, arrow + 1), "<-", edits))
    }

    /// The `[t]` of Mathematica's `x'[t]` and `x[t]`, taken out, if the line has a primed one.
    fn arguments_in_brackets(&self) -> Vec<Edit> {
        let argument = |at: usize| {
            self.token(at) == Some(Token::LBracket)
                && self.token(at + 1) == Some(Token::Ident)
                && self.token(at + 2) == Some(Token::RBracket)
        };
        let primed =
            (1..self.line.len()).find(|at| self.token(at - 1) == Some(Token::Prime) && argument(*at));
        let Some(primed) = primed else { return Vec::new() };
        let variable = self.text(primed + 1);
        let all = (1..self.line.len()).filter(|at| argument(*at) && self.text(at + 1) == variable);
        all.map(|at| self.replaced(at, at + 2, "")).collect()
    }

    /// `[1 2; 3 4]`
    fn list_entries(&self) -> Option<Diagnostic> {
        let open = self.opener(self.at)?;
        let indexes =
            open > 0 && self.token(open - 1).is_some_and(Token::ends_operand) && self.glued(open - 1);
        if self.token(open) != Some(Token::LBracket) || indexes {
            return None;
        }
        let close = self.closer(open)?;
        let mut depth = 0usize;
        let (mut edits, mut rows) = (Vec::new(), false);
        for at in open + 1..close {
            let token = self.line[at].token;
            if token.is_closer() {
                depth = depth.saturating_sub(1);
            }
            let starts = matches!(
                self.token(at + 1),
                Some(
                    Token::Int | Token::Float | Token::Ident | Token::LParen | Token::LBracket | Token::True
                )
            );
            if depth == 0 && token == Token::Semi {
                rows = true;
                edits.push(Edit { span: self.span(at, at), text: "],".to_string() });
                if let Some(next) = self.line.get(at + 1).filter(|_| at + 1 < close) {
                    edits.push(self.inserted(next.lo, "["));
                }
            } else if depth == 0 && token.ends_operand() && starts && at + 1 < close && !self.glued(at) {
                edits.push(Edit { span: self.gap(at), text: ", ".to_string() });
            }
            if token.closer().is_some() {
                depth += 1;
            }
        }
        if edits.is_empty() {
            return None;
        }
        if rows {
            edits.insert(0, self.inserted(self.line[open].hi, "["));
            edits.push(self.inserted(self.line[close].lo, "]"));
            return Some(foreign::list_entries(self.span(open, close), true, edits));
        }
        let gap = edits[0].span;
        Some(foreign::list_entries(gap, false, edits))
    }

    fn brace_list(&self) -> Option<Diagnostic> {
        if self.token(self.at) != Some(Token::LBrace) || !self.mishap.fits("int") {
            return None;
        }
        let close = self.closer(self.at).map(|close| self.span(close, close));
        Some(foreign::brace_list(self.span(self.at, self.at), close))
    }

    /// `parameters { … }`, `equation`, `end`, `model Decay`
    fn section(&self) -> Option<Diagnostic> {
        let alone = self.line.len() == 1;
        let braced = self.token(self.line.len().min(2) - 1) == Some(Token::LBrace)
            || self.token(2) == Some(Token::LBrace);
        if self.heads(&SECTIONS) && (alone || (braced && self.at <= 2)) {
            return Some(foreign::section(self.span(0, 0), self.text(0), self.stan_parameters()));
        }
        if self.heads(&MODELS) && self.token(1) == Some(Token::Ident) {
            return Some(foreign::whole_model(self.span(0, 1), self.text(0)));
        }
        let short = self.line.len() <= 2 && self.token(1).is_none_or(|token| token == Token::Ident);
        (self.heads(&ENDS) && short)
            .then(|| foreign::end_line(self.span(0, self.line.len() - 1), self.text(0)))
    }

    /// `parameters { real<lower=0> k; }` as `param` items, if that is all it says.
    fn stan_parameters(&self) -> Option<Edit> {
        if self.text(0) != "parameters" || self.token(1) != Some(Token::LBrace) {
            return None;
        }
        let inside = &self.line[2..self.closer(1)?];
        let mut items = Vec::new();
        for declaration in inside.split(|l| l.token == Token::Semi).filter(|part| !part.is_empty()) {
            let texts: Vec<&str> = declaration.iter().map(|l| l.slice(self.mishap.text)).collect();
            items.push(match texts[..] {
                ["real", name] => format!("param {name}"),
                ["real", "<", "lower", "=", "0", ">", name] => format!("param {name} in positive"),
                ["real", "<", "lower", "=", "0", ",", "upper", "=", "1", ">", name] => {
                    format!("param {name} in unit")
                }
                ["real", "<", "lower", "=", lo, ",", "upper", "=", hi, ">", name] => {
                    format!("param {name} in interval({lo}, {hi})")
                }
                ["vector", "[", n, "]", name] => format!("param {name}: [{n}]"),
                _ => return None,
            });
        }
        Some(self.replaced(0, self.closer(1)?, items.join("\n")))
    }

    /// Lines that do something: loops, `print(x)`, `return e`.
    fn statement(&self) -> Option<Diagnostic> {
        let loops = self.token(0) == Some(Token::For) || self.heads(&["while", "repeat", "loop", "do"]);
        if loops && self.mishap.tokens.len() == self.mishap.line.len() && self.token(1) != Some(Token::Eq) {
            return Some(foreign::loop_statement(self.span(0, 0), self.text(0)));
        }
        if self.heads(&PRINTS) && self.token(1) == Some(Token::LParen) && self.at >= self.line.len() {
            return Some(foreign::print_call(self.span(0, 0), self.text(0)));
        }
        let word = (0..self.line.len()).find(|at| self.text(*at) == "return")?;
        Some(foreign::return_word(self.span(word, word), self.removed(word).span))
    }

    fn upper_case(&self) -> Option<Diagnostic> {
        let lower = |at: usize| {
            let text = self.text(at);
            let lower = text.to_lowercase();
            let known = HARD_KEYWORDS.iter().any(|(spelling, _)| *spelling == lower);
            (known && self.token(at) == Some(Token::Ident) && text.len() > 1 && text == text.to_uppercase())
                .then_some(lower)
        };
        let words: Vec<(usize, String)> =
            (0..self.line.len()).filter_map(|at| Some((at, lower(at)?))).collect();
        let first = words.first()?.0;
        let edits = words.into_iter().map(|(at, lower)| self.replaced(at, at, lower)).collect();
        Some(foreign::upper_case(self.span(first, first), edits))
    }

    fn if_statement(&self) -> Option<Diagnostic> {
        let found = self.token(self.at);
        let breaks = matches!(found, None | Some(Token::LBrace | Token::Colon | Token::Semi));
        if self.token(0) != Some(Token::If) || !breaks || !self.mishap.fits("then") {
            return None;
        }
        let at = self.at.min(self.line.len() - 1);
        let place = match found {
            Some(_) => self.span(at, at),
            None => Span::new(self.mishap.source, self.line[at].hi, self.line[at].hi),
        };
        Some(foreign::if_statement(self.span(0, 0), place))
    }

    /// Where the value begins in which the token at `at` stands.
    fn value_start(&self, at: usize) -> usize {
        let mut depth = 0usize;
        for i in (0..at).rev() {
            let token = self.line[i].token;
            if token.is_closer() {
                depth += 1;
            } else if token.closer().is_some() {
                match depth.checked_sub(1) {
                    Some(less) => depth = less,
                    None => return i + 1,
                }
            } else if depth == 0
                && matches!(token, Token::Eq | Token::Comma | Token::Tilde | Token::Semi | Token::Arrow)
            {
                return i + 1;
            }
        }
        0
    }

    /// `c ? a : b`
    fn question_mark(&self) -> Option<Diagnostic> {
        if self.token(self.at) != Some(Token::Question) {
            return None;
        }
        let colon = (self.at + 1..self.line.len()).find(|at| self.token(*at) == Some(Token::Colon));
        let edits = colon.map_or(Vec::new(), |colon| {
            vec![
                self.inserted(self.line[self.value_start(self.at)].lo, "if "),
                self.replaced(self.at, self.at, "then"),
                self.replaced(colon, colon, "else"),
            ]
        });
        Some(foreign::choice(self.span(self.at, self.at), "?", edits))
    }

    /// `a if c else b`
    fn python_choice(&self) -> Option<Diagnostic> {
        let at = self.at;
        let after_value = at > 0 && self.token(at - 1).is_some_and(Token::ends_operand);
        if self.token(at) != Some(Token::If) || !after_value {
            return None;
        }
        let otherwise = (at + 1..self.line.len()).find(|i| self.token(*i) == Some(Token::Else))?;
        let condition = &self.mishap.text[self.line[at + 1].lo..self.line[otherwise - 1].hi];
        let start = self.value_start(at);
        let edits = vec![
            self.inserted(self.line[start].lo, format!("if {condition} then ")),
            Edit { span: self.gap(at - 1).to(self.span(at, otherwise - 1)), text: String::new() },
        ];
        Some(foreign::choice(self.span(at, at), "a if c", edits))
    }

    fn elif(&self) -> Option<Diagnostic> {
        let is_elif = |at: &usize| matches!(self.text(*at), "elif" | "elseif" | "elsif");
        let at = [Some(self.at), self.at.checked_sub(1)].into_iter().flatten().find(is_elif)?;
        Some(foreign::choice(self.span(at, at), self.text(at), vec![self.replaced(at, at, "else if")]))
    }

    /// `float x = 1`, `let mut x = 1`, `x: real = 1`
    fn declaration(&self) -> Option<Diagnostic> {
        if self.heads(&TYPES) && self.at <= 2 && self.line.len() > 1 {
            let name = (1..self.line.len()).rfind(|at| self.token(*at) == Some(Token::Ident));
            let named = self.token(1) == Some(Token::Ident);
            let name = if named { 1 } else { name? };
            let has_value = named && self.token(2) == Some(Token::Eq);
            return Some(foreign::declared_by_type(
                self.span(0, 0),
                self.text(0),
                self.text(name),
                has_value,
            ));
        }
        if self.token(0) == Some(Token::Let) && self.text(1) == "mut" && self.at == 2 {
            return Some(foreign::mutable(self.span(1, 1), self.removed(1).span));
        }
        let typed =
            self.token(0) == Some(Token::Ident) && self.token(1) == Some(Token::Colon) && self.at == 1;
        let defined = self.shallow().into_iter().any(|at| self.token(at) == Some(Token::Eq));
        (typed && defined).then(|| foreign::undeclared_with_type(self.span(0, 0), self.text(0)))
    }

    /// `time t = 0..10`, `0:10`, `x' = a, y' = b`, `+x`
    fn punctuation(&self) -> Option<Diagnostic> {
        let at = self.at;
        let here = || self.span(at, at);
        match self.token(at)? {
            Token::Eq if self.token(0) == Some(Token::Time) && at == 2 => Some(foreign::time_equals(here())),
            Token::Colon if self.mishap.fits("..") && at + 1 < self.line.len() => {
                let colons = self.line[at + 1..].iter().filter(|l| l.token == Token::Colon);
                Some(foreign::colon_range(here(), colons.count() > 0))
            }
            Token::Comma if self.opener(at).is_none() && self.token(0) == Some(Token::Ident) => {
                let rest =
                    self.line[at + 1..].iter().skip_while(|l| matches!(l.token, Token::Ident | Token::Prime));
                let equation = rest.into_iter().next().is_some_and(|l| l.token == Token::Eq);
                let defined = self.line[..at].iter().any(|l| l.token == Token::Eq);
                (equation && defined).then(|| foreign::comma_between_items(here()))
            }
            Token::Plus if self.mishap.fits("int") => Some(foreign::unary_plus(here())),
            _ => None,
        }
    }

    /// `5 ms`
    fn unit(&self) -> Option<Diagnostic> {
        let number = self.at.checked_sub(1)?;
        let unit = self.text(self.at);
        let blank = !self.glued(number);
        let known = UNITS.contains(&unit) || (blank && SHORT_UNITS.contains(&unit));
        let numeric = matches!(self.token(number), Some(Token::Int | Token::Float));
        if !known || !numeric || self.token(self.at) != Some(Token::Ident) {
            return None;
        }
        let span = self.span(self.at, self.at);
        let declares = matches!(self.token(0), Some(Token::Const | Token::Param | Token::Input | Token::Let))
            && self.token(2) == Some(Token::Eq)
            && number == 3
            && self.line.len() == self.mishap.tokens.len();
        let name = declares.then(|| (self.text(1), self.line[0].lo));
        Some(foreign::unit(span, self.gap(number).to(span), unit, name))
    }
}
