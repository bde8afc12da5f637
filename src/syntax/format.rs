//! The canonical layout of a program: `nodec fmt`.
//!
//! Works on the token vector, so that every comment and the meaning survive by construction: the
//! author decides where lines end, the formatter decides everything between. Lines are indented
//! by two blanks a level and kept within 100 columns; `=` and its relatives are aligned in runs
//! of like items, and so are trailing comments.

use crate::syntax::align::align_comments;
use crate::syntax::depth::MAX_NESTING;
use crate::syntax::spacing::Gap;
use crate::syntax::token::{Lexeme, Token};
use std::collections::BTreeSet;

/// The widest line, trailing comments apart.
pub(super) const WIDTH: usize = 100;

/// A line this wide is broken at several places at once.
const LONG: usize = 8 * WIDTH;

/// The text of `tokens` in canonical layout. `tokens` come from parsing `text` without errors;
/// with errors the result still holds every token, but need not be stable.
pub fn format(tokens: &[Lexeme], text: &str) -> String {
    let layout = Layout::new(tokens, text);
    let mut breaks = BTreeSet::new();
    loop {
        let mut lines = layout.lines(&breaks);
        let more: Vec<usize> = lines.iter().flat_map(|line| layout.breaks_in(line)).collect();
        if more.is_empty() {
            layout.align_cells(&mut lines);
            align_comments(&mut lines);
            return lines.iter().map(Line::text).collect();
        }
        breaks.extend(more);
    }
}

/// A line of output.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    /// Whether an empty line stands above it.
    pub(super) blank_above: bool,
    pub(super) indent: usize,
    /// Positions of its tokens.
    pub(super) tokens: std::ops::Range<usize>,
    /// Whether it begins an item or an entry.
    pub(super) starts: bool,
    pub(super) code: String,
    pub(super) comment: Option<String>,
    /// Blanks between the code and the comment.
    pub(super) gap: usize,
}

impl Line {
    pub(super) fn width(&self) -> usize {
        self.indent + self.code.chars().count()
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if self.blank_above {
            text.push('\n');
        }
        text.push_str(&" ".repeat(self.indent));
        text.push_str(&self.code);
        if let Some(comment) = &self.comment {
            text.push_str(&" ".repeat(self.gap));
            text.push_str(comment);
        }
        text.push('\n');
        text
    }
}

/// What stands before a token in the source.
#[derive(Clone, Debug, Default)]
pub(super) struct Before {
    /// Line ends.
    newlines: usize,
    /// Whether a separator stands between.
    pub(super) separated: bool,
    /// Comments, each with the number of line ends before it.
    comments: Vec<(usize, String)>,
}

/// An open bracket while lines are made.
struct Open {
    brace: bool,
    /// Indentation of the line it stands in.
    outer: usize,
    /// First token of the item inside that is being read.
    head: Option<Token>,
}

pub(super) struct Layout<'a> {
    text: &'a str,
    /// The tokens that are not trivia; line ends that separate are not among them.
    pub(super) code: Vec<Lexeme>,
    /// What stands before each of them, and after the last.
    pub(super) before: Vec<Before>,
    /// Which of them a separator or a doc line sets off from the one before.
    starts: Vec<bool>,
    /// The partner of each bracket.
    partner: Vec<Option<usize>>,
}

impl<'a> Layout<'a> {
    fn new(tokens: &[Lexeme], text: &'a str) -> Layout<'a> {
        let mut code = Vec::new();
        let mut before = vec![Before::default()];
        for (at, lexeme) in tokens.iter().enumerate() {
            let Some(here) = before.last_mut() else { break };
            match lexeme.token {
                Token::Newline => here.newlines += 1,
                Token::Semi if lexeme.slice(text) == "\n" => {
                    here.newlines += 1;
                    here.separated = true;
                }
                // After an operator a `;` separates nothing; the layout pass leaves it out.
                Token::Semi => here.separated |= code.last().is_some_and(|l: &Lexeme| l.token.ends_operand()),
                Token::Comment | Token::WrongComment => {
                    let comment = lexeme.slice(text).trim_end();
                    let begins_line =
                        at.checked_sub(1).is_none_or(|before| tokens[before].slice(text) == "\n");
                    // Moved to a line of its own, such a comment would become a doc line.
                    let comment = match comment.strip_prefix("##") {
                        Some(words) if !begins_line => format!("#{}", words.trim_start_matches('#')),
                        Some(_) | None => comment.to_string(),
                    };
                    here.comments.push((here.newlines, comment));
                    here.newlines = 0;
                }
                _ => {
                    code.push(*lexeme);
                    before.push(Before::default());
                }
            }
        }
        let follows_doc = |at: usize| at > 0 && code[at - 1].token == Token::Doc;
        let starts = (0..code.len()).map(|at| at == 0 || before[at].separated || follows_doc(at)).collect();
        let mut layout = Layout { text, starts, partner: vec![None; code.len()], code, before };
        let mut open: Vec<usize> = Vec::new();
        for (at, lexeme) in layout.code.iter().enumerate() {
            if lexeme.token.closer().is_some() {
                open.push(at);
            } else if lexeme.token.is_closer()
                && let Some(partner) = open.pop()
            {
                layout.partner[partner] = Some(at);
                layout.partner[at] = Some(partner);
            }
        }
        layout
    }

    pub(super) fn gap(&self) -> Gap<'_> {
        Gap { tokens: &self.code, starts: &self.starts }
    }

    fn newline_before(&self, at: usize, breaks: &BTreeSet<usize>) -> bool {
        let before = &self.before[at];
        before.newlines > 0 || !before.comments.is_empty() || breaks.contains(&at)
    }

    /// Whether the braces that open at `at` are laid out over several lines.
    fn spread(&self, at: usize, breaks: &BTreeSet<usize>) -> bool {
        // Braces that are never closed stand in a text with mistakes.
        let Some(end) = self.partner[at] else { return true };
        let mut inside = at + 1;
        while inside <= end {
            if self.newline_before(inside, breaks) {
                return true;
            }
            inside = match self.partner[inside] {
                Some(closer) if closer > inside => closer + 1,
                _ => inside + 1,
            };
        }
        false
    }

    fn lines(&self, breaks: &BTreeSet<usize>) -> Vec<Line> {
        let gap = self.gap();
        let mut lines: Vec<Line> = Vec::new();
        let mut open: Vec<Open> = Vec::new();
        let mut line = Line::default();
        let mut head: Option<Token> = None;
        let mut spread_braces: Vec<bool> = Vec::new();
        for at in 0..self.code.len() {
            let token = self.code[at].token;
            let before = &self.before[at];
            let previous = at.checked_sub(1).map(|p| self.code[p].token);
            let in_spread = spread_braces.last().copied().unwrap_or(true);
            let first = match open.last() {
                None => self.starts[at],
                Some(group) if group.brace => {
                    self.starts[at]
                        || previous == Some(Token::LBrace)
                        || (previous == Some(Token::Comma) && !lists_declarations(group.head))
                }
                Some(_) => false,
            };
            let opens_block = token == Token::LBrace
                && before.comments.is_empty()
                && !breaks.contains(&at)
                && !before.separated;
            let opened_spread = previous == Some(Token::LBrace) && in_spread;
            let closes_spread = token == Token::RBrace && in_spread && !open.is_empty();
            let breaks_here = at > 0
                && (opened_spread && token != Token::RBrace
                    || closes_spread
                    || previous == Some(Token::Doc)
                    || token == Token::Doc
                    || (before.separated && in_spread)
                    || (self.newline_before(at, breaks) && !opens_block));
            if at == 0 || breaks_here {
                let indent = indent_of(open.last(), first, token);
                self.comments(
                    &mut lines,
                    &mut line,
                    at,
                    if token.is_closer() { indent_of(open.last(), true, Token::Comma) } else { indent },
                );
                let blank = before.newlines > 1
                    && !lines.is_empty()
                    && previous != Some(Token::LBrace)
                    && !token.is_closer();
                line = Line { blank_above: blank, indent, tokens: at..at, starts: first, ..Line::default() };
            } else if before.separated {
                line.code.push_str("; ");
            } else if gap.before(at) {
                line.code.push(' ');
            }
            if first {
                match open.last_mut() {
                    Some(group) => group.head = Some(token),
                    None => head = Some(token),
                }
            }
            line.code.push_str(&self.written(at));
            line.tokens.end = at + 1;
            if token.closer().is_some() {
                let brace = token == Token::LBrace;
                // Round brackets hold no items: what is listed in them goes on with the item outside.
                let inner_head = if brace { None } else { open.last().map_or(head, |group| group.head) };
                open.push(Open { brace, outer: line.indent, head: inner_head });
                if brace {
                    spread_braces.push(self.spread(at, breaks));
                } else {
                    spread_braces.push(false);
                }
            } else if token.is_closer() {
                open.pop();
                spread_braces.pop();
            }
        }
        self.comments(&mut lines, &mut line, self.code.len(), 0);
        lines
    }

    /// Ends `line` and adds the comments that stand before the token at `at`.
    fn comments(&self, lines: &mut Vec<Line>, line: &mut Line, at: usize, indent: usize) {
        let mut finished = std::mem::take(line);
        let mut comments = self.before[at].comments.iter().peekable();
        let open_line = !finished.code.is_empty();
        if open_line && let Some((_, text)) = comments.next_if(|(newlines, _)| *newlines == 0) {
            finished.comment = Some(text.clone());
            finished.gap = 2;
        }
        let after_brace = finished.code.ends_with('{');
        if open_line {
            lines.push(finished);
        }
        for (i, (newlines, text)) in comments.enumerate() {
            let blank = *newlines > 1 && !lines.is_empty() && !(after_brace && i == 0);
            lines.push(Line {
                blank_above: blank,
                indent,
                code: String::new(),
                comment: Some(text.clone()),
                ..Line::default()
            });
        }
    }

    pub(super) fn written(&self, at: usize) -> String {
        let text = self.code[at].slice(self.text);
        if self.code[at].token != Token::Doc {
            return text.to_string();
        }
        let words = text.trim_start_matches('#').trim();
        if words.is_empty() { "##".to_string() } else { format!("## {words}") }
    }

    /// Where a line that is too wide is broken: one place, which decides where the next begins, or
    /// all of them where a line is so long that a step for each would take its time.
    fn breaks_in(&self, line: &Line) -> Vec<usize> {
        // Indented this far, another line end would gain nothing.
        if line.width() <= WIDTH || line.indent > WIDTH / 2 {
            return Vec::new();
        }
        let mut breaks = Vec::new();
        let mut rest = line.tokens.clone();
        while let Some(at) = self.break_in(rest.clone(), line.indent + 2 * breaks.len().min(1)) {
            breaks.push(at);
            rest = at..rest.end;
            if line.width() <= LONG {
                break;
            }
        }
        breaks
    }

    /// Where the line of `tokens` is broken if it is too wide: after the outermost brace, else at the
    /// place least deep in brackets, the last of those that fit.
    fn break_in(&self, tokens: std::ops::Range<usize>, indent: usize) -> Option<usize> {
        let gap = self.gap();
        let mut width = indent;
        let mut depth = 0usize;
        let mut best: Option<(Rank, usize)> = None;
        for at in tokens.clone() {
            // Far beyond the width nothing is found that is better than what was.
            if width > LONG && best.is_some_and(|(rank, _)| !rank.late) {
                break;
            }
            let token = self.code[at].token;
            if token.is_closer() {
                depth = depth.saturating_sub(1);
            }
            if at > tokens.start
                && let Some(class) = self.break_class(at, &gap)
            {
                let rank = Rank { class, depth, late: width > WIDTH };
                let better =
                    best.is_none_or(|(found, _)| if rank.late { rank < found } else { rank <= found });
                if better {
                    best = Some((rank, at));
                }
            }
            width += self.code[at].slice(self.text).chars().count()
                + usize::from(gap.before(at + 1 - usize::from(at + 1 == self.code.len())));
            if token.closer().is_some() {
                depth += 1;
            }
        }
        if width <= WIDTH { None } else { best.map(|(_, at)| at) }
    }

    /// How good a place for a line end there is before the token at `at`, 0 the best.
    fn break_class(&self, at: usize, gap: &Gap) -> Option<u8> {
        let previous = at - 1;
        match self.code[previous].token {
            Token::LBrace if self.code[at].token != Token::RBrace => Some(0),
            Token::Comma => Some(1),
            Token::Minus if gap.is_prefix(previous) => None,
            Token::Plus | Token::Minus | Token::And | Token::Or | Token::Pipe | Token::At => Some(1),
            Token::Star | Token::Slash if gap.before(at) => Some(1),
            Token::LParen | Token::LBracket if !self.code[at].token.is_closer() => Some(2),
            Token::Eq | Token::Tilde | Token::Arrow => Some(3),
            _ => None,
        }
    }
}

/// How good a place for a line end is; the least is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// Whether the part before it is too wide already.
    late: bool,
    class: u8,
    depth: usize,
}

/// Whether a comma inside such an item goes on with it.
fn lists_declarations(head: Option<Token>) -> bool {
    head.is_some_and(Token::is_keyword)
}

/// The indentation of a line that starts with `token`, inside `group`.
fn indent_of(group: Option<&Open>, first: bool, token: Token) -> usize {
    let continued = if first { 0 } else { 2 };
    match group {
        None => continued,
        Some(group) if token.is_closer() => group.outer,
        Some(group) if group.brace => group.outer + 2 + continued,
        Some(group) => group.outer + 2,
    }
    // What is nested deeper is refused by the parser; a text of braces alone must not fill memory.
    .min(2 * MAX_NESTING)
}
