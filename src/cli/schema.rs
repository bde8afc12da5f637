//! `nodec schema`: the `data` declaration for a file.

use super::args::SchemaArgs;
use super::{Console, Exit};

impl Console<'_> {
    /// Prints the declaration.
    pub(super) fn schema(&mut self, args: &SchemaArgs) -> Exit {
        let text = match self.read(&args.file) {
            Ok(text) => text,
            Err(exit) => return exit,
        };
        match crate::data::schema(&args.file.display().to_string(), &text) {
            Ok(item) => {
                self.print(&item);
                Exit::Success
            }
            Err(reason) => {
                self.say(&format!("error: {reason}\n"));
                Exit::Program
            }
        }
    }
}
