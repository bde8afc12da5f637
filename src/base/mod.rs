//! Layer 0: indices, hashing, numbers, source texts, random streams. No knowledge of the language.

pub mod hash;
pub mod index;
pub mod numbers;
pub mod quick;
pub mod random;
pub mod span;

/// We are wrong: stops with a message that asks for a report. For states that no input can reach.
#[macro_export]
macro_rules! bug {
    ($($message:tt)*) => {
        panic!("this is a bug in nodec, please report it: {}", format_args!($($message)*))
    };
}
