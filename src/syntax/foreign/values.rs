//! Habits within expressions: operators, lists, choices, functions without a name, units.

use super::Line;
use crate::diag::{Diagnostic, Edit};
use crate::syntax::errors::foreign;
use crate::syntax::token::{HARD_KEYWORDS, Token};

/// Units that are hardly ever names, and those that are only after a blank.
const UNITS: [&str; 25] = [
    "ms", "us", "sec", "seconds", "min", "minutes", "hours", "hr", "days", "years", "mm", "cm", "km", "kg",
    "mg", "mV", "mA", "nA", "pA", "Hz", "kHz", "mol", "mM", "uM", "deg",
];
const SHORT_UNITS: [&str; 12] = ["s", "h", "d", "m", "g", "V", "A", "N", "J", "W", "K", "L"];

impl Line<'_> {
    pub(super) fn lambda(&self) -> Option<Diagnostic> {
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
    pub(super) fn matlab_function(&self) -> Option<Diagnostic> {
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
    pub(super) fn elementwise(&self) -> Option<Diagnostic> {
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
    pub(super) fn update(&self) -> Option<Diagnostic> {
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
        let ends = |at: usize| match (self.line.get(at), self.line.get(at + 1)) {
            (Some(last), Some(next)) => self.mishap.text[last.hi..next.lo].contains('\n'),
            (Some(_) | None, _) => true,
        };
        let first = if assigns || (doubled(last) && ends(self.at)) {
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
        let end = if assigns { self.line.len() - 1 } else { first + 1 };
        let line = self.replaced(0, end, format!("{target} := {target} {sign} {change}"));
        let span = self.span(first, first + 1);
        Some(foreign::update(span, &format!("{sign}{}", self.text(first + 1)), target, self.in_event(), line))
    }

    pub(super) fn not_equal(&self) -> Option<Diagnostic> {
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
    pub(super) fn definition(&self) -> Option<Diagnostic> {
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
    pub(super) fn list_entries(&self) -> Option<Diagnostic> {
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

    pub(super) fn brace_list(&self) -> Option<Diagnostic> {
        if self.token(self.at) != Some(Token::LBrace) || !self.mishap.fits("int") {
            return None;
        }
        let close = self.closer(self.at).map(|close| self.span(close, close));
        Some(foreign::brace_list(self.span(self.at, self.at), close))
    }

    pub(super) fn upper_case(&self) -> Option<Diagnostic> {
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
    pub(super) fn question_mark(&self) -> Option<Diagnostic> {
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
    pub(super) fn python_choice(&self) -> Option<Diagnostic> {
        let at = self.at;
        let after_value = at > 0 && self.token(at - 1).is_some_and(Token::ends_operand);
        if self.token(at) != Some(Token::If) || !after_value {
            return None;
        }
        // A condition stands between the two.
        let otherwise = (at + 2..self.line.len()).find(|i| self.token(*i) == Some(Token::Else))?;
        let condition = &self.mishap.text[self.line[at + 1].lo..self.line[otherwise - 1].hi];
        let start = self.value_start(at);
        let edits = vec![
            self.inserted(self.line[start].lo, format!("if {condition} then ")),
            Edit { span: self.gap(at - 1).to(self.span(at, otherwise - 1)), text: String::new() },
        ];
        Some(foreign::choice(self.span(at, at), "a if c", edits))
    }

    pub(super) fn elif(&self) -> Option<Diagnostic> {
        let is_elif = |at: &usize| matches!(self.text(*at), "elif" | "elseif" | "elsif");
        let at = [Some(self.at), self.at.checked_sub(1)].into_iter().flatten().find(is_elif)?;
        Some(foreign::choice(self.span(at, at), self.text(at), vec![self.replaced(at, at, "else if")]))
    }

    /// `time t = 0..10`, `0:10`, `x' = a, y' = b`, `+x`
    pub(super) fn punctuation(&self) -> Option<Diagnostic> {
        let at = self.at;
        let here = || self.span(at, at);
        match self.token(at)? {
            Token::Eq if self.token(0) == Some(Token::Time) && at == 2 => Some(foreign::time_equals(here())),
            Token::Colon if self.mishap.fits("..") && at > 1 && at + 1 < self.line.len() => {
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
    pub(super) fn unit(&self) -> Option<Diagnostic> {
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
