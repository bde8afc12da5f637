//! Random programs that follow the grammar: every kind of item and every form of expression, in
//! any layout that the rules of lines allow.

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

    fn item(&mut self, indent: usize) {
        self.text += &" ".repeat(indent);
        if self.chance(6) {
            self.text += "# about nothing\n";
            self.text += &" ".repeat(indent);
        }
        if self.chance(5) {
            self.text += "## What it is [m/s]\n";
            self.text += &" ".repeat(indent);
        }
        self.fuel = 12;
        self.bare(indent);
        if self.chance(6) {
            self.text += "  # trailing";
        }
        let apart = self.chance(4);
        self.text += if apart { "\n\n" } else { "\n" };
    }

    fn bare(&mut self, indent: usize) {
        match self.below(if indent == 0 { 34 } else { 26 }) {
            0 => {
                self.puts(&["use", "std"]);
                self.glue(".layers");
                if self.chance(2) {
                    self.open("(");
                    self.listed(3, Self::name);
                    self.close(")");
                }
            }
            1 => {
                self.puts(&["use", "\"ours.node\""]);
                if self.chance(2) {
                    self.put("as");
                    self.name();
                }
            }
            2 => self.declared("const"),
            3 => self.declared("input"),
            4 => self.declared("output"),
            5 | 6 => {
                self.put("param");
                self.listed(2, |w| {
                    w.plain();
                    w.maybe_type();
                    w.maybe("in", Self::sum);
                    w.maybe("=", Self::expr);
                    w.maybe("~", Self::sum);
                });
            }
            7 | 8 => {
                let keyword = self.random.pick(&["state", "algebraic", "discrete"]);
                self.put(keyword);
                self.listed(2, |w| {
                    w.plain();
                    let primes = "'".repeat(w.below(3));
                    w.glue(&primes);
                    w.maybe_type();
                    w.maybe("=", Self::expr);
                });
            }
            9 => {
                self.puts(&["time", "t", "in"]);
                self.sum();
                self.glue("..");
                self.sum();
            }
            10 | 11 => self.binding(),
            12 => {
                self.puts(&["random", "eps"]);
                self.maybe_type();
                self.put("~");
                self.expr();
            }
            13 => {
                self.puts(&["noise", "W"]);
                self.maybe_type();
                self.put("=");
                self.expr();
            }
            14 => {
                self.puts(&["control", "u", "="]);
                self.expr();
            }
            15 => {
                self.puts(&["channel", "work"]);
                self.glue("'");
                self.maybe_type();
                self.put("=");
                self.expr();
            }
            16 | 17 => self.function(indent),
            18 => {
                let keyword = self.random.pick(&["loss", "metric"]);
                self.put(keyword);
                if self.chance(2) {
                    self.plain();
                }
                self.put("=");
                self.expr();
            }
            19 | 20 => {
                let keyword = self.random.pick(&["when", "every", "at"]);
                self.put(keyword);
                self.plain();
                self.put(">");
                self.sum();
                self.entries(indent, |w| match w.below(4) {
                    0 => w.put("stop"),
                    1 => w.binding(),
                    _ => {
                        w.plain();
                        w.put(":=");
                        w.expr();
                    }
                });
            }
            21..=23 => {
                self.plain();
                let primes = "'".repeat(self.below(3));
                self.glue(&primes);
                self.put("=");
                self.expr();
            }
            24 => {
                self.put("0");
                self.put("=");
                self.expr();
            }
            25 => {
                let group = self.random.pick(&["solve", "train", "run"]);
                self.put(group);
                self.entries(indent, Self::setting);
            }
            26 => {
                self.puts(&["profile", "eval"]);
                self.entries(indent, Self::setting);
            }
            27 => {
                self.put("plot");
                self.plain();
                self.put(",");
                self.listed(2, Self::sum);
                self.maybe("vs", Self::sum);
            }
            28 => {
                self.puts(&["export", "\"run.csv\""]);
                self.entries(indent, Self::sum);
            }
            29 => {
                self.put("sweep");
                self.plain();
                self.put("in");
                self.expr();
            }
            30 => {
                self.puts(&["ensemble", "64"]);
                self.entries(indent, |w| {
                    w.plain();
                    w.put("~");
                    w.sum();
                });
            }
            31 => {
                self.puts(&["data", "obs", "=", "csv"]);
                self.arguments();
                self.entries(indent, |w| {
                    w.plain();
                    w.put(":");
                    w.ty();
                    w.maybe("=", Self::sum);
                });
            }
            _ => self.container(),
        }
    }

    fn declared(&mut self, keyword: &str) {
        self.put(keyword);
        self.listed(2, |w| {
            w.plain();
            w.maybe_type();
            w.maybe("=", Self::expr);
        });
    }

    fn setting(&mut self) {
        let key = self.random.pick(&["rtol", "method", "train.optimizer.lr", "solve.dt", "atol.y"]);
        self.puts(&[key, "="]);
        self.expr();
    }

    fn binding(&mut self) {
        self.put("let");
        self.pattern();
        if self.chance(4) {
            self.maybe_type();
        }
        self.put("=");
        self.expr();
    }

    fn container(&mut self) {
        let keyword = self.random.pick(&["layer", "system"]);
        self.put(keyword);
        let name = self.random.pick(CAPITAL);
        self.put(name);
        self.generics();
        if self.chance(2) {
            self.open("(");
            self.listed(2, Self::parameter);
            self.close(")");
        }
        self.put("{");
        self.text += "\n";
        for _ in 0..self.below(4) {
            self.item(2);
        }
        self.text += "}";
    }

    fn generics(&mut self) {
        if self.chance(2) {
            self.glue("[");
            self.brackets += 1;
            self.listed(3, Self::plain);
            self.close("]");
        }
    }

    fn parameter(&mut self) {
        self.plain();
        self.maybe_type();
        self.maybe("=", Self::sum);
    }

    fn function(&mut self, indent: usize) {
        self.put("fn");
        let name = self.random.pick(&["f", "sigma", "rk"]);
        self.put(name);
        self.generics();
        self.open("(");
        if self.chance(6) {
            self.text += "";
        } else {
            self.listed(3, Self::parameter);
        }
        self.close(")");
        if self.chance(3) {
            self.put("->");
            self.ty();
        }
        if self.chance(2) {
            self.put("=");
            self.expr();
        } else {
            self.block(indent);
        }
    }

    fn block(&mut self, indent: usize) {
        let brackets = std::mem::take(&mut self.brackets);
        self.put("{");
        let lines = self.chance(2);
        for _ in 0..self.below(3) {
            if lines {
                self.text += "\n";
                self.text += &" ".repeat(indent + 2);
            }
            self.binding();
            if !lines {
                self.put(";");
            }
        }
        if lines {
            self.text += "\n";
            self.text += &" ".repeat(indent + 2);
        }
        self.expr();
        if lines {
            self.text += "\n";
            self.text += &" ".repeat(indent);
        }
        self.put("}");
        self.brackets = brackets;
    }

    fn pattern(&mut self) {
        if self.fuel > 0 && self.chance(4) {
            self.fuel -= 1;
            self.open("(");
            self.listed(2, Self::pattern);
            self.close(")");
        } else {
            self.plain();
        }
    }

    fn maybe(&mut self, word: &str, part: fn(&mut Self)) {
        if self.chance(2) {
            self.put(word);
            part(self);
        }
    }

    fn maybe_type(&mut self) {
        if self.chance(3) {
            self.put(":");
            self.ty();
        }
    }

    fn ty(&mut self) {
        self.fuel = self.fuel.saturating_sub(1);
        match self.below(if self.fuel == 0 { 2 } else { 6 }) {
            0 => self.put("real"),
            1 => {
                self.put("[");
                self.brackets += 1;
                self.listed(2, |w| {
                    w.small();
                    if w.chance(4) {
                        w.glue("?");
                    }
                });
                self.close("]");
            }
            2 => {
                self.put("int");
                self.glue("[");
                self.brackets += 1;
                self.plain();
                self.close("]");
            }
            3 => {
                self.put("fn");
                self.glue("(");
                self.brackets += 1;
                self.listed(2, Self::ty);
                self.close(")");
                self.put("->");
                self.ty();
            }
            _ => {
                self.open("(");
                self.listed(2, |w| {
                    w.plain();
                    w.put(":");
                    w.ty();
                });
                self.close(")");
            }
        }
    }

    /// A size.
    fn small(&mut self) {
        match self.below(3) {
            0 => self.put("3"),
            1 => self.plain(),
            _ => {
                self.puts(&["2", "*"]);
                self.plain();
            }
        }
    }

    fn expr(&mut self) {
        self.fuel = self.fuel.saturating_sub(1);
        if self.fuel == 0 {
            return self.atom();
        }
        match self.below(12) {
            0 => {
                self.put("if");
                self.or();
                self.put("then");
                self.expr();
                self.put("else");
                self.expr();
            }
            1 => {
                self.pattern();
                self.put("->");
                self.expr();
            }
            2 => {
                let word = self.random.pick(&["fold", "scan"]);
                self.put(word);
                self.pattern();
                self.put("=");
                self.sum();
                self.put("for");
                self.pattern();
                self.put("in");
                self.sum();
                self.block(2);
            }
            3 => {
                self.or();
                self.put("|>");
                self.postfix();
            }
            4 => {
                self.sum();
                self.put("..");
                self.sum();
            }
            5 => self.or(),
            _ => self.sum(),
        }
    }

    fn or(&mut self) {
        match self.below(5) {
            0 => {
                self.comparison();
                let word = self.random.pick(&["and", "or"]);
                self.put(word);
                self.comparison();
            }
            1 => {
                self.put("not");
                self.comparison();
            }
            _ => self.comparison(),
        }
    }

    fn comparison(&mut self) {
        self.sum();
        if self.chance(2) {
            let operator = self.random.pick(&["==", "!=", "<", "<=", ">", ">="]);
            self.put(operator);
            self.sum();
        }
    }

    fn sum(&mut self) {
        self.product();
        while self.fuel > 0 && self.chance(3) {
            self.fuel -= 1;
            let operator = self.random.pick(&["+", "-"]);
            self.continued(operator);
            self.product();
        }
    }

    fn product(&mut self) {
        self.negation();
        while self.fuel > 0 && self.chance(3) {
            self.fuel -= 1;
            let operator = self.random.pick(&["*", "/", "@"]);
            self.continued(operator);
            self.negation();
        }
    }

    /// An operator, now and then on the next line or the last of its own.
    fn continued(&mut self, operator: &str) {
        if self.brackets == 0 && operator != "-" && self.chance(10) {
            self.text += "\n      ";
        }
        self.put(operator);
        // Inside brackets a line might begin with a word that closes them: bracket rescue.
        if self.brackets == 0 && self.chance(12) {
            self.text += "\n      ";
        }
    }

    fn negation(&mut self) {
        if self.chance(6) {
            self.put("-");
            self.negation();
        } else {
            self.postfix();
            if self.chance(5) {
                self.put("^");
                self.negation();
            }
        }
    }

    fn postfix(&mut self) {
        self.atom();
        // A number followed by a bracket is a mistake.
        if self.text.ends_with(|c: char| c.is_ascii_digit()) {
            return;
        }
        while self.fuel > 0 && self.chance(3) {
            self.fuel -= 1;
            match self.below(4) {
                0 => self.arguments(),
                1 => {
                    self.glue("[");
                    self.brackets += 1;
                    self.listed(3, |w| match w.below(6) {
                        0 => w.put(":"),
                        1 => w.put(".."),
                        2 => {
                            w.put("..");
                            w.sum();
                        }
                        3 => {
                            w.sum();
                            w.put("..");
                        }
                        4 => w.put("_"),
                        _ => w.expr(),
                    });
                    self.close("]");
                }
                2 => {
                    self.glue(".");
                    let field = self.random.pick(&["T", "t", "if", "state", "x"]);
                    self.glue(field);
                }
                _ => self.glue("'"),
            }
        }
    }

    fn arguments(&mut self) {
        self.glue("(");
        self.brackets += 1;
        if !self.chance(6) {
            self.listed(3, Self::argument);
        }
        self.close(")");
    }

    fn argument(&mut self) {
        match self.below(8) {
            0 => {
                self.name();
                self.put("=");
                self.expr();
            }
            1 => {
                self.put("..");
                self.sum();
            }
            2 => {
                self.sum();
                self.put("for");
                self.pattern();
                self.put("in");
                self.sum();
                if self.chance(2) {
                    self.put("if");
                    self.comparison();
                }
            }
            _ => self.expr(),
        }
    }

    fn atom(&mut self) {
        match self.below(if self.fuel == 0 { 5 } else { 9 }) {
            0 => {
                let number = self.random.pick(&["0", "1", "42", "20_000", "0.5", "1e-6", "8.1e3", "2.0"]);
                self.put(number);
            }
            1 => {
                let word = self.random.pick(&["true", "false", "\"a b\"", "\"q\\\"\\n\""]);
                self.put(word);
            }
            2..=4 => self.name(),
            5 | 6 => {
                self.fuel -= 1;
                self.open("(");
                if !self.chance(8) {
                    self.listed(2, Self::argument);
                }
                self.close(")");
            }
            7 => {
                self.fuel -= 1;
                self.open("[");
                if !self.chance(8) {
                    self.listed(3, Self::argument);
                }
                self.close("]");
            }
            _ => {
                let name = self.random.pick(CAPITAL);
                self.put(name);
                self.glue("[2]");
                self.arguments();
            }
        }
    }
}
