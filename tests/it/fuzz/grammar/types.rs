//! Types and sizes.

use super::Writer;

impl Writer<'_> {
    pub(super) fn maybe_type(&mut self) {
        if self.chance(3) {
            self.put(":");
            self.ty();
        }
    }

    pub(super) fn ty(&mut self) {
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
    pub(super) fn small(&mut self) {
        match self.below(3) {
            0 => self.put("3"),
            1 => self.plain(),
            _ => {
                self.puts(&["2", "*"]);
                self.plain();
            }
        }
    }
}
