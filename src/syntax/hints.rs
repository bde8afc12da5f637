//! From a place where the grammar cannot go on to the message that helps.
//!
//! The grammar says which token did not fit and which would have; [`explain`] looks for one of
//! the habits people bring along (`2k`, `'text'`, a `-` at the start of a line) and otherwise
//! names what is expected in at most three groups.

use crate::base::span::{SourceId, Span};
use crate::diag::Diagnostic;
use crate::syntax::token::{ITEM_KEYWORDS, Lexeme, Token};
use crate::syntax::{errors, foreign};

/// What other languages call our items.
const SYNONYMS: [(&str, &str); 20] = [
    ("parameter", "param"),
    ("parameters", "param"),
    ("par", "param"),
    ("constant", "const"),
    ("constants", "const"),
    ("variable", "state"),
    ("variables", "state"),
    ("unknown", "state"),
    ("dependent", "state"),
    ("init", "state"),
    ("initial", "state"),
    ("independent", "time"),
    ("var", "let"),
    ("val", "let"),
    ("define", "let"),
    ("auto", "let"),
    ("function", "fn"),
    ("struct", "system"),
    ("event", "when"),
    ("objective", "loss"),
];
/// Types that stand between such a word and a name: `parameter Real k`.
const TYPE_WORDS: [&str; 5] = ["Real", "real", "Integer", "double", "float"];

/// A place where parsing stopped.
pub struct Mishap<'a> {
    /// The text's id.
    pub source: SourceId,
    /// The text.
    pub text: &'a str,
    /// The tokens of the item.
    pub tokens: &'a [Lexeme],
    /// The token that does not fit; `tokens.len()` is the end.
    pub at: usize,
    /// The tokens of the line it stands on.
    pub line: &'a [Lexeme],
    /// The tokens before that line.
    pub before: &'a [Lexeme],
    /// The terminals that would fit, as lalrpop spells them.
    pub expected: &'a [String],
}

/// The message for a mishap.
pub fn explain(mishap: &Mishap) -> Diagnostic {
    None.or_else(|| foreign::explain(mishap))
        .or_else(|| mishap.minus_starts_line())
        .or_else(|| mishap.misspelt_keyword())
        .or_else(|| mishap.single_quotes())
        .or_else(|| mishap.missing_else())
        .or_else(|| mishap.single_equals())
        .or_else(|| mishap.unfinished_line())
        .or_else(|| mishap.juxtaposition())
        .unwrap_or_else(|| mishap.general())
}

impl Mishap<'_> {
    fn found(&self) -> Option<Lexeme> {
        self.tokens.get(self.at).copied()
    }

    fn previous(&self) -> Option<Lexeme> {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).copied()
    }

    /// Whether `terminal` could stand here.
    pub fn fits(&self, terminal: &str) -> bool {
        self.expected.iter().any(|e| e.trim_matches('"') == terminal)
    }

    fn fits_operand(&self) -> bool {
        self.fits("int")
    }

    fn span(&self, lexeme: Lexeme) -> Span {
        Span::new(self.source, lexeme.lo, lexeme.hi)
    }

    fn slice(&self, lexeme: Lexeme) -> &str {
        lexeme.slice(self.text)
    }

    /// Whether a line end lies between two tokens.
    fn line_end_between(&self, a: Lexeme, b: Lexeme) -> bool {
        self.text[a.hi..b.lo].contains('\n')
    }

    fn minus_starts_line(&self) -> Option<Diagnostic> {
        let minus = *self.line.first()?;
        let at_end = self.found().is_none_or(|l| matches!(l.token, Token::Semi | Token::RBrace));
        if minus.token != Token::Minus || !at_end || !self.fits("~") || !self.fits("=") {
            return None;
        }
        let mut above = self.before;
        while let [init @ .., Lexeme { token: Token::Semi, .. }] = above {
            above = init;
        }
        let start = above.iter().rposition(|l| matches!(l.token, Token::Semi | Token::LBrace));
        let above = &above[start.map_or(0, |at| at + 1)..];
        let ending = above.last().map(|last| {
            let equals = above.iter().rposition(|l| l.token == Token::Eq);
            let first = equals.and_then(|at| above.get(at + 1)).unwrap_or(&above[0]);
            let equation =
                matches!(above, [Lexeme { token: Token::Ident, .. }, Lexeme { token: Token::Prime, .. }, ..]);
            let what = match equation {
                true => format!("the equation for `{}`", self.slice(above[0])),
                false => "the item above".to_string(),
            };
            (Span::new(self.source, first.lo, last.hi), what)
        });
        Some(errors::starts_with_minus(self.span(minus), ending))
    }

    fn misspelt_keyword(&self) -> Option<Diagnostic> {
        let (found, previous) = (self.found()?, self.previous()?);
        let mut line = self.line.iter().filter(|l| l.token != Token::Doc);
        let heads = line.next() == Some(&previous) && previous.token == Token::Ident;
        let fits =
            matches!(found.token, Token::Ident | Token::LBrace | Token::Str | Token::Int | Token::LBracket);
        if !heads || !fits || !self.fits("~") {
            return None;
        }
        let name = self.slice(previous);
        if let Some((_, word)) = SYNONYMS.iter().find(|(synonym, _)| synonym.eq_ignore_ascii_case(name)) {
            let end = if TYPE_WORDS.contains(&self.slice(found)) && self.at + 1 < self.tokens.len() {
                self.span(previous).to(self.span(found))
            } else {
                self.span(previous)
            };
            return Some(errors::synonym(self.span(previous), name, end, word));
        }
        let near = ITEM_KEYWORDS.iter().map(|(spelling, _)| (distance(name, spelling), *spelling)).min()?;
        // Two slips in a word of at least five letters, one in a shorter word.
        let slips = if name.chars().count() >= 5 { 2 } else { 1 };
        (1..=slips).contains(&near.0).then(|| errors::unknown_item(self.span(previous), name, near.1))
    }

    fn single_quotes(&self) -> Option<Diagnostic> {
        let opens = |l: &Lexeme| l.token == Token::Prime && (self.fits_operand() || self.fits("str"));
        // After a blank a prime can only be a quote, whatever the grammar made of it.
        let apart = |l: &Lexeme| l.token == Token::Prime && self.text[..l.lo].ends_with(' ');
        let quote = self.found().filter(opens).or_else(|| self.previous().filter(apart))?;
        let rest = self.text[quote.hi..].lines().next()?;
        let inside = rest.split_once('\'')?.0;
        let span = Span::new(self.source, quote.lo, quote.hi + inside.len() + 1);
        Some(errors::single_quotes(span))
    }

    fn missing_else(&self) -> Option<Diagnostic> {
        if !self.fits("else")
            || self.found().is_some_and(|l| {
                !matches!(l.token, Token::Semi) && !l.token.is_closer() && l.token != Token::Comma
            })
        {
            return None;
        }
        let previous = self.previous()?;
        let head = self.tokens[..self.at].iter().rev().find(|l| l.token == Token::If)?;
        let end = Span::new(self.source, previous.hi, previous.hi);
        Some(errors::missing_else(end, self.span(*head)))
    }

    fn single_equals(&self) -> Option<Diagnostic> {
        let equals = self.found().filter(|l| l.token == Token::Eq)?;
        // The grammar may have closed the condition before it saw the `=`.
        if !["==", "then", "{"].iter().any(|terminal| self.fits(terminal)) {
            return None;
        }
        let open =
            self.tokens[..self.at].iter().rev().take_while(|l| !matches!(l.token, Token::Semi | Token::Then));
        let asks = open
            .into_iter()
            .any(|l| matches!(l.token, Token::If | Token::When | Token::Not | Token::And | Token::Or));
        asks.then(|| errors::single_equals(self.span(equals)))
    }

    fn unfinished_line(&self) -> Option<Diagnostic> {
        let found = self.found()?;
        let start = self.line.iter().position(|l| *l == found)?;
        // The last line end before the token, if the line before it ends in an operator.
        let breaks =
            (1..=start).rev().find(|at| self.line_end_between(self.line[*at - 1], self.line[*at]))?;
        let operator = self.line[breaks - 1];
        let mut depth = 0i32;
        for lexeme in &self.line[..start] {
            depth += i32::from(lexeme.token.closer().is_some()) - i32::from(lexeme.token.is_closer());
        }
        let definition =
            matches!(found.token, Token::Eq | Token::Tilde | Token::Becomes) || found.token.is_keyword();
        if !operator.token.is_infix() || depth != 0 || !definition {
            return None;
        }
        Some(errors::unfinished_line(self.span(operator), self.slice(operator), self.span(found)))
    }

    fn juxtaposition(&self) -> Option<Diagnostic> {
        let (found, previous) = (self.found()?, self.previous()?);
        let kind = |token: Token| match token {
            Token::Int | Token::Float => Some("a number"),
            Token::Ident => Some("a name"),
            Token::LParen | Token::RParen | Token::RBracket => Some("a bracket"),
            _ => None,
        };
        // `solve method = …` lacks its braces, not a product.
        let heads =
            self.line.first() == Some(&previous) && Token::item_keyword(self.slice(previous)).is_some();
        if heads
            || !self.fits("*")
            || self.line_end_between(previous, found)
            || previous.token == Token::LParen
        {
            return None;
        }
        let describe = |lexeme: Lexeme| Some((self.span(lexeme), kind(lexeme.token)?, self.slice(lexeme)));
        Some(errors::juxtaposition(describe(previous)?, describe(found)?))
    }

    fn general(&self) -> Diagnostic {
        let mut groups = self.groups();
        groups.truncate(3);
        match self.found() {
            Some(found) if found.token != Token::Semi || self.slice(found) == ";" => {
                let text = self.slice(found);
                let text =
                    if text.is_empty() { "the end of the line".to_string() } else { format!("`{text}`") };
                errors::expected(self.span(found), &groups, &text)
            }
            _ => {
                let at = self.previous().map_or(0, |l| l.hi);
                errors::expected(Span::new(self.source, at, at), &groups, "the end of the line")
            }
        }
    }

    /// What could have stood here, in groups, the most telling first.
    fn groups(&self) -> Vec<&'static str> {
        let mut groups = Vec::new();
        if self.fits("use") && self.fits("sweep") {
            return vec!["an item"];
        }
        if self.fits_operand() {
            groups.push("an expression");
        } else if self.fits("ident") {
            groups.push("a name");
        }
        if !self.fits_operand() && self.fits("str") {
            groups.push("a string");
        }
        const STRUCTURE: [(&str, &str); 14] = [
            ("then", "`then`"),
            ("else", "`else`"),
            ("in", "`in`"),
            (":=", "`:=`"),
            ("=", "`=`"),
            ("~", "`~`"),
            ("{", "`{`"),
            (")", "`)`"),
            ("]", "`]`"),
            ("}", "`}`"),
            ("for", "`for`"),
            (",", "`,`"),
            ("(", "`(`"),
            (":", "`:`"),
        ];
        let operator = self.fits("+");
        for (terminal, name) in STRUCTURE {
            // After an operand these are ways to go on among many others.
            let implied = matches!(terminal, "(" | ":" | "for" | ",") && (operator || self.fits_operand());
            if self.fits(terminal) && !implied && groups.len() < 2 {
                groups.push(name);
            }
        }
        if operator {
            groups.push("an operator");
        }
        if self.fits(";") || groups.is_empty() {
            groups.push("the end of the line");
        }
        groups
    }
}

/// Insertions, deletions, substitutions and swaps of neighbours between two words (the optimal
/// string alignment distance).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}
