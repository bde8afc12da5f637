//! Builds the parser from `node.lalrpop`.

fn main() {}
