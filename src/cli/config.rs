//! `nodec config`: every setting with its value and who set it.

use super::args::ConfigArgs;
use super::run::{Ended, bound};
use super::{Console, Exit};
use crate::engine::Error;

impl Console<'_> {
    /// Prints the table.
    pub(super) fn config(&mut self, args: &ConfigArgs) -> Exit {
        let listing = self.load(&args.file).and_then(|model| {
            let listing = bound(&model, &args.settings).settings_listing();
            listing.map_err(|diagnostics| self.ended(&Error::Invalid(diagnostics)))
        });
        match listing {
            Ok(listing) => {
                self.print(&listing);
                Exit::Success
            }
            Err(Ended::With(exit)) => exit,
        }
    }
}
