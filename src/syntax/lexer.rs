//! Text to tokens, and the layout pass.
//!
//! [`lex`] never fails. It gives every token with comments and line ends for the formatter, and
//! the same stream without them for the parser, in which the line ends that end an item are
//! [`Token::Semi`], keywords are told from names, and every bracket is closed by its partner:
//! the closers that are missing are put in (E0106), those without an opener are left out (E0107).
//! What it repairs it reports; `repairs` tells the parser where, so that one mistake stays one
//! message.

use crate::base::span::{SourceId, Span};
use crate::diag::Sink;
use crate::syntax::errors;
use crate::syntax::token::{Lexeme, Token};
use crate::syntax::typeset::{latex, raised_digit};
use logos::Logos;
use std::ops::Range;

/// The most brackets reported as open at the end of the file, innermost first.
const MAX_UNCLOSED_REPORTS: usize = 8;

/// What [`lex`] gives.
#[derive(Clone, Debug, Default)]
pub struct Lexed {
    /// Every token, comments and line ends included, in the order of the text.
    pub tokens: Vec<Lexeme>,
    /// What the parser reads: brackets balanced, separators explicit.
    pub laid: Vec<Lexeme>,
    /// Offsets where the stream was repaired after a report, ascending.
    pub repairs: Vec<usize>,
}

/// The tokens of `text[range]`; offsets are into `text`. Mistakes go to `sink`.
pub fn lex(source: SourceId, text: &str, range: Range<usize>, sink: &mut Sink) -> Lexed {
    laid(source, text, range, true, sink)
}

/// The same, with every token only where it `keeps` them: the formatter alone wants them.
pub(super) fn laid(source: SourceId, text: &str, range: Range<usize>, keeps: bool, sink: &mut Sink) -> Lexed {
    let raw = raw_tokens(text, range.clone());
    let mut layout = Layout {
        source,
        text,
        end: range.end,
        line_start: range.start,
        indent: 0,
        next_code: 0,
        lexed: Lexed { laid: Vec::with_capacity(raw.len()), ..Lexed::default() },
        keeps,
        before: None,
        groups: Vec::new(),
        item: Item { start: true, margin: 0, head: Token::Semi },
        explained: 0,
        sink,
    };
    layout.begin_line(range.start);
    layout.run(raw);
    layout.lexed.repairs.sort_unstable();
    layout.lexed
}

fn raw_tokens(text: &str, range: Range<usize>) -> Vec<Lexeme> {
    let mut raw: Vec<Lexeme> = Vec::new();
    for (token, at) in Token::lexer(&text[range.clone()]).spanned() {
        let (lo, hi) = (range.start + at.start, range.start + at.end);
        let token = token.unwrap_or(Token::Error);
        match raw.last_mut() {
            // A run of characters without meaning is one mistake.
            Some(last) if token == Token::Error && last.token == Token::Error && last.hi == lo => {
                last.hi = hi
            }
            _ => raw.push(Lexeme { token, lo, hi }),
        }
    }
    raw
}

/// An open bracket.
struct Group {
    open: Lexeme,
    /// Whether it is the brace of a layer or a system, which holds items.
    container: bool,
    /// The item it stands in.
    item: Item,
}

/// The item being read.
#[derive(Clone, Copy)]
struct Item {
    /// Whether its first token is still to come.
    start: bool,
    /// Indentation in bytes of the line it begins in. An item may begin further right, after a
    /// `;` or a brace; what goes on with it need only be right of that line.
    margin: usize,
    /// Its first token.
    head: Token,
}

struct Layout<'a> {
    source: SourceId,
    text: &'a str,
    end: usize,
    /// Where the line being read begins.
    line_start: usize,
    /// Blanks at the beginning of that line, in bytes.
    indent: usize,
    /// Position of the first token ahead that is not trivia.
    next_code: usize,
    lexed: Lexed,
    /// Whether every token is kept.
    keeps: bool,
    /// The last token, whether or not it is.
    before: Option<Lexeme>,
    groups: Vec<Group>,
    item: Item,
    /// Up to where characters without meaning have been explained by an earlier message.
    explained: usize,
    sink: &'a mut Sink,
}

impl Layout<'_> {
    fn run(&mut self, raw: Vec<Lexeme>) {
        let mut at = 0;
        while at < raw.len() {
            if at >= self.next_code {
                let next = raw[at + 1..].iter().position(|l| !l.token.is_trivia());
                self.next_code = next.map_or(raw.len(), |next| at + 1 + next);
            }
            at += self.step(raw[at], &raw[at + 1..], raw.get(self.next_code..).unwrap_or(&[]));
        }
        let mut reports = 0..MAX_UNCLOSED_REPORTS;
        while let Some(group) = self.groups.pop() {
            if reports.next().is_some() {
                self.sink.report(errors::unclosed(self.span(group.open), self.slice(group.open), None));
            }
            self.close(group, self.end);
        }
        while self.lexed.laid.last().is_some_and(|last| last.token == Token::Semi) {
            self.lexed.laid.pop();
        }
    }

    /// Takes one token, which `rest` follows, and gives how many it used. `code` is `rest` from its
    /// first token that is not trivia.
    fn step(&mut self, lexeme: Lexeme, rest: &[Lexeme], code: &[Lexeme]) -> usize {
        match lexeme.token {
            Token::Newline => self.newline(lexeme, code),
            Token::Comment => self.comment(lexeme, code),
            Token::WrongComment => {
                self.wrong_comment(lexeme, rest);
                self.take(lexeme);
            }
            Token::Semi => {
                if self.last().is_some_and(Token::ends_operand) {
                    self.lexed.laid.push(lexeme);
                }
                self.take(lexeme);
                self.item.start = true;
            }
            Token::StarStar => {
                self.sink.report(errors::star_star(self.span(lexeme)));
                self.push(Lexeme { token: Token::Caret, ..lexeme });
            }
            Token::OpenStr => {
                self.sink.report(errors::open_string(self.span(lexeme)));
                self.lexed.repairs.push(lexeme.lo);
                self.push(Lexeme { token: Token::Str, ..lexeme });
            }
            Token::Error => {
                self.unknown_character(lexeme, rest);
                self.lexed.repairs.push(lexeme.lo);
                self.push(lexeme);
            }
            Token::Int | Token::Dot => return self.number(lexeme, rest),
            Token::Ident => {
                let token = self.keyword_or_name(lexeme, rest);
                self.push(Lexeme { token, ..lexeme });
            }
            Token::LParen | Token::LBracket | Token::LBrace => self.open(lexeme),
            Token::RParen | Token::RBracket | Token::RBrace => self.closer(lexeme),
            _ => self.push(lexeme),
        }
        1
    }

    /// Takes a token that the parser may not see.
    fn take(&mut self, lexeme: Lexeme) {
        self.before = Some(lexeme);
        if self.keeps {
            self.lexed.tokens.push(lexeme);
        }
    }

    /// Hands a token on.
    fn push(&mut self, lexeme: Lexeme) {
        if self.item.start {
            self.item = Item { start: false, margin: self.indent, head: lexeme.token };
        }
        self.take(lexeme);
        self.lexed.laid.push(lexeme);
    }

    fn begin_line(&mut self, at: usize) {
        self.line_start = at;
        self.indent = self.text[at..self.end].find(|c| !is_blank(c)).unwrap_or(self.end - at);
    }

    fn newline(&mut self, lexeme: Lexeme, code: &[Lexeme]) {
        self.begin_line(lexeme.hi);
        let blank = self.before.as_ref().is_some_and(|last| last.token == Token::Newline);
        if !blank && !code.is_empty() {
            self.rescue(lexeme, code);
        }
        let outside = self.groups.last().is_none_or(|group| group.open.token == Token::LBrace);
        let ends = self.last().is_some_and(Token::ends_operand)
            && code.first().is_some_and(|next| !self.continues(*next));
        if outside && ends {
            let semi = Lexeme { token: Token::Semi, ..lexeme };
            self.take(semi);
            self.lexed.laid.push(semi);
            self.item.start = true;
        } else {
            self.take(lexeme);
        }
    }

    /// Whether a line that starts with `lexeme` goes on with the line above.
    fn continues(&self, lexeme: Lexeme) -> bool {
        match lexeme.token {
            Token::Minus => false,
            Token::Comma | Token::Colon | Token::LBrace => true,
            Token::Ident => {
                matches!(self.slice(lexeme), "then" | "else" | "and" | "or" | "in" | "for" | "vs")
            }
            token => token.is_infix() || token.is_closer(),
        }
    }

    /// Bracket rescue: a line that starts an item at the margin of the open one closes the
    /// brackets that were left open.
    fn rescue(&mut self, line_end: Lexeme, line: &[Lexeme]) {
        let start = self.text[..line[0].lo].rfind('\n').map_or(0, |newline| newline + 1);
        let column = line[0].lo - start;
        while let Some(group) = self.groups.last() {
            let inside_braces = group.open.token == Token::LBrace;
            let margin = if inside_braces { group.item.margin } else { self.item.margin };
            if group.container || column > margin || !self.starts_item(line, inside_braces) {
                return;
            }
            let Some(group) = self.groups.pop() else { return };
            let opened = self.span(group.open);
            self.sink.report(errors::unclosed(opened, self.slice(group.open), Some(self.span(line[0]))));
            self.close(group, line_end.lo);
        }
    }

    /// Whether `line` can only be an item. Inside braces, where `let` and `x' = …` may stand too,
    /// only an item keyword says so.
    fn starts_item(&self, line: &[Lexeme], inside_braces: bool) -> bool {
        let first = line[0];
        if first.token != Token::Ident {
            return false;
        }
        let second = line.get(1).map(|l| l.token);
        let name = self.slice(first);
        if let Some(keyword) = Token::item_keyword(name) {
            let distinct = !matches!(
                keyword,
                Token::Plot | Token::When | Token::Every | Token::AtTimes | Token::Sweep | Token::Ensemble
            );
            if fits(keyword, second) && (distinct || second == Some(Token::Ident)) {
                return true;
            }
        }
        if inside_braces {
            return false;
        }
        let primes = line[1..].iter().take_while(|l| l.token == Token::Prime).count();
        let equation = primes > 0 && line.get(1 + primes).is_some_and(|l| l.token == Token::Eq);
        equation
            || (matches!(name, "let" | "fn") && second == Some(Token::Ident))
            || (name == "fn" && second == Some(Token::LParen))
    }

    fn comment(&mut self, lexeme: Lexeme, code: &[Lexeme]) {
        let place = match self.groups.last() {
            None => true,
            Some(group) => {
                group.container || (group.open.token == Token::LBrace && group.item.head == Token::Data)
            }
        };
        let above = code.first().is_some_and(|next| !next.token.is_closer());
        let own_line = self.item.start && self.line_start + self.indent == lexeme.lo;
        if self.slice(lexeme).starts_with("##") && place && above && own_line {
            let doc = Lexeme { token: Token::Doc, ..lexeme };
            self.take(doc);
            self.lexed.laid.push(doc);
        } else {
            self.take(lexeme);
        }
    }

    fn wrong_comment(&mut self, lexeme: Lexeme, rest: &[Lexeme]) {
        let (span, text) = (self.span(lexeme), lexeme.slice(self.text));
        let message = if text.starts_with("/*") {
            errors::block_comment(span, text, rest.first().is_none_or(|next| next.token == Token::Newline))
        } else {
            let marks = if text.starts_with('%') { "%" } else { "//" };
            let glued = self.before.as_ref().is_some_and(|l| l.hi == lexeme.lo && l.token.ends_operand());
            let after = text[marks.len()..].chars().next();
            errors::wrong_comment(span, marks, glued && after.is_some_and(char::is_alphanumeric))
        };
        self.sink.report(message);
        if let Some(newline) = text.rfind('\n') {
            self.begin_line(lexeme.lo + newline + 1);
        }
    }

    fn unknown_character(&mut self, lexeme: Lexeme, rest: &[Lexeme]) {
        if lexeme.lo < self.explained {
            return;
        }
        let (span, text) = (self.span(lexeme), lexeme.slice(self.text));
        let value_before = self.last().is_some_and(Token::ends_operand) && !self.item.start;
        let next = rest.first().filter(|next| next.lo == lexeme.hi);
        let message = match (text, next) {
            ("\\", Some(name)) if name.token == Token::Ident => {
                let (hi, replacement) = latex(self.text, *name);
                self.explained = hi;
                let span = Span::new(self.source, lexeme.lo, hi);
                errors::foreign::latex(span, &self.text[lexeme.lo..name.hi], replacement.as_deref())
            }
            ("∂", Some(name)) => {
                // One message for the line: `∂x/∂t` has two of them.
                let line_end = self.text[lexeme.lo..].find('\n').map_or(self.text.len(), |at| lexeme.lo + at);
                self.explained = line_end;
                let ends = self.text[name.hi..].strip_prefix("/∂t").map(|_| name.hi + "/∂t".len());
                let quotient = ends.map(|end| Span::new(self.source, lexeme.lo, end));
                errors::partial(span, name.slice(self.text), quotient)
            }
            ("$", _) => {
                self.explained =
                    self.text[lexeme.lo..].find('\n').map_or(self.text.len(), |at| lexeme.lo + at);
                errors::unknown_character(span, text, true)
            }
            ("|", Some(_)) if !value_before => {
                let line = rest.iter().take_while(|l| l.token != Token::Newline);
                let close = line.into_iter().find(|l| l.token == Token::Error && self.slice(**l) == "|");
                match close.copied() {
                    Some(close) => {
                        self.explained = close.hi;
                        errors::bars(span, self.span(close))
                    }
                    None => errors::unknown_character(span, text, true),
                }
            }
            _ => match text.chars().map(raised_digit).collect::<Option<String>>() {
                Some(power) if value_before => errors::superscript(span, &power),
                Some(_) | None => errors::unknown_character(span, text, next.is_some() && !value_before),
            },
        };
        self.sink.report(message);
    }

    /// `1.` and `.5` are read as the numbers they are meant to be; any other `Int` or `Dot` as it
    /// stands.
    fn number(&mut self, lexeme: Lexeme, rest: &[Lexeme]) -> usize {
        let next = rest.first().filter(|next| next.lo == lexeme.hi);
        let before = self.before.as_ref().filter(|l| l.hi == lexeme.lo);
        match (lexeme.token, next) {
            (Token::Int, Some(dot)) if dot.token == Token::Dot => {
                let exponent = rest.get(1).filter(|l| l.lo == dot.hi && is_exponent(self.slice(**l)));
                let hi = exponent.map_or(dot.hi, |l| l.hi);
                let number = Lexeme { token: Token::Float, lo: lexeme.lo, hi };
                self.sink.report(errors::bare_point(self.span(number), dot.hi));
                self.push(number);
                if exponent.is_some() { 3 } else { 2 }
            }
            (Token::Dot, Some(digits))
                if matches!(digits.token, Token::Int | Token::Float)
                    && !before.is_some_and(|l| l.token.ends_operand()) =>
            {
                let number = Lexeme { token: Token::Float, lo: lexeme.lo, hi: digits.hi };
                self.sink.report(errors::bare_point(self.span(number), lexeme.lo));
                self.push(number);
                2
            }
            _ => {
                self.push(lexeme);
                1
            }
        }
    }

    fn keyword_or_name(&self, lexeme: Lexeme, rest: &[Lexeme]) -> Token {
        if self.last() == Some(Token::Dot) {
            return Token::Ident;
        }
        let name = self.slice(lexeme);
        if let Some(keyword) = Token::hard_keyword(name) {
            return keyword;
        }
        let among_items = self.groups.last().is_none_or(|group| group.container);
        match Token::item_keyword(name) {
            Some(keyword)
                if self.item.start && among_items && fits(keyword, rest.first().map(|l| l.token)) =>
            {
                keyword
            }
            _ => Token::Ident,
        }
    }

    fn open(&mut self, lexeme: Lexeme) {
        self.push(lexeme);
        let container =
            lexeme.token == Token::LBrace && matches!(self.item.head, Token::Layer | Token::System);
        let container = container && self.groups.last().is_none_or(|group| group.container);
        self.groups.push(Group { open: lexeme, container, item: self.item });
        if lexeme.token == Token::LBrace {
            self.item = Item { start: true, ..self.item };
        }
    }

    fn closer(&mut self, lexeme: Lexeme) {
        let closed_by = |group: &Group| group.open.token.closer() == Some(lexeme.token);
        // A round or square bracket does not reach out of the braces it stands in.
        let nearest =
            self.groups.iter().rposition(|group| closed_by(group) || group.open.token == Token::LBrace);
        let partner = nearest.filter(|at| closed_by(&self.groups[*at]));
        let Some(partner) = partner else {
            self.sink.report(errors::unopened(self.span(lexeme), self.slice(lexeme)));
            self.lexed.repairs.push(lexeme.lo);
            self.take(lexeme);
            return;
        };
        while self.groups.len() > partner + 1 {
            let Some(group) = self.groups.pop() else { break };
            self.sink.report(errors::unclosed_before(
                self.span(group.open),
                self.slice(group.open),
                self.span(lexeme),
                self.slice(lexeme),
            ));
            self.close(group, lexeme.lo);
        }
        if let Some(group) = self.groups.pop() {
            self.item = group.item;
        }
        self.take(lexeme);
        self.lexed.laid.push(lexeme);
    }

    /// Puts in the closer that `group` lacks.
    fn close(&mut self, group: Group, at: usize) {
        let token = group.open.token.closer().unwrap_or(Token::RBrace);
        self.lexed.laid.push(Lexeme { token, lo: at, hi: at });
        self.lexed.repairs.push(group.open.lo);
        self.item = group.item;
    }

    fn last(&self) -> Option<Token> {
        self.lexed.laid.last().map(|l| l.token)
    }

    fn slice(&self, lexeme: Lexeme) -> &str {
        lexeme.slice(self.text)
    }

    fn span(&self, lexeme: Lexeme) -> Span {
        Span::new(self.source, lexeme.lo, lexeme.hi)
    }
}

/// Whether `c` is a blank inside a line.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\u{feff}')
}

fn is_exponent(name: &str) -> bool {
    name.strip_prefix(['e', 'E'])
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether an item keyword followed by `next` on its line heads an item; if not it is a name.
fn fits(keyword: Token, next: Option<Token>) -> bool {
    let Some(next) = next else { return false };
    match keyword {
        Token::Use => matches!(next, Token::Ident | Token::Str | Token::OpenStr),
        Token::Loss | Token::Metric => matches!(next, Token::Ident | Token::Eq),
        Token::Export => matches!(next, Token::Str | Token::OpenStr),
        Token::Solve | Token::Train | Token::Run => next == Token::LBrace,
        Token::Plot | Token::Sweep | Token::When | Token::Every | Token::AtTimes | Token::Ensemble => {
            matches!(
                next,
                Token::Ident
                    | Token::Int
                    | Token::Float
                    | Token::Str
                    | Token::LParen
                    | Token::LBracket
                    | Token::Minus
            )
        }
        _ => next == Token::Ident,
    }
}
