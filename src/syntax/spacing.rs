//! Where blanks stand between two tokens of a line.

use crate::syntax::token::{Lexeme, Token};

/// A token with its neighbours: what decides about the blank before it.
pub struct Gap<'a> {
    /// All tokens of a text that are neither trivia nor separators.
    pub tokens: &'a [Lexeme],
    /// Which of them begin an item or an entry.
    pub starts: &'a [bool],
}

impl Gap<'_> {
    /// Whether a blank stands before the token at `at`, given that one stands before it on its
    /// line.
    pub fn before(&self, at: usize) -> bool {
        let Some(previous) = at.checked_sub(1) else { return false };
        let (left, right) = (self.tokens[previous].token, self.tokens[at].token);
        match (left, right) {
            (
                _,
                Token::Comma | Token::Semi | Token::Prime | Token::Question | Token::RParen | Token::RBracket,
            ) => false,
            (Token::LParen | Token::LBracket, _) => false,
            (Token::LBrace, Token::RBrace) => false,
            (Token::LBrace, _) | (_, Token::LBrace | Token::RBrace) => true,
            (Token::Comma | Token::Semi, _) => true,
            (Token::Dot | Token::DotDot | Token::Caret, _)
            | (_, Token::Dot | Token::DotDot | Token::Caret) => {
                // A range between things that are no operands stays apart: `x |> ..`.
                matches!(right, Token::DotDot) && !left.ends_operand()
            }
            (_, Token::Colon) => false,
            (Token::Colon, _) => true,
            (Token::Minus, _) if self.is_prefix(previous) => false,
            (Token::Minus, _) => true,
            (Token::Star | Token::Slash, _) => self.apart(previous),
            (_, Token::Star | Token::Slash) => self.apart(at),
            (_, Token::LParen | Token::LBracket) => !self.opens_call(previous),
            _ => true,
        }
    }

    /// Whether the `-` at `at` has no left operand.
    pub fn is_prefix(&self, at: usize) -> bool {
        self.starts[at] || !at.checked_sub(1).is_some_and(|before| self.tokens[before].token.ends_operand())
    }

    /// Products are close, `2*x`, unless the author put a blank on either side.
    fn apart(&self, at: usize) -> bool {
        let blank = |left: Option<usize>, right: usize| {
            let (Some(left), Some(right)) = (left.and_then(|l| self.tokens.get(l)), self.tokens.get(right))
            else {
                return false;
            };
            left.hi < right.lo
        };
        blank(at.checked_sub(1), at) || blank(Some(at), at + 1)
    }

    /// Whether a bracket after the token at `at` calls or indexes it, or belongs to it like the
    /// bracket after `fn` in a type.
    fn opens_call(&self, at: usize) -> bool {
        let token = self.tokens[at].token;
        if token == Token::Fn {
            // `fn(int) -> int` in a type; `fn (x) = …` at the head of an item.
            return at.checked_sub(1).is_some_and(|before| {
                matches!(
                    self.tokens[before].token,
                    Token::Colon | Token::Arrow | Token::Comma | Token::LParen
                )
            });
        }
        let lists_names =
            self.tokens[..at].iter().rev().take_while(|l| matches!(l.token, Token::Ident | Token::Dot));
        let used = lists_names.count();
        let head = at.checked_sub(used + 1).map(|head| self.tokens[head].token);
        token.ends_operand() && !(token == Token::Ident && head == Some(Token::Use))
    }
}
