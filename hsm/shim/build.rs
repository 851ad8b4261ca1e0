//! Tells the crate where cargo puts its shared object: the `deps` folder of the profile.

use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // target/<profile>/build/<package>-<hash>/out
    let out: PathBuf = std::env::var_os("OUT_DIR").into_iter().collect();
    let profile = out.ancestors().nth(3).map(PathBuf::from).unwrap_or_default();
    println!("cargo::rustc-env=CLAVIGER_SHIM_DEPS={}", profile.join("deps").display());
}
