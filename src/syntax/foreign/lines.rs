//! Habits that a whole line shows: functions, loops, sections, declarations, calls of solvers.

use super::{ENDS, FUNCTION_WORDS, Line};
use crate::base::span::Span;
use crate::diag::{Diagnostic, Edit};
use crate::syntax::errors::foreign;
use crate::syntax::token::Token;

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
/// Functions that show something elsewhere.
const PRINTS: [&str; 7] = ["print", "println", "printf", "disp", "display", "show", "cat"];

impl Line<'_> {
    /// `d/dt x = …`
    pub(super) fn differential_operator(&self) -> Option<Diagnostic> {
        let operator = self.text(0) == "d"
            && self.token(1) == Some(Token::Slash)
            && self.text(2).starts_with('d')
            && self.token(3) == Some(Token::Ident)
            && self.at == 3;
        operator.then(|| foreign::differential_operator(self.span(0, 3), self.text(3)))
    }

    pub(super) fn solver_call(&self) -> Option<Diagnostic> {
        let called = |at: usize| matches!(self.token(at + 1), Some(Token::LParen | Token::LBracket));
        let at = (0..self.line.len()).find(|at| SOLVERS.contains(&self.text(*at)) && called(*at))?;
        Some(foreign::solver_call(self.span(at, at), self.text(at)))
    }

    pub(super) fn import(&self) -> Option<Diagnostic> {
        if !self.heads(&IMPORTS) || self.line.len() < 2 || self.token(1) == Some(Token::Eq) {
            return None;
        }
        let library = (1..self.line.len()).any(|at| LIBRARIES.contains(&self.text(at)));
        Some(foreign::import(self.span(0, 0), self.span(0, self.line.len() - 1), library))
    }

    pub(super) fn function_word(&self) -> Option<Diagnostic> {
        if let Some(at) = (1..self.line.len()).find(|at| self.text(*at) == "function")
            && self.token(at + 1) == Some(Token::LParen)
        {
            return Some(foreign::function_word(self.span(at, at), "function", self.text(0), Vec::new()));
        }
        if self.heads(&TYPES) && self.token(1) == Some(Token::Ident) && self.token(2) == Some(Token::LParen) {
            return Some(foreign::function_word(self.span(0, 0), self.text(0), self.text(1), Vec::new()));
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

    /// `parameters { … }`, `equation`, `end`, `model Decay`
    pub(super) fn section(&self) -> Option<Diagnostic> {
        let alone = self.line.len() == 1;
        let braced = [1, 2].into_iter().any(|at| self.token(at) == Some(Token::LBrace));
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
    pub(super) fn statement(&self) -> Option<Diagnostic> {
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

    pub(super) fn if_statement(&self) -> Option<Diagnostic> {
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

    /// `float x = 1`, `let mut x = 1`, `x: real = 1`
    pub(super) fn declaration(&self) -> Option<Diagnostic> {
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
}
