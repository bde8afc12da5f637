//! Builds the parser from `node.lalrpop` into the build directory.

fn main() {
    println!("cargo::rerun-if-changed=grammar/node.lalrpop");
    println!("cargo::rerun-if-changed=grammar/build.rs");
    let out = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
    lalrpop::Configuration::new()
        .emit_report(false)
        .set_in_dir("grammar")
        .set_out_dir(out)
        .process()
        .expect("the grammar has no conflicts");
}
