//! `nodec new`: a model in a folder of its own, begun from an example.

use super::args::NewArgs;
use super::{Console, Exit};
use std::fs;
use std::io;
use std::path::Path;

/// An example: its name, and its files beside the program.
pub struct Example {
    /// What `--from` takes.
    pub name: &'static str,
    /// The program.
    pub program: &'static str,
    /// What the program reads, by name.
    pub files: &'static [(&'static str, &'static [u8])],
}

/// Every example that can be begun from.
pub const EXAMPLES: &[Example] = &[
    Example { name: "kepler", program: include_str!("../../examples/kepler/kepler.node"), files: &[] },
    Example { name: "lorenz", program: include_str!("../../examples/lorenz/lorenz.node"), files: &[] },
    Example {
        name: "lotka_volterra",
        program: include_str!("../../examples/lotka_volterra/lotka_volterra.node"),
        files: &[("hudson_bay.csv", include_bytes!("../../examples/lotka_volterra/hudson_bay.csv"))],
    },
    Example {
        name: "van_der_pol",
        program: include_str!("../../examples/van_der_pol/van_der_pol.node"),
        files: &[],
    },
];

/// What `--from` takes.
pub(super) fn names() -> Vec<&'static str> {
    EXAMPLES.iter().map(|example| example.name).collect()
}

impl Console<'_> {
    /// Writes `NAME/NAME.node` and the files it reads.
    pub(super) fn new_model(&mut self, args: &NewArgs) -> Exit {
        let example = EXAMPLES.iter().find(|example| example.name == args.from);
        let example = example.expect("other names are refused when the command line is read");
        let folder = Path::new(&args.name);
        let Some(name) = folder.file_name().and_then(|name| name.to_str()) else {
            self.say(&format!("error: `{}` is no name for a model\n", args.name));
            return Exit::Usage;
        };
        match write(folder, name, example) {
            Ok(()) => {
                let program = folder.join(format!("{name}.node"));
                self.say(&format!(
                    "written to {}; try `nodec run {}`\n",
                    folder.display(),
                    program.display()
                ));
                Exit::Success
            }
            Err(error) => {
                self.say(&format!("error: cannot write `{}`: {error}\n", folder.display()));
                Exit::Io
            }
        }
    }
}

/// Fails if the folder exists: nothing is ever written over.
fn write(folder: &Path, name: &str, example: &Example) -> io::Result<()> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::create_dir(folder)?;
    fs::write(folder.join(format!("{name}.node")), example.program)?;
    example.files.iter().try_for_each(|(name, bytes)| fs::write(folder.join(name), bytes))
}
