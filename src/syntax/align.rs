//! Columns: the second half of the formatter.
//!
//! Takes the finished lines of [`Layout`] and pads them, so that `=` and its relatives stand below
//! each other in runs of like items, and trailing comments in runs of lines that have them.

use crate::syntax::format::{Layout, Line, WIDTH};
use crate::syntax::token::{Lexeme, Token};

impl Layout<'_> {
    /// Aligns the separators of like items on consecutive lines.
    pub(super) fn align_cells(&self, lines: &mut [Line]) {
        let cells: Vec<Option<Cells>> = lines.iter().map(|line| self.cells(line)).collect();
        let mut start = 0;
        while start < lines.len() {
            let mut end = start + 1;
            if let Some(first) = &cells[start] {
                let (mut narrow, mut wide) = (first.first_width, first.first_width);
                while let (Some(line), Some(Some(next))) = (lines.get(end), cells.get(end)) {
                    narrow = narrow.min(next.first_width);
                    wide = wide.max(next.first_width);
                    let alike = first.like(next) && line.indent == lines[start].indent && !line.blank_above;
                    if !alike || wide - narrow > first.stretch() {
                        break;
                    }
                    end += 1;
                }
            }
            if end - start > 1 {
                self.align_run(&mut lines[start..end], &cells[start..end]);
            }
            start = end;
        }
    }

    /// The keyword of an item; equations and entries have none.
    fn head(&self, line: &Line) -> Option<Token> {
        self.code.get(line.tokens.start).map(|l| l.token).filter(|token| token.is_keyword())
    }

    /// The cells of a line, if it is one item with one declaration.
    fn cells(&self, line: &Line) -> Option<Cells> {
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
            _ => &[Token::Eq, Token::Tilde],
        };
        let mut found: Vec<Lexeme> = Vec::new();
        let (mut typed, mut primed, mut first_width) = (false, false, 0);
        let gap = self.gap();
        let mut depth = 0i32;
        for (i, lexeme) in tokens.iter().enumerate() {
            if found.is_empty() {
                let at = line.tokens.start + i;
                first_width += self.written(at).chars().count() + usize::from(i > 0 && gap.before(at));
                typed |= depth == 0 && lexeme.token == Token::Colon;
                primed |= depth == 0 && lexeme.token == Token::Prime;
            }
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
        let complete = !found.is_empty() && depth == 0;
        let motion = primed || tokens[0].token == Token::Int;
        complete.then_some(Cells { separators: found, head, typed, motion, first_width })
    }

    fn align_run(&self, lines: &mut [Line], cells: &[Option<Cells>]) {
        let gap = self.gap();
        let n_cells = cells[0].as_ref().map_or(0, |cells| cells.separators.len());
        // For each line the text of its cells, each from a separator up to the next.
        let rows: Vec<Vec<String>> = lines
            .iter()
            .zip(cells)
            .map(|(line, cells)| {
                let mut row = vec![String::new()];
                for at in line.tokens.clone() {
                    let starts =
                        cells.iter().flat_map(|cells| &cells.separators).any(|cell| *cell == self.code[at]);
                    let colon = self.code[at].token == Token::Colon;
                    let follows_colon = at > line.tokens.start
                        && self.code[at - 1].token == Token::Colon
                        && cells
                            .iter()
                            .flat_map(|cells| &cells.separators)
                            .any(|cell| *cell == self.code[at - 1]);
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

/// How a line splits into cells that may be aligned with those of the next line.
struct Cells {
    /// The tokens at which a cell begins, or after which for the `:` of a field.
    separators: Vec<Lexeme>,
    head: Option<Token>,
    /// Whether a type is written before the first separator.
    typed: bool,
    /// Whether it is a line of motion: `x' = …`, `channel c' = …`, `0 = …`.
    motion: bool,
    /// Width of the first cell and the separator after it.
    first_width: usize,
}

impl Cells {
    fn like(&self, other: &Cells) -> bool {
        let kinds = |cells: &Cells| cells.separators.iter().map(|l| l.token).collect::<Vec<_>>();
        let flags = |cells: &Cells| (cells.head, cells.typed, cells.motion);
        flags(self) == flags(other) && kinds(self) == kinds(other)
    }

    /// How much the first cells of a run may differ in width. Equations read best as a table;
    /// elsewhere a long gap separates more than it joins.
    fn stretch(&self) -> usize {
        if self.motion { 8 } else { 4 }
    }
}

/// Aligns the trailing comments of consecutive lines.
pub(super) fn align_comments(lines: &mut [Line]) {
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
