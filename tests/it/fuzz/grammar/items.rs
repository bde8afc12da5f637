//! Items, from a keyword to the end of a line or of a block.

use super::{CAPITAL, Writer};

impl Writer<'_> {
    pub(super) fn item(&mut self, indent: usize) {
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

    pub(super) fn bare(&mut self, indent: usize) {
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

    pub(super) fn declared(&mut self, keyword: &str) {
        self.put(keyword);
        self.listed(2, |w| {
            w.plain();
            w.maybe_type();
            w.maybe("=", Self::expr);
        });
    }

    pub(super) fn setting(&mut self) {
        let key = self.random.pick(&["rtol", "method", "train.optimizer.lr", "solve.dt", "atol.y"]);
        self.puts(&[key, "="]);
        self.expr();
    }

    pub(super) fn binding(&mut self) {
        self.put("let");
        self.pattern();
        if self.chance(4) {
            self.maybe_type();
        }
        self.put("=");
        self.expr();
    }

    pub(super) fn container(&mut self) {
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

    pub(super) fn generics(&mut self) {
        if self.chance(2) {
            self.glue("[");
            self.brackets += 1;
            self.listed(3, Self::plain);
            self.close("]");
        }
    }

    pub(super) fn parameter(&mut self) {
        self.plain();
        self.maybe_type();
        self.maybe("=", Self::sum);
    }

    pub(super) fn function(&mut self, indent: usize) {
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
}
