//! Random texts: bytes, characters, tokens, mutations of known programs.

use nodec::syntax::token::{HARD_KEYWORDS, ITEM_KEYWORDS};

/// A small generator of random numbers (xorshift64*, Vigna 2016), so that a case is its seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound.max(1)
    }

    pub fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    pub fn pick<'a, X: ?Sized>(&mut self, of: &[&'a X]) -> &'a X {
        of[self.below(of.len())]
    }
}

/// Any bytes, read as UTF-8 as far as they are.
pub fn bytes(random: &mut Random) -> String {
    let length = random.below(300);
    let bytes: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Characters of all lengths: letters of many scripts, marks, signs, the last code point.
pub fn characters(random: &mut Random) -> String {
    const KNOWN: &[char] = &[
        'x',
        '1',
        '.',
        '\'',
        '"',
        '\\',
        '\n',
        '\r',
        '\t',
        ' ',
        '#',
        '/',
        '*',
        '%',
        '(',
        ')',
        '[',
        ']',
        '{',
        '}',
        '-',
        '=',
        '~',
        '_',
        'σ',
        'ẋ',
        '∂',
        '√',
        '²',
        '₁',
        '−',
        '’',
        '“',
        '\u{feff}',
        '\u{307}',
        '\u{200b}',
        '\u{2028}',
        '\u{a0}',
        '漢',
        '🜂',
        '\u{10ffff}',
        '\0',
        '|',
        '$',
        '&',
        '!',
        '@',
        ';',
        ',',
        ':',
        '?',
    ];
    let length = random.below(120);
    let any = |random: &mut Random| char::from_u32(random.below(0x11_0000) as u32).unwrap_or('x');
    (0..length)
        .map(|_| if random.chance(5) { any(random) } else { KNOWN[random.below(KNOWN.len())] })
        .collect()
}

const PIECES: &[&str] = &[
    "x",
    "y",
    "z",
    "k",
    "obs",
    "np",
    "d",
    "dt",
    "def",
    "function",
    "lambda",
    "return",
    "end",
    "import",
    "float",
    "parameters",
    "model",
    "elif",
    "while",
    "print",
    "solve_ivp",
    "MLP",
    "normal",
    "grad",
    "sum",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "=",
    "==",
    "'",
    "+",
    "-",
    "*",
    "**",
    "/",
    "^",
    "..",
    ".",
    ",",
    ":",
    ";",
    ":=",
    "~",
    "->",
    "|>",
    "<-",
    "~=",
    "<>",
    "+=",
    "++",
    ".*",
    "@.",
    "?",
    "1",
    "2.5",
    "1.",
    ".5",
    "1e9",
    "99999999999999999999",
    "\"s\"",
    "\"s",
    "\\",
    "\\alpha",
    "\\dot{x}",
    "#c\n",
    "## d\n",
    "\n",
    "\n\n",
    "\n  ",
    " ",
    " ",
    " ",
    "% c\n",
    "//c\n",
    "/* c */",
    "/* c\n",
    "σ",
    "∂",
    "²",
    "|",
    "$",
    "!",
    "&&",
    "<",
    "@",
    "\r\n",
    "\t",
    "x' = ",
    "state x = 1\n",
    "5 ms",
];

/// Tokens of this and of other languages in any order.
pub fn tokens(random: &mut Random) -> String {
    let keywords = HARD_KEYWORDS.iter().chain(&ITEM_KEYWORDS);
    let keywords: Vec<&str> = keywords.map(|(spelling, _)| *spelling).collect();
    let length = random.below(60);
    let mut text = String::new();
    for _ in 0..length {
        if random.chance(4) {
            text += random.pick(&keywords);
            text += if random.chance(5) { "" } else { " " };
        } else {
            text += random.pick(PIECES);
        }
    }
    text
}

/// Splits into words, numbers, single marks and spaces.
fn split(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut in_word = false;
    for c in text.chars() {
        let word = c.is_alphanumeric() || c == '_' || c == '.';
        match tokens.last_mut() {
            Some(last) if word && in_word => last.push(c),
            Some(_) | None => tokens.push(c.to_string()),
        }
        in_word = word;
    }
    tokens
}

/// A program with a few slips: parts deleted, doubled, exchanged, replaced, or the end cut off.
pub fn mutated(corpus: &[String], random: &mut Random) -> String {
    let text = &corpus[random.below(corpus.len())];
    let by_line = random.below(3) == 0;
    let mut pieces: Vec<String> =
        if by_line { text.split_inclusive('\n').map(str::to_owned).collect() } else { split(text) };
    if pieces.is_empty() {
        return String::new();
    }
    for _ in 0..=random.below(4) {
        let (i, j) = (random.below(pieces.len()), random.below(pieces.len()));
        match random.below(8) {
            0 if pieces.len() > 1 => drop(pieces.remove(i)),
            1 => pieces.insert(i, pieces[j].clone()),
            2 => pieces.swap(i, j),
            3 => pieces[i] = random.pick(PIECES).to_string(),
            4 => pieces.insert(i, random.pick(PIECES).to_string()),
            5 if random.chance(4) => pieces.truncate(i + 1),
            6 => {
                let other = &corpus[random.below(corpus.len())];
                let lines: Vec<&str> = other.split_inclusive('\n').collect();
                if !lines.is_empty() {
                    pieces.insert(i, lines[random.below(lines.len())].to_string());
                }
            }
            _ => pieces[i] = pieces[j].clone(),
        }
    }
    pieces.concat()
}
