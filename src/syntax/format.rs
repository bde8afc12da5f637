//! The canonical layout of a program: `nodec fmt`.
//!
//! Works on the token vector, so that every comment and the meaning survive by construction: the
//! author decides where lines end, the formatter decides everything between. Lines are indented
//! by two blanks a level and kept within 100 columns; `=` and its relatives are aligned in runs
//! of like items, and so are trailing comments.

use crate::syntax::spacing::Gap;
use crate::syntax::token::{Lexeme, Token};
use std::collections::BTreeSet;

/// The widest line, trailing comments apart.
const WIDTH: usize = 100;

/// The text of `tokens` in canonical layout. `tokens` come from parsing `text` without errors;
/// with errors the result still holds every token, but need not be stable.
pub fn format(tokens: &[Lexeme], text: &str) -> String {
    let layout = Layout::new(tokens, text);
    let mut breaks = BTreeSet::new();
    loop {
        let mut lines = layout.lines(&breaks);
        let more: Vec<usize> = lines.iter().filter_map(|line| layout.break_in(line)).collect();
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
struct Line {
    /// Whether an empty line stands above it.
    blank_above: bool,
    indent: usize,
    /// Positions of its tokens.
    tokens: std::ops::Range<usize>,
    /// Whether it begins an item or an entry.
    starts: bool,
    code: String,
    comment: Option<String>,
    /// Blanks between the code and the comment.
    gap: usize,
}

impl Line {
    fn width(&self) -> usize {
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
struct Before {
    /// Line ends.
    newlines: usize,
    /// Whether a separator stands between.
    separated: bool,
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

struct Layout<'a> {
    text: &'a str,
    /// The tokens that are not trivia; line ends that separate are not among them.
    code: Vec<Lexeme>,
    /// What stands before each of them, and after the last.
    before: Vec<Before>,
    /// The partner of each bracket.
    partner: Vec<Option<usize>>,
}

impl<'a> Layout<'a> {
    fn new(tokens: &[Lexeme], text: &'a str) -> Layout<'a> {
        let mut code = Vec::new();
        let mut before = vec![Before::default()];
        for lexeme in tokens {
            let Some(here) = before.last_mut() else { break };
            match lexeme.token {
                Token::Newline => here.newlines += 1,
                Token::Semi if lexeme.slice(text) == "\n" => {
                    here.newlines += 1;
                    here.separated = true;
                }
                Token::Semi => here.separated = true,
                Token::Comment | Token::WrongComment => {
                    here.comments.push((here.newlines, lexeme.slice(text).trim_end().to_string()));
                    here.newlines = 0;
                }
                _ => {
                    code.push(*lexeme);
                    before.push(Before::default());
                }
            }
        }
        let mut layout = Layout { text, partner: vec![None; code.len()], code, before };
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

    fn newline_before(&self, at: usize, breaks: &BTreeSet<usize>) -> bool {
        let before = &self.before[at];
        before.newlines > 0 || !before.comments.is_empty() || breaks.contains(&at)
    }

    /// Whether the braces that open at `at` are laid out over several lines.
    fn spread(&self, at: usize, breaks: &BTreeSet<usize>) -> bool {
        let end = self.partner[at].unwrap_or(self.code.len() - 1);
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
        let gap = Gap { tokens: &self.code };
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
                None => previous.is_none() || before.separated || previous == Some(Token::Doc),
                Some(group) if group.brace => {
                    before.separated
                        || matches!(previous, Some(Token::LBrace | Token::Doc))
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

    fn written(&self, at: usize) -> String {
        let text = self.code[at].slice(self.text);
        if self.code[at].token != Token::Doc {
            return text.to_string();
        }
        let words = text.trim_start_matches('#').trim();
        if words.is_empty() { "##".to_string() } else { format!("## {words}") }
    }

    /// Where a line that is too wide is broken: after the outermost brace, else at the place least
    /// deep in brackets, the last of those that fit.
    fn break_in(&self, line: &Line) -> Option<usize> {
        if line.width() <= WIDTH || line.tokens.is_empty() {
            return None;
        }
        let gap = Gap { tokens: &self.code };
        let mut width = line.indent;
        let mut depth = 0usize;
        let mut best: Option<(Rank, usize)> = None;
        for at in line.tokens.clone() {
            let token = self.code[at].token;
            if token.is_closer() {
                depth = depth.saturating_sub(1);
            }
            if at > line.tokens.start
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
        best.map(|(_, at)| at)
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

    /// Aligns the separators of like items on consecutive lines.
    fn align_cells(&self, lines: &mut [Line]) {
        let tables: Vec<Option<Vec<Lexeme>>> =
            lines.iter().map(|line| self.separators(line, lines)).collect();
        let mut start = 0;
        while start < lines.len() {
            let mut end = start + 1;
            while end < lines.len() && self.alike(&lines[start], &tables[start], &lines[end], &tables[end]) {
                end += 1;
            }
            if end - start > 1 {
                self.align_run(&mut lines[start..end], &tables[start..end]);
            }
            start = end;
        }
    }

    fn alike(
        &self,
        a: &Line,
        a_cells: &Option<Vec<Lexeme>>,
        b: &Line,
        b_cells: &Option<Vec<Lexeme>>,
    ) -> bool {
        let (Some(a_cells), Some(b_cells)) = (a_cells, b_cells) else { return false };
        let kinds = a_cells.iter().map(|l| l.token).eq(b_cells.iter().map(|l| l.token));
        !b.blank_above && a.indent == b.indent && self.head(a) == self.head(b) && kinds
    }

    /// The keyword of an item; equations and entries have none.
    fn head(&self, line: &Line) -> Option<Token> {
        self.code.get(line.tokens.start).map(|l| l.token).filter(|token| token.is_keyword())
    }

    /// The separators that split a line into cells, if it is one item with one declaration.
    fn separators(&self, line: &Line, _lines: &[Line]) -> Option<Vec<Lexeme>> {
        let tokens = self.code.get(line.tokens.clone()).filter(|tokens| !tokens.is_empty())?;
        let complete = line.tokens.end == self.code.len()
            || self.before[line.tokens.end].separated
            || self.code[line.tokens.end - 1].token == Token::Comma
            || self.code[line.tokens.end].token == Token::RBrace;
        let head = self.head(line);
        let plain = !matches!(head, Some(Token::Use | Token::Fn | Token::Time | Token::Sweep | Token::Plot));
        if !line.starts || !complete || !plain {
            return None;
        }
        let field =
            matches!(tokens, [Lexeme { token: Token::Ident, .. }, Lexeme { token: Token::Colon, .. }, ..]);
        let mut wanted: &[Token] = match head {
            Some(Token::Param) => &[Token::In, Token::Eq, Token::Tilde],
            _ if field => &[Token::Colon, Token::Eq],
            _ => &[Token::Eq, Token::Tilde, Token::Becomes],
        };
        let mut found = Vec::new();
        let mut depth = 0i32;
        for (i, lexeme) in tokens.iter().enumerate() {
            match lexeme.token {
                Token::LBrace | Token::Semi => return None,
                Token::Comma if depth == 0 && i + 1 < tokens.len() => return None,
                token if token.closer().is_some() => depth += 1,
                token if token.is_closer() => depth -= 1,
                token if depth == 0 => {
                    if let Some(at) = wanted.iter().position(|w| *w == token) {
                        found.push(*lexeme);
                        let one = head != Some(Token::Param) && !field;
                        wanted = if one { &[] } else { &wanted[at + 1..] };
                    }
                }
                _ => {}
            }
        }
        (!found.is_empty() && depth == 0).then_some(found)
    }

    fn align_run(&self, lines: &mut [Line], cells: &[Option<Vec<Lexeme>>]) {
        let gap = Gap { tokens: &self.code };
        let n_cells = cells[0].as_ref().map_or(0, Vec::len);
        // For each line the text of its cells, each from a separator up to the next.
        let rows: Vec<Vec<String>> = lines
            .iter()
            .zip(cells)
            .map(|(line, cells)| {
                let mut row = vec![String::new()];
                for at in line.tokens.clone() {
                    let starts = cells.iter().flatten().any(|cell| *cell == self.code[at]);
                    let colon = self.code[at].token == Token::Colon;
                    let follows_colon = at > line.tokens.start
                        && self.code[at - 1].token == Token::Colon
                        && cells.iter().flatten().any(|cell| *cell == self.code[at - 1]);
                    if (starts && !colon) || follows_colon {
                        row.push(String::new());
                    } else if at > line.tokens.start
                        && gap.before(at)
                        && let Some(cell) = row.last_mut()
                    {
                        cell.push(' ');
                    }
                    if let Some(cell) = row.last_mut() {
                        cell.push_str(&self.written(at));
                    }
                }
                row
            })
            .collect();
        let widths: Vec<usize> = (0..n_cells)
            .map(|i| {
                rows.iter().filter_map(|row| row.get(i)).map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let aligned: Vec<String> = rows
            .iter()
            .map(|row| {
                let mut code = String::new();
                for (i, cell) in row.iter().enumerate() {
                    code.push_str(cell);
                    if i + 1 < row.len() {
                        let pad = widths[i] - cell.chars().count() + 1;
                        code.push_str(&" ".repeat(pad));
                    }
                }
                code
            })
            .collect();
        if aligned.iter().zip(lines.iter()).all(|(code, line)| line.indent + code.chars().count() <= WIDTH) {
            for (line, code) in lines.iter_mut().zip(aligned) {
                line.code = code;
            }
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
}

/// Aligns the trailing comments of consecutive lines.
fn align_comments(lines: &mut [Line]) {
    let trailing = |line: &Line| line.comment.is_some() && !line.code.is_empty();
    let mut start = 0;
    while start < lines.len() {
        let mut end = start + 1;
        if trailing(&lines[start]) {
            while end < lines.len() && trailing(&lines[end]) && !lines[end].blank_above {
                end += 1;
            }
            let widest = lines[start..end].iter().map(Line::width).max().unwrap_or(0);
            for line in &mut lines[start..end] {
                line.gap = widest + 2 - line.width();
            }
        }
        start = end;
    }
}
