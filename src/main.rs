//! The `nodec` command.

fn main() {}
