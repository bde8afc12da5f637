//! What `sema` has to say: one named constructor for each message.
//!
//! Divided by band: names (E02xx) with those of sources of data, shapes (E03xx), phases (E04xx), systems (E05xx) and
//! derivatives (E06xx).

mod data;
mod habits;
mod names;
mod phases;
mod shapes;
mod systems;

pub use data::*;
pub use habits::*;
pub use names::*;
pub use phases::*;
pub use shapes::*;
pub use systems::*;
