//! A bound on the height of trees, checked before they are built.
//!
//! Passes over the tree, and its destructor, recurse; a text of a million brackets or minus signs
//! must give a message rather than a full stack. Every operator adds at most one level to the
//! path through the bracket group it stands in, so operators so far plus the highest group
//! inside bounds the height of a group, without a tree.

use crate::syntax::token::{Lexeme, Token};
use smallvec::{SmallVec, smallvec};

/// The deepest nesting of brackets.
pub const MAX_NESTING: usize = 200;

/// The greatest height of an expression. Chosen so that a pass that needs 2 KiB of stack a level
/// stays within the 2 MiB that threads get.
pub const MAX_HEIGHT: usize = 800;

/// A token too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// Its position.
    pub at: usize,
    /// Of what there are too many.
    pub what: &'static str,
    /// How many there may be.
    pub limit: usize,
}

#[derive(Clone, Copy, Default)]
struct Group {
    /// Operators since the last separator.
    operators: usize,
    /// Height of the highest group since the last separator.
    inner: usize,
    /// Height of the highest part before it.
    highest: usize,
}

impl Group {
    fn height(self) -> usize {
        self.highest.max(self.operators + self.inner)
    }
}

/// Whether the tree of `tokens` is low enough.
pub fn check(tokens: &[Lexeme]) -> Result<(), Excess> {
    let mut open: SmallVec<[Group; 8]> = smallvec![Group::default()];
    let mut operand = false;
    for (at, lexeme) in tokens.iter().enumerate() {
        let token = lexeme.token;
        if token.is_closer() && open.len() > 1 {
            let height = open.pop().map_or(0, Group::height) + 1;
            if let Some(group) = open.last_mut() {
                group.inner = group.inner.max(height);
            }
        }
        let Some(group) = open.last_mut() else { break };
        let calls = operand && matches!(token, Token::LParen | Token::LBracket);
        let prefix =
            matches!(token, Token::Not | Token::If | Token::Fold | Token::Scan | Token::Fn | Token::Prime);
        if matches!(token, Token::Comma | Token::Semi) {
            *group = Group { operators: 0, inner: 0, highest: group.height() };
        } else if calls || prefix || token.is_infix() {
            group.operators += 1;
        }
        if group.height() > MAX_HEIGHT {
            return Err(Excess { at, what: "operators in one expression", limit: MAX_HEIGHT });
        }
        if token.closer().is_some() {
            if open.len() > MAX_NESTING {
                return Err(Excess { at, what: "brackets inside each other", limit: MAX_NESTING });
            }
            open.push(Group::default());
        }
        operand = token.ends_operand();
    }
    Ok(())
}
