//! `nodec explain`: the page of a code.

use super::args::ExplainArgs;
use super::{Console, Exit};
use crate::diag::codes;

impl Console<'_> {
    /// Prints the page.
    pub(super) fn explain(&mut self, args: &ExplainArgs) -> Exit {
        match codes::lookup(&args.code) {
            Some(row) => {
                self.print(row.page);
                Exit::Success
            }
            None => {
                self.say(&format!("error: there is no code `{}`\n", args.code));
                Exit::Usage
            }
        }
    }
}
