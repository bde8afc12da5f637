//! `nodec config`: every setting with its value and who set it.

use super::args::ConfigArgs;
use super::{Console, Exit, names_to_set};
use crate::base::span::Sources;
use crate::diag::Sink;
use crate::settings::{self, Request};

impl Console<'_> {
    /// Prints the table.
    pub(super) fn config(&mut self, args: &ConfigArgs) -> Exit {
        let mut sources = Sources::new();
        let mut sink = Sink::new();
        let parsed = match self.parse(&args.file, &mut sources, &mut sink) {
            Ok(parsed) => parsed,
            Err(exit) => return exit,
        };
        if sink.has_errors() {
            return self.verdict(sink, &sources);
        }
        let request = Request {
            file: &parsed.file,
            profile: args.settings.profile.as_deref(),
            flags: &args.settings.flags(),
            names: &names_to_set(&parsed.file),
        };
        if let Some((settings, _)) = settings::resolve(&request, &mut sources, &mut sink) {
            self.print(&settings::listing(&settings.resolved, &sources));
        }
        self.verdict(sink, &sources)
    }
}
