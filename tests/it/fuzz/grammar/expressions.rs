//! Expressions, patterns and the blocks that end in one.

use super::{CAPITAL, Writer};

impl Writer<'_> {
    pub(super) fn block(&mut self, indent: usize) {
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

    pub(super) fn pattern(&mut self) {
        if self.fuel > 0 && self.chance(4) {
            self.fuel -= 1;
            self.open("(");
            self.listed(2, Self::pattern);
            self.close(")");
        } else {
            self.plain();
        }
    }

    pub(super) fn expr(&mut self) {
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

    pub(super) fn or(&mut self) {
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

    pub(super) fn comparison(&mut self) {
        self.sum();
        if self.chance(2) {
            let operator = self.random.pick(&["==", "!=", "<", "<=", ">", ">="]);
            self.put(operator);
            self.sum();
        }
    }

    pub(super) fn sum(&mut self) {
        self.product();
        while self.fuel > 0 && self.chance(3) {
            self.fuel -= 1;
            let operator = self.random.pick(&["+", "-"]);
            self.continued(operator);
            self.product();
        }
    }

    pub(super) fn product(&mut self) {
        self.negation();
        while self.fuel > 0 && self.chance(3) {
            self.fuel -= 1;
            let operator = self.random.pick(&["*", "/", "@"]);
            self.continued(operator);
            self.negation();
        }
    }

    /// An operator, now and then on the next line or the last of its own.
    pub(super) fn continued(&mut self, operator: &str) {
        if self.brackets == 0 && operator != "-" && self.chance(10) {
            self.text += "\n      ";
        }
        self.put(operator);
        // Inside brackets a line might begin with a word that closes them: bracket rescue.
        if self.brackets == 0 && self.chance(12) {
            self.text += "\n      ";
        }
    }

    pub(super) fn negation(&mut self) {
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

    pub(super) fn postfix(&mut self) {
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

    pub(super) fn arguments(&mut self) {
        self.glue("(");
        self.brackets += 1;
        if !self.chance(6) {
            self.listed(3, Self::argument);
        }
        self.close(")");
    }

    pub(super) fn argument(&mut self) {
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

    pub(super) fn atom(&mut self) {
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
