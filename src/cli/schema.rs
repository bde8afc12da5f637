//! `nodec schema`: the `data` declaration for a file.

use super::args::SchemaArgs;
use super::{Console, Exit};

impl Console<'_> {
    /// Prints the declaration.
    pub(super) fn schema(&mut self, args: &SchemaArgs) -> Exit {
        let bytes = match std::fs::read(&args.file) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.say(&format!("error: cannot read `{}`: {error}\n", args.file.display()));
                return Exit::Io;
            }
        };
        match crate::data::schema(&args.file.display().to_string(), &bytes) {
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
