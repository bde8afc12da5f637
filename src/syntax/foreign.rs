//! What other languages write differently: from a place where the grammar cannot go on to the
//! message that translates.
//!
//! Works on the tokens of one line. Each method knows one habit and gives its message only where
//! the line can hardly mean anything else; `syntax::hints` has the rest.

mod lines;
mod values;

use crate::base::span::Span;
use crate::diag::{Diagnostic, Edit};
use crate::syntax::hints::Mishap;
use crate::syntax::token::{Lexeme, Token};

/// Words that head a function elsewhere.
const FUNCTION_WORDS: [&str; 7] = ["def", "function", "func", "fun", "defun", "subroutine", "proc"];
/// Words that end a block elsewhere.
const ENDS: [&str; 6] = ["end", "endfunction", "endif", "endfor", "fi", "done"];

/// The message for a habit from another language, if the mishap is one.
pub fn explain(mishap: &Mishap) -> Option<Diagnostic> {
    let line = &mishap.line[mishap.line.iter().take_while(|l| l.token == Token::Doc).count()..];
    let found = mishap.tokens.get(mishap.at);
    let at = found.and_then(|found| line.iter().position(|l| l == found)).unwrap_or(line.len());
    if line.is_empty() {
        return None;
    }
    let line = Line { mishap, line, at };
    None.or_else(|| line.differential_operator())
        .or_else(|| line.solver_call())
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
}
