//! Random programs that follow the grammar: every kind of item and every form of expression, in
//! any layout that the rules of lines allow. Here is how tokens are laid out; what they are is in
//! [`items`], [`types`] and [`expressions`].

mod expressions;
mod items;
mod types;

use super::random::Random;

/// Writes a program; a case is its seed.
pub struct Writer<'r> {
    random: &'r mut Random,
    text: String,
    /// Open round and square brackets: inside them a line may end anywhere.
    brackets: usize,
    /// How deep expressions may still go.
    fuel: usize,
}

const NAMES: &[&str] = &[
    "x", "y", "z", "k", "alpha", "σ", "x0", "obs", "net", "H", "T", "state", "time", "data", "loss", "run",
    "at", "every", "A_1", "x₁",
];
/// Names that may begin an item without being read as its keyword.
const PLAIN: &[&str] = &["x", "y", "z", "k", "alpha", "σ", "x0", "obs", "net", "H", "T", "A_1"];
const CAPITAL: &[&str] = &["Dense", "MLP", "Net", "Cnf"];

/// A program of some items.
pub fn program(random: &mut Random) -> String {
    let items = random.below(6) + 1;
    let mut writer = Writer { random, text: String::new(), brackets: 0, fuel: 0 };
    for _ in 0..items {
        writer.item(0);
    }
    writer.text
}

impl Writer<'_> {
    fn below(&mut self, bound: usize) -> usize {
        self.random.below(bound)
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.random.chance(one_in)
    }

    /// A token, with blanks, and inside brackets now and then a line end and a comment.
    fn put(&mut self, token: &str) {
        let last = self.text.chars().last().unwrap_or('\n');
        let first = token.chars().next().unwrap_or(' ');
        let word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let close = matches!(last, '(' | '[') || matches!(first, ')' | ']' | ',');
        // A line that begins with such a word would close the brackets: bracket rescue.
        let heads = ["state", "time", "data", "loss", "run", "at", "every", "fn"].contains(&token);
        if self.brackets > 0 && !heads && self.random.chance(12) {
            let comment = if self.random.chance(2) { " # inside" } else { "" };
            self.text += comment;
            self.text += "\n        ";
        } else if last != '\n' {
            let close = close && !word(last) && self.random.chance(2);
            self.text += match self.random.below(8) {
                _ if close => "",
                0 => "   ",
                _ => " ",
            };
        }
        self.text += token;
    }

    /// A token that must follow the last one without a blank.
    fn glue(&mut self, token: &str) {
        self.text += token;
    }

    fn puts(&mut self, tokens: &[&str]) {
        for token in tokens {
            self.put(token);
        }
    }

    fn open(&mut self, bracket: &str) {
        self.put(bracket);
        self.brackets += 1;
    }

    fn close(&mut self, bracket: &str) {
        self.put(bracket);
        self.brackets -= 1;
    }

    fn name(&mut self) {
        let name = self.random.pick(NAMES);
        self.put(name);
    }

    fn plain(&mut self) {
        let name = self.random.pick(PLAIN);
        self.put(name);
    }

    /// Parts between commas.
    fn listed(&mut self, most: usize, part: fn(&mut Self)) {
        let count = 1 + self.below(most);
        for i in 0..count {
            if i > 0 {
                self.put(",");
            }
            part(self);
        }
    }

    /// `{ a, b }` or a line each, with comments.
    fn entries(&mut self, indent: usize, entry: fn(&mut Self)) {
        self.put("{");
        let lines = self.chance(2);
        let count = self.below(4);
        let brackets = std::mem::take(&mut self.brackets);
        for i in 0..count {
            if lines {
                if self.chance(5) {
                    self.text += "  # then";
                }
                self.text += "\n";
                self.text += &" ".repeat(indent + 2);
                if self.chance(6) {
                    self.text += "# a line of its own\n";
                    self.text += &" ".repeat(indent + 2);
                }
            } else if i > 0 {
                let separator = if self.chance(4) { ";" } else { "," };
                self.put(separator);
            }
            entry(self);
        }
        if lines {
            self.text += "\n";
            self.text += &" ".repeat(indent);
        }
        self.brackets = brackets;
        self.put("}");
    }

    fn maybe(&mut self, word: &str, part: fn(&mut Self)) {
        if self.chance(2) {
            self.put(word);
            part(self);
        }
    }
}
