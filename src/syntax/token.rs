//! The tokens of the language.
//!
//! [`Token`] says what a piece of text is; its text is read from the source through the span of
//! its [`Lexeme`]. Comments and line ends are tokens too, so that the formatter can keep them.
//! Item keywords (`state`, `loss`, …) are names here; `syntax::lexer` decides which of them
//! stand at the head of an item.

use logos::Logos;

/// What a piece of text is.
#[derive(Logos, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[logos(skip r"[ \t\r\u{feff}]+")]
#[allow(missing_docs, reason = "the attribute or the name of each variant is its text")]
pub enum Token {
    #[regex(r"#[^\n]*", allow_greedy = true)]
    Comment,
    /// A `##` line above an item; every other comment is a [`Token::Comment`].
    Doc,
    /// A `//`, `%` or `/* */` comment, which is a mistake (E0102).
    #[regex(r"(//|%)[^\n]*", allow_greedy = true)]
    #[regex(r"/\*([^*]|\*+[^*/])*\*+/")]
    WrongComment,
    #[token("\n")]
    Newline,
    /// A `;`, or a line end that ends an item.
    #[token(";")]
    Semi,

    #[regex(r"[0-9][0-9_]*")]
    Int,
    #[regex(r"[0-9][0-9_]*\.[0-9][0-9_]*([eE][+-]?[0-9]+)?")]
    #[regex(r"[0-9][0-9_]*[eE][+-]?[0-9]+")]
    Float,
    #[regex(r#""([^"\\\n]|\\[^\n])*""#)]
    Str,
    /// A string without its closing quote (E0108).
    #[regex(r#""([^"\\\n]|\\[^\n])*\\?"#, allow_greedy = true)]
    OpenStr,
    // Lowered digits are digits (`x₁`), raised ones would be read as powers (`x²`).
    #[regex(r"[\p{L}_][\p{L}\p{Nd}\p{Nl}₀-₉_]*")]
    Ident,

    #[token("'")]
    Prime,
    #[token("+")]
    Plus,
    #[token("-")]
    Minus,
    #[token("*")]
    Star,
    /// `**`, which is a mistake (E0103).
    #[token("**")]
    StarStar,
    #[token("/")]
    Slash,
    #[token("^")]
    Caret,
    #[token("@")]
    At,
    #[token("==")]
    EqEq,
    #[token("!=")]
    Ne,
    #[token("<=")]
    Le,
    #[token(">=")]
    Ge,
    #[token("<")]
    Lt,
    #[token(">")]
    Gt,
    #[token("=")]
    Eq,
    #[token(":=")]
    Becomes,
    #[token("~")]
    Tilde,
    #[token("->")]
    Arrow,
    #[token("|>")]
    Pipe,
    #[token("..")]
    DotDot,
    #[token(".")]
    Dot,
    #[token(",")]
    Comma,
    #[token(":")]
    Colon,
    #[token("?")]
    Question,
    #[token("(")]
    LParen,
    #[token(")")]
    RParen,
    #[token("[")]
    LBracket,
    #[token("]")]
    RBracket,
    #[token("{")]
    LBrace,
    #[token("}")]
    RBrace,

    // Hard keywords: never names.
    If,
    Then,
    Else,
    For,
    In,
    And,
    Or,
    Not,
    True,
    False,
    Fold,
    Scan,
    Let,
    Fn,
    Stop,
    Vs,
    As,

    // Item keywords: keywords at the head of an item only.
    Use,
    Const,
    Input,
    Output,
    Param,
    State,
    Algebraic,
    Discrete,
    Time,
    Data,
    Random,
    Noise,
    Control,
    Channel,
    Layer,
    System,
    When,
    Every,
    AtTimes,
    Loss,
    Metric,
    Plot,
    Export,
    Solve,
    Train,
    Run,
    Profile,
    Sweep,
    Ensemble,

    /// A character the language does not use (E0105).
    Error,
}

/// A token with the bytes `lo..hi` it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lexeme {
    /// What it is.
    pub token: Token,
    /// Its first byte.
    pub lo: usize,
    /// One past its last byte.
    pub hi: usize,
}

impl Lexeme {
    /// Its text in the source `text` it was read from.
    pub fn slice<'a>(&self, text: &'a str) -> &'a str {
        &text[self.lo..self.hi]
    }
}

/// The hard keywords with their spelling.
pub const HARD_KEYWORDS: [(&str, Token); 17] = [
    ("if", Token::If),
    ("then", Token::Then),
    ("else", Token::Else),
    ("for", Token::For),
    ("in", Token::In),
    ("and", Token::And),
    ("or", Token::Or),
    ("not", Token::Not),
    ("true", Token::True),
    ("false", Token::False),
    ("fold", Token::Fold),
    ("scan", Token::Scan),
    ("let", Token::Let),
    ("fn", Token::Fn),
    ("stop", Token::Stop),
    ("vs", Token::Vs),
    ("as", Token::As),
];

/// The item keywords with their spelling, in the order of the manual.
pub const ITEM_KEYWORDS: [(&str, Token); 29] = [
    ("use", Token::Use),
    ("const", Token::Const),
    ("input", Token::Input),
    ("output", Token::Output),
    ("param", Token::Param),
    ("state", Token::State),
    ("algebraic", Token::Algebraic),
    ("discrete", Token::Discrete),
    ("time", Token::Time),
    ("data", Token::Data),
    ("random", Token::Random),
    ("noise", Token::Noise),
    ("control", Token::Control),
    ("channel", Token::Channel),
    ("layer", Token::Layer),
    ("system", Token::System),
    ("when", Token::When),
    ("every", Token::Every),
    ("at", Token::AtTimes),
    ("loss", Token::Loss),
    ("metric", Token::Metric),
    ("plot", Token::Plot),
    ("export", Token::Export),
    ("solve", Token::Solve),
    ("train", Token::Train),
    ("run", Token::Run),
    ("profile", Token::Profile),
    ("sweep", Token::Sweep),
    ("ensemble", Token::Ensemble),
];

impl Token {
    /// The hard keyword spelt `name`.
    pub fn hard_keyword(name: &str) -> Option<Token> {
        spelt(&HARD_KEYWORDS, name)
    }

    /// The item keyword spelt `name`.
    pub fn item_keyword(name: &str) -> Option<Token> {
        spelt(&ITEM_KEYWORDS, name)
    }

    /// Whether it is a hard or an item keyword.
    pub fn is_keyword(self) -> bool {
        HARD_KEYWORDS.iter().chain(&ITEM_KEYWORDS).any(|(_, token)| *token == self)
    }

    /// Whether it is a comment or a line end that ends nothing.
    pub fn is_trivia(self) -> bool {
        matches!(self, Token::Comment | Token::WrongComment | Token::Newline)
    }

    /// Whether an expression may end with it, so that a line end after it can end an item.
    pub fn ends_operand(self) -> bool {
        matches!(
            self,
            Token::Ident
                | Token::Int
                | Token::Float
                | Token::Str
                | Token::OpenStr
                | Token::RParen
                | Token::RBracket
                | Token::RBrace
                | Token::Prime
                | Token::True
                | Token::False
                | Token::Stop
                | Token::Question
                | Token::Error
        )
    }

    /// Whether it joins two operands, the postfix `.` and `..` included, `-` too.
    pub fn is_infix(self) -> bool {
        matches!(
            self,
            Token::Plus
                | Token::Minus
                | Token::Star
                | Token::StarStar
                | Token::Slash
                | Token::Caret
                | Token::At
                | Token::EqEq
                | Token::Ne
                | Token::Le
                | Token::Ge
                | Token::Lt
                | Token::Gt
                | Token::Eq
                | Token::Becomes
                | Token::Tilde
                | Token::Arrow
                | Token::Pipe
                | Token::DotDot
                | Token::Dot
                | Token::And
                | Token::Or
        )
    }

    /// The closing bracket of an opening one.
    pub fn closer(self) -> Option<Token> {
        match self {
            Token::LParen => Some(Token::RParen),
            Token::LBracket => Some(Token::RBracket),
            Token::LBrace => Some(Token::RBrace),
            _ => None,
        }
    }

    /// Whether it is a closing bracket.
    pub fn is_closer(self) -> bool {
        matches!(self, Token::RParen | Token::RBracket | Token::RBrace)
    }
}

fn spelt(table: &[(&str, Token)], name: &str) -> Option<Token> {
    table.iter().find(|(spelling, _)| *spelling == name).map(|(_, token)| *token)
}

/// A readable listing of `tokens`, one a line: `line:column  kind  text`.
pub fn dump(tokens: &[Lexeme], text: &str) -> String {
    let mut out = String::new();
    let (mut line, mut start, mut seen) = (1, 0, 0);
    for lexeme in tokens {
        for (at, _) in text[seen..lexeme.lo].match_indices('\n') {
            line += 1;
            start = seen + at + 1;
        }
        seen = lexeme.lo;
        let column = text[start..lexeme.lo].chars().count() + 1;
        let kind = format!("{:?}", lexeme.token);
        let place = format!("{line}:{column}");
        let row = format!("{place:<8} {kind:<12} {}", lexeme.slice(text).replace('\n', "\\n"));
        out.push_str(row.trim_end());
        out.push('\n');
    }
    out
}
