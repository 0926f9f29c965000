//! The stored inputs of the fuzz targets, which the tests replay with the toolchain of every day.

use std::path::Path;

/// Call `property` with every stored input of a target; there is at least one.
pub fn replay(target: &str, property: impl Fn(&[u8])) {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    let files = std::fs::read_dir(seeds.join(target)).expect("the inputs of a target");
    let paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    assert!(!paths.is_empty(), "{target} has no input");
    for path in paths {
        property(&std::fs::read(path).expect("a file"));
    }
}
